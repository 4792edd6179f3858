"""How long the server asks to wait."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

# ASCII digits only: int() and float() also take digits of other scripts, "5_0", "1e3", "nan" and a sign.
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
# All three date forms of HTTP begin with the name of a day; this keeps ISO dates and lists of numbers from
# the parser of mail dates, which takes nearly everything for a date.
_DATE = re.compile(r"[A-Za-z]{3,9},? [ -~]+")
_LONGEST = 64
"""Characters; a longer value says nothing, and int() refuses very long ones."""


def parse_retry_after(value: object, *, now: float) -> float | None:
    """
    Return the seconds to wait that a ``Retry-After`` value asks for, zero for a moment that has passed.

    :param value: seconds, with or without a fraction, or an HTTP date; a date without a zone is UTC.
    :param now: the wall clock, in Unix seconds.
    :return: None if the value cannot be read, which is then as if it were absent.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    if not _DATE.fullmatch(text):
        return None
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - now)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


def asked_wait(headers: Mapping[str, str], error: Mapping[str, Any], *, now: float) -> float | None:
    """
    Return the seconds that a reply asks to wait, None if it does not say.

    The vendor's pages disagree on where that stands ("Rate limits" pages and the notes of the published
    client), so all known places are looked at, the standard one first.

    :param headers: the reply's headers, found whatever their case.
    :param error: the object under ``error`` in the reply's body; empty if there is none.
    :param now: the wall clock, in Unix seconds.
    """
    details = error.get("details")
    for value in (
        headers.get("Retry-After"),
        headers.get("X-RateLimit-Retry-After"),
        error.get("retry_after"),
        details.get("retry_after") if isinstance(details, dict) else None,
    ):
        seconds = parse_retry_after(value, now=now)
        if seconds is not None:
            return seconds
    return None
