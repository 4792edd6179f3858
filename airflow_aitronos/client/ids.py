"""Ids and paths: nothing that could turn a request to another address gets into one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from airflow_aitronos.client.safe_text import safe_text
from airflow_aitronos.exceptions import AitronosInputError

# The vendor documents ids as a prefix and alphanumerics, of varying length ("API reference", ids); the
# alphabet is what makes an id safe in a path, so it alone is checked.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_ODD = re.compile(r"[^A-Za-z0-9_-]")
_SHOWN = 16
"""Characters of an id that may be shown whole."""

_WORDS_FOR_NOTHING = frozenset({"none", "null", "undefined", "nan"})
_TEMPLATE = re.compile(r"(?:/(?:[A-Za-z0-9][A-Za-z0-9_-]*|\{[a-z_]+\}))+/?")
_PARAMETER = re.compile(r"\{([a-z_]+)\}")


def is_nothing(value: str | None) -> bool:
    """
    Return whether a text stands for nothing at all: empty, or what templates make of a missing value.

    :param value: the rendered value.
    """
    return value is None or not value.strip() or value.strip().lower() in _WORDS_FOR_NOTHING


def check_id(name: str, value: object) -> str:
    """
    Return an id that can be sent, stripped of surrounding whitespace.

    :param name: what the id is called, for the message.
    :param value: the rendered value.
    :raises AitronosInputError: if it is anything but 1 to 128 ASCII letters, digits, ``_`` and ``-`` that
        start with a letter or digit.
    """
    if not isinstance(value, str):
        raise AitronosInputError(_refusal(name, f"is of type {type(value).__name__}", _hint_for_type(value)))
    stripped = value.strip()
    if not stripped:
        raise AitronosInputError(
            _refusal(name, "is empty", "Did an upstream XCom or variable return nothing?")
        )
    if not _ID.fullmatch(stripped) or stripped.lower() in _WORDS_FOR_NOTHING:
        raise AitronosInputError(_refusal_of_text(name, stripped))
    return stripped


def expand_path(template: str, parameters: Mapping[str, object] | None = None) -> str:
    """
    Return the path with every ``{parameter}`` replaced by a checked id.

    :param template: such as ``/v1/assistants/{assistant_id}/workflow``; plain words and parameters only.
    :param parameters: the ids by name, each of which must occur in the template.
    :raises AitronosInputError: if the template, a name or an id is not usable.
    """
    parameters = {} if parameters is None else parameters
    if not isinstance(parameters, Mapping):
        raise AitronosInputError("Nothing was sent: path_params must be a dict of ids by name.")
    if not isinstance(template, str) or not _TEMPLATE.fullmatch(template):
        raise AitronosInputError(
            f"Nothing was sent: the path '{safe_text(template, limit=100)}' is not a template such as "
            "'/v1/assistants/{assistant_id}/workflow'. Pass ids as path_params and a query as params."
        )
    names = _PARAMETER.findall(template)
    if set(names) != set(parameters):
        raise AitronosInputError(
            f"Nothing was sent: the path '{template}' takes the path_params {sorted(set(names))}, "
            f"not {safe_text(sorted(map(str, parameters)), limit=100)}."
        )
    checked = {name: quote(check_id(name, parameters[name]), safe="") for name in names}
    return _PARAMETER.sub(lambda match: checked[match[1]], template)


def _refusal_of_text(name: str, value: str) -> str:
    shown = f"is {_shown(value)}"
    if "{{" in value or "{%" in value:
        return _refusal(name, shown, "The template was not rendered: pass it to a templated field.")
    if value.lower() in _WORDS_FOR_NOTHING:
        return _refusal(name, shown, "Did an upstream XCom return nothing? Jinja renders that as a word.")
    if (odd := _ODD.search(value)) and odd.start() > 0:
        shown += f" with {_shown(odd[0])} as character {odd.start() + 1}"
    return _refusal(name, shown, "Legal are 1 to 128 of A-Z a-z 0-9 _ - that start with a letter or digit.")


def shown_id(value: str) -> str:
    """
    Return an id that may be none as one safe line.

    Escaped even where it is printable: a Cyrillic letter looks like a Latin one. And a long one that cannot
    be an id is cut early: someone may have passed the API key, which is not known here.

    :param value: the rendered value.
    """
    if _ID.fullmatch(value.strip()):
        return value.strip()
    escaped = ascii(value)[1:-1]
    return safe_text(escaped if len(escaped) <= _SHOWN else escaped[: _SHOWN // 2] + "…")


def _shown(value: str) -> str:
    return f"'{shown_id(value)}'"


def _refusal(name: str, what: str, hint: str) -> str:
    return f"Nothing was sent: {name} {what}, which cannot be an id. {hint} Trying again cannot help."


def _hint_for_type(value: object) -> str:
    if value is None:
        return "Did an upstream XCom or variable return nothing?"
    if isinstance(value, list | tuple | set | frozenset):
        return "Use .partial(...).expand(...) to run the task once for each id."
    return "Pass the id as a str."
