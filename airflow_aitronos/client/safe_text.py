"""Text and JSON from the server, made safe for logs, exceptions and XCom."""

from __future__ import annotations

import math
import re
from typing import Any

from airflow_aitronos.client.mask import NO_SECRETS, Mask

LOG_LIMIT = 500
"""Characters of one text from the server that are shown in a log or an exception."""

_ANSI = re.compile(
    r"""
      (?: \x1b\[ | \x9b ) [0-?]* [ -/]* [@-~]        # CSI: colours, cursor movements
    | (?: \x1b[\]PX^_] | [\x90\x98\x9d-\x9f] )       # OSC, DCS and the other strings ...
      [^\x07\x1b\x90\x98\x9c-\x9f]*                  # ... up to their terminator: no other start is
      (?: \x07 | \x1b\\ | \x9c )                      # passed over, so that the search stays linear
    | \x1b [ -/]* [0-~]                              # two-character sequences
    """,
    re.VERBOSE,
)
# Airflow's log view folds the lines between these markers: a server could hide its traces with them.
_FOLD_MARKER = re.compile(r"::(?=(?:end)?group::)", re.IGNORECASE)
_NOT_IN_XCOM = re.compile("[\x00\ud800-\udfff]")


def safe_text(value: object, *, mask: Mask = NO_SECRETS, limit: int = LOG_LIMIT) -> str:
    """
    Return a text that came from outside as one printable line.

    :param value: the text; anything else is shown as its ``str``.
    :param mask: replaces secrets; applied after the control sequences that could split one are gone, and
        before the cut that could leave a part of one.
    :param limit: longest text returned, in characters.
    """
    text = value if isinstance(value, str) else str(value)
    text = mask.beginnings(mask(_ANSI.sub("", text)))
    if not text.isprintable():
        text = "".join(char if char.isprintable() else _escaped(char) for char in text)
    text = _FOLD_MARKER.sub(": :", text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def optional_text(value: object, *, mask: Mask = NO_SECRETS, limit: int = LOG_LIMIT) -> str | None:
    """
    Return :func:`safe_text` of a text that has anything to say, None of all else.

    :param value: what stands where a text is documented.
    :param mask: replaces secrets.
    :param limit: longest text returned, in characters.
    """
    return safe_text(value, mask=mask, limit=limit) if isinstance(value, str) and value.strip() else None


def json_safe(value: Any, *, mask: Mask = NO_SECRETS, strict: bool = True) -> Any:
    """
    Return decoded JSON without what XCom or a JSON column refuses, and without secrets.

    NUL and lone surrogates become the replacement character; line breaks and all other text stay, since a
    caller may send the value back.

    :param value: what ``json.loads`` returned.
    :param mask: replaces secrets in keys and strings.
    :param strict: whether a number that cannot be stored is an error; it becomes a text otherwise.
    :raises ValueError: if the value holds NaN or an infinity, which JSON does not know, or a whole number
        that does not fit into 64 bits. Airflow cannot hand those to its supervisor, and finds out only when
        the task has done its work; to pass on another number than the server's would be worse.
    """
    if isinstance(value, str):
        return _masked(_NOT_IN_XCOM.sub("\ufffd", value), mask)
    if isinstance(value, list):
        return [json_safe(item, mask=mask, strict=strict) for item in value]
    if isinstance(value, dict):
        return {
            json_safe(key, mask=mask): json_safe(item, mask=mask, strict=strict)
            for key, item in value.items()
        }
    if isinstance(value, int | float) and not _is_storable(value):
        if strict:
            raise ValueError("not a number that can be stored")
        return str(value)
    return value


def _masked(text: str, mask: Mask) -> str:
    """Return a text without secrets, and without control sequences if those split one."""
    masked = mask(text)
    # Whoever removes them later, to show the text, would put the secret together again.
    whole = _ANSI.sub("", masked)
    return masked if mask(whole) == whole else _masked(whole, mask)


def _is_storable(number: float) -> bool:
    return math.isfinite(number) if isinstance(number, float) else -(2**63) <= number < 2**63


def shortened(value: Any, *, mask: Mask = NO_SECRETS, depth: int = 4, items: int = 20) -> Any:
    """
    Return a JSON value cut to a size that fits an exception.

    :param value: what ``json.loads`` returned.
    :param mask: replaces secrets.
    :param depth: levels of nesting kept; deeper ones are shown as text.
    :param items: entries kept of each list and object.
    """
    if isinstance(value, str):
        return safe_text(value, mask=mask)
    if isinstance(value, list | dict) and depth == 0:
        return "…"
    if isinstance(value, list):
        return [shortened(item, mask=mask, depth=depth - 1, items=items) for item in value[:items]]
    if isinstance(value, dict):
        return {
            safe_text(key, mask=mask): shortened(item, mask=mask, depth=depth - 1, items=items)
            for key, item in list(value.items())[:items]
        }
    return value


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
