"""What is retried, how long to wait before the next attempt, and when there is none."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from tenacity import RetryCallState, wait_random_exponential

from airflow_aitronos.exceptions import AitronosError

if TYPE_CHECKING:
    from airflow_aitronos.client.deadline import Deadline
    from airflow_aitronos.client.settings import Settings

RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, *range(520, 525)})
"""HTTP statuses after which the same request may succeed a little later."""

# ASCII digits only: int() and float() also take digits of other scripts, "5_0", "1e3", "nan" and a sign.
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
# Every HTTP date begins with the name of a day. The parser takes nearly anything for a date.
_DATE = re.compile(r"[A-Za-z]{3,9},? [ -~]+")
_LONGEST_VALUE = 64
_LONGEST_RESET = 3600.0


class Backoff:
    """
    Decide for one call how long to wait between attempts and when to stop.

    :param settings: of the hook.
    :param deadline: of the call.
    """

    def __init__(self, settings: Settings, deadline: Deadline) -> None:
        self._settings = settings
        self._deadline = deadline
        self._own_wait = wait_random_exponential(multiplier=2, max=settings.max_backoff)
        self.reason: str | None = None
        """Why there was no further attempt after an error that may pass."""

    def wait(self, state: RetryCallState) -> float:
        """
        Return the seconds to wait before the next attempt.

        :param state: what tenacity knows of the call.
        """
        asked = error_of(state).retry_after
        if not asked:
            return self._own_wait(state)
        # Many tasks get the same number: the jitter keeps them from coming back in the same instant. It never
        # exceeds what the deadline leaves.
        room = max(0.0, self._deadline.remaining() - asked)
        return asked + random.uniform(0, min(room / 2, max(1.0, asked / 10)))  # noqa: S311  # no secret

    def stop(self, state: RetryCallState) -> bool:
        """
        Return whether this attempt was the last one, and keep the reason.

        :param state: what tenacity knows of the call.
        """
        self.reason = self._reason_to_stop(
            state.attempt_number, state.upcoming_sleep, error_of(state).retry_after
        )
        return self.reason is not None

    def _reason_to_stop(self, attempt: int, wait: float, asked: float | None) -> str | None:
        settings, left = self._settings, max(0.0, self._deadline.remaining())
        if asked is not None and asked > settings.max_retry_after:
            return (
                f"the server asks to wait {asked:g} s, longer than max_retry_after of "
                f"{settings.max_retry_after:g} s"
            )
        if attempt >= settings.max_attempts:
            return f"all {attempt} attempts failed" if attempt > 1 else ""
        if asked and asked >= left:
            return f"the server asks to wait {asked:g} s, and total_timeout leaves {left:.1f} s"
        if wait >= left:
            return f"total_timeout of {settings.total_timeout:g} s leaves no time for another attempt"
        return None


def error_of(state: RetryCallState) -> AitronosError:
    """Return what an attempt has raised."""
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, AitronosError) else AitronosError()


def asked_wait(status: int, headers: Mapping[str, str], error: Mapping[str, Any], now: float) -> float | None:
    """
    Return the seconds that a response asks to wait, None if it does not say.

    The vendor's pages disagree on where that stands ("Rate limits" pages, notes of the published client), so
    all known places are read, the standard one first.

    :param status: HTTP status.
    :param headers: of the response, found whatever their case.
    :param error: the object under ``error`` in the body; empty if there is none.
    :param now: the wall clock, in Unix seconds.
    """
    details = error.get("details")
    values = (
        headers.get("Retry-After"),
        headers.get("X-RateLimit-Retry-After"),
        error.get("retry_after"),
        details.get("retry_after") if isinstance(details, dict) else None,
    )
    for value in values:
        if (seconds := parse_retry_after(value, now)) is not None:
            return seconds
    # A Unix second on the vendor's page and in its client; other pages show the header without a format.
    reset = headers.get("X-RateLimit-Reset", "").strip()
    if status == 429 and len(reset) <= _LONGEST_VALUE and _SECONDS.fullmatch(reset):
        return float(reset) - now if 0 <= float(reset) - now <= _LONGEST_RESET else None
    return None


def parse_retry_after(value: object, now: float) -> float | None:
    """
    Return the seconds that a ``Retry-After`` value asks for; zero for a moment that has passed.

    :param value: seconds, with or without a fraction, or an HTTP date; a date without a zone is UTC.
    :param now: the wall clock, in Unix seconds.
    :return: None if the value cannot be read: as if it were absent.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > _LONGEST_VALUE:
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    if not _DATE.fullmatch(text):
        return None
    try:
        moment = parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - now)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
