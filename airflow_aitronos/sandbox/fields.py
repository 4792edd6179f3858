"""Read and check the body and the query of a request."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl

from airflow_aitronos.sandbox.errors import ApiError


def read_body(body: bytes, types: dict[str, type], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """
    Return the known fields of a JSON body; null is the same as leaving a field out.

    :param body: the body, empty for none
    :param types: the type of each known field
    :param required: names of the fields that must be given
    :raises ApiError: for a body that is not valid
    """
    try:
        fields = json.loads(body or b"{}")
        # Refuses NaN and half a surrogate pair ("\ud800"): no response could carry them back.
        json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise _invalid("JSON decode error", "body") from None
    if not isinstance(fields, dict):
        raise _invalid("Input should be an object", "body")
    given = {name: fields[name] for name in types if fields.get(name) is not None}
    for name, value in given.items():
        if not isinstance(value, types[name]):
            raise _invalid(f"Input should be of type {types[name].__name__}", "body", name)
    return _require(required, given, "body")


def read_query(query: str, patterns: dict[str, str], required: tuple[str, ...] = ()) -> dict[str, str]:
    """
    Return the known fields of a query string.

    :param query: the query string, empty for none
    :param patterns: a regular expression for each known field, which its whole value matches
    :param required: names of the fields that must be given
    :raises ApiError: for a query that is not valid
    """
    fields = dict(parse_qsl(query, keep_blank_values=True))
    given = {name: fields[name] for name in patterns if name in fields}
    for name, value in given.items():
        if not re.fullmatch(patterns[name], value, re.DOTALL):
            raise _invalid(f"Input should match {patterns[name]}", "query", name)
    return _require(required, given, "query")


def _require(required: tuple[str, ...], given: dict[str, Any], place: str) -> dict[str, Any]:
    for name in required:
        if name not in given:
            raise _invalid("Field required", place, name)
    return given


def _invalid(message: str, *location: str) -> ApiError:
    problem = {"loc": list(location), "msg": message, "type": "value_error"}
    return ApiError(422, "VALIDATION_ERROR", "The request is not valid.", {"errors": [problem]})
