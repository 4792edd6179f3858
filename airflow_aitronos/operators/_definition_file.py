"""Where the definition of a workflow comes from: a dict, or a JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow_aitronos.exceptions import AitronosInputError


def definition_from(definition: Any, path: object) -> Any:
    """
    Return a definition as it is, or read it from a file whose content no template touches.

    :param definition: the graph of the workflow; None for "not given".
    :param path: of a JSON file; None for "not given".
    :raises AitronosInputError: if both or neither are given, or the file does not hold a JSON object.
    """
    if (definition is None) == (path is None):
        given = (
            "neither is given. Did an upstream XCom return nothing?" if path is None else "both are given."
        )
        raise AitronosInputError(
            f"Nothing was sent: exactly one of definition and definition_path is needed, and {given} Trying "
            "again cannot help."
        )
    return definition if path is None else _read(path)


def _read(path: object) -> dict[str, Any]:
    if not isinstance(path, str):
        raise _refusal(f"is of type {type(path).__name__}", "Pass the path as a str.")
    try:
        # utf-8-sig since some editors put a byte order mark in front, which json refuses.
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise _refusal_of(path, "is not a text in UTF-8", "Save the file in UTF-8.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise _refusal_of(
            path, f"cannot be read ({reason})", "It has to be readable on the worker that runs the task."
        ) from None
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise _refusal_of(path, f"is not JSON ({place})", "Correct the file.") from None
    except (ValueError, RecursionError):
        raise _refusal_of(path, "is not JSON that can be read", "Correct the file.") from None
    if not isinstance(content, dict):
        raise _refusal_of(path, "holds JSON that is not an object", "Put the graph of the workflow into it.")
    return content


def _refusal_of(path: str, what: str, hint: str) -> AitronosInputError:
    from airflow_aitronos.client.safe_text import safe_text

    return _refusal(f"'{safe_text(path, limit=200)}' {what}", hint)


def _refusal(what: str, hint: str) -> AitronosInputError:
    return AitronosInputError(f"Nothing was sent: definition_path {what}. {hint} Trying again cannot help.")
