"""Text and JSON from outside, made safe for logs, exceptions and XCom; and a log that never fails."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

LIMIT = 500
"""Characters of one text from outside that are shown."""

_SHORTEST_SECRET = 5
"""Shorter secrets are not redacted, as in Airflow: they would be found in every text."""

_ANSI = re.compile(
    r"""
      (?: \x1b\[ | \x9b ) [0-?]* [ -/]* [@-~]                                # colours, cursor movements
    | (?: \x1b[\]PX^_] | [\x90\x98\x9d-\x9f] ) [^\x07\x1b\x90\x98\x9c-\x9f]*  # strings for the terminal ...
      (?: \x07 | \x1b\\ | \x9c )                                              # ... up to their end
    | \x1b [ -/]* [0-~]                                                       # two-character sequences
    """,
    re.VERBOSE,
)
# Airflow's log view folds the lines between these markers: a server could hide lines with them.
_FOLD_MARKER = re.compile(r"::(?=(?:end)?group::)", re.IGNORECASE)
_NOT_IN_XCOM = re.compile("[\x00\ud800-\udfff]")

Redact = Callable[[str], str]


@dataclass
class Log:
    """
    Write lines to a logger, and never fail: a line that cannot be written must not undo what a call did.

    :param logger: of Airflow, whose own methods take positional arguments for ``%s`` only.
    """

    logger: Any

    def info(self, line: str) -> None:
        """
        Log what went well.

        :param line: the text.
        """
        with suppress(Exception):
            self.logger.info("%s", line)

    def warning(self, line: str) -> None:
        """
        Log what a person should read.

        :param line: the text.
        """
        with suppress(Exception):
            self.logger.warning("%s", line)


class Redactor:
    """
    Replace secrets by ``***``: as they are, percent-encoded and JSON-escaped.

    :param secrets: stripped.
    """

    def __init__(self, *secrets: str) -> None:
        forms = {
            form
            for secret in secrets
            if len(secret) >= _SHORTEST_SECRET
            for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1])
        }
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """
        Return a text without the secrets.

        :param text: the text.
        """
        for form in self._forms:
            text = text.replace(form, "***")
        return text


def safe_text(value: object, redact: Redact = str, *, limit: int = LIMIT) -> str:
    """
    Return a text from outside as one printable line.

    :param value: the text; anything else is shown as its ``str``.
    :param redact: replaces secrets. Applied after the control sequences that could split one are gone, and
        before the cut that could leave a part of one.
    :param limit: longest text returned, in characters.
    """
    text = redact(_ANSI.sub("", value if isinstance(value, str) else str(value)))[: limit + 1]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    text = _FOLD_MARKER.sub(": :", text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def optional_text(value: object, redact: Redact = str, *, limit: int = LIMIT) -> str | None:
    """
    Return :func:`safe_text` of a text that is not blank, None for anything else.

    :param value: what stands where a text is documented.
    :param redact: replaces secrets.
    :param limit: longest text returned, in characters.
    """
    return safe_text(value, redact, limit=limit) if isinstance(value, str) and value.strip() else None


def json_safe(value: Any, redact: Redact, *, strict: bool) -> Any:
    """
    Return decoded JSON without secrets, and without what XCom or a JSON column refuses.

    NUL and lone surrogates become the replacement character.

    :param value: what ``json.loads`` returned.
    :param redact: replaces secrets in keys and texts.
    :param strict: whether a number that cannot be stored is an error; else it becomes a text.
    :raises ValueError: if ``strict``, and the value holds NaN, an infinity or an integer over 64 bits.
        Airflow refuses those only after the task has done its work.
    """
    if isinstance(value, str):
        return redact(_NOT_IN_XCOM.sub("\ufffd", value))
    if isinstance(value, list):
        return [json_safe(item, redact, strict=strict) for item in value]
    if isinstance(value, dict):
        return {
            json_safe(key, redact, strict=strict): json_safe(item, redact, strict=strict)
            for key, item in value.items()
        }
    is_finite = math.isfinite(value) if isinstance(value, float) else True
    if not is_finite or (isinstance(value, int) and not -(2**63) <= value < 2**63):
        if strict:
            raise ValueError("not a number that can be stored")
        return str(value)
    return value


def shortened(value: Any, *, depth: int = 4, items: int = 20) -> Any:
    """
    Return safe JSON cut to a size that fits an exception.

    :param value: what :func:`json_safe` returned.
    :param depth: levels of nesting kept.
    :param items: entries kept of each list and object.
    """
    if isinstance(value, str):
        return safe_text(value)
    if isinstance(value, list | dict) and depth == 0:
        return "…"
    if isinstance(value, list):
        return [shortened(item, depth=depth - 1, items=items) for item in value[:items]]
    if isinstance(value, dict):
        first = list(value.items())[:items]
        return {safe_text(key): shortened(item, depth=depth - 1, items=items) for key, item in first}
    return value
