"""How long the server asks to wait, how long a wait is, and when there is no further attempt."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from tenacity import Future, RetryCallState, Retrying

from airflow_aitronos.client.deadline import Deadline
from airflow_aitronos.client.retry import Backoff, asked_wait, parse_retry_after
from airflow_aitronos.exceptions import AitronosServerError
from tests.support.fake_clock import FakeClock
from tests.unit.tools import make_settings

NOW = datetime(2025, 11, 11, 10, 30, tzinfo=UTC).timestamp()


DATES = {
    "Tue, 11 Nov 2025 10:30:30 GMT": 30.0,
    "Tue, 11 Nov 2025 10:30:30": 30.0,
    "Tue, 11 Nov 2025 10:30:30 -0000": 30.0,
    "Tue, 11 Nov 2025 11:30:30 +0100": 30.0,
    "Tuesday, 11-Nov-25 10:30:30 GMT": 30.0,
    "Tue Nov 11 10:30:30 2025": 30.0,
    "Tue, 11 Nov 2025 10:29:00 GMT": 0.0,
}
NUMBERS = {"0": 0.0, " 2 ": 2.0, "1.5": 1.5, "007": 7.0, "9" * 64: float("9" * 64), 30: 30.0, 1.5: 1.5}


@pytest.mark.parametrize(("value", "seconds"), [*DATES.items(), *NUMBERS.items()])
def test_values_that_can_be_read(value: object, seconds: float) -> None:
    assert parse_retry_after(value, NOW) == seconds


WORDS = ["-5", "+5", "abc", "nan", "inf", "1e3", "5_0", "\uff15", "Tue,"]
NO_DATES = [
    "Fri, 31 Dec 100000 23:59:59 GMT",
    "Tue, 99 Nov 2025 10:30:30 GMT",
    "Tue, 11 Nov 2025 10:30:30 +9999999",
]


@pytest.mark.parametrize(
    "value",
    [*WORDS, *NO_DATES, "", "5, 10", "5" * 65, "5" * 5000, None, True, -5, math.nan, math.inf, [5], b"5"],
    ids=lambda value: ascii(value)[:40],
)
def test_values_that_say_nothing(value: object) -> None:
    assert parse_retry_after(value, NOW) is None


values = st.one_of(
    st.text("0123456789.eE+-_, :", max_size=70),
    st.text(st.characters(codec="ascii"), max_size=60).map("Tue, {}".format),
    st.integers(),
    st.floats(),
    st.datetimes().map(lambda moment: format_datetime(moment.replace(tzinfo=UTC))),
)


@settings(max_examples=100)
@given(values)
def test_any_value_is_a_finite_wait_or_none(value: Any) -> None:
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or (seconds >= 0 and math.isfinite(seconds))


RESET = "X-RateLimit-Reset"


@pytest.mark.parametrize(
    ("headers", "error", "seconds"),
    [
        ({}, {}, None),
        ({"retry-after": "2", "X-RateLimit-Retry-After": "3"}, {"retry_after": 4}, 2.0),
        ({"Retry-After": "0"}, {"retry_after": 4}, 0.0),
        ({"Retry-After": "abc", "X-RateLimit-Retry-After": "3"}, {"retry_after": 4}, 3.0),
        ({"Retry-After": "abc"}, {"retry_after": 4, "details": {"retry_after": 5}}, 4.0),
        ({}, {"details": {"retry_after": "5"}}, 5.0),
        ({}, {"details": [{"retry_after": 5}]}, None),
        ({}, {"retry_after": {"seconds": 5}}, None),
        ({RESET: str(NOW + 90)}, {}, 90.0),
        ({RESET: str(NOW + 90)}, {"retry_after": 4}, 4.0),
        ({RESET: f" {NOW:.0f} "}, {}, 0.0),
        ({RESET: str(NOW + 3600)}, {}, 3600.0),
        ({RESET: str(NOW + 3601)}, {}, None),
        ({RESET: "90"}, {}, None),
        ({RESET: "2025-11-11T10:31:30Z"}, {}, None),
        ({RESET: "9" * 5000}, {}, None),
    ],
)
def test_places_where_the_wait_may_stand(
    headers: dict[str, str], error: dict[str, Any], seconds: float | None
) -> None:
    assert asked_wait(429, CaseInsensitiveDict(headers), error, NOW) == seconds


def test_a_reset_of_the_limit_counts_on_a_429_only() -> None:
    assert asked_wait(503, CaseInsensitiveDict({RESET: str(NOW + 90)}), {}, NOW) is None


def decide(backoff: Backoff, asked: float | None = None, attempt: int = 1) -> tuple[float, str | None]:
    """Return wait and reason to stop, asked for in tenacity's order."""
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number, state.outcome = attempt, Future(attempt)
    state.outcome.set_exception(AitronosServerError(retry_after=asked))
    state.upcoming_sleep = backoff.wait(state)
    assert backoff.stop(state) is (backoff.reason is not None)
    return state.upcoming_sleep, backoff.reason


def backoff_of(clock: FakeClock, **options: Any) -> Backoff:
    made = make_settings(options)
    return Backoff(made, Deadline(made.total_timeout, clock))


@pytest.mark.parametrize(
    ("asked", "attempt", "options", "says"),
    [
        (60.0, 1, {}, None),
        (61.0, 1, {}, "the server asks to wait 61 s, longer than max_retry_after of 60 s"),
        (1.0, 1, {"max_retry_after": 0}, "longer than max_retry_after of 0 s"),
        (20.0, 1, {"total_timeout": 20}, "total_timeout leaves 20.0 s"),
        (19.9, 1, {"total_timeout": 20}, None),
        (None, 3, {}, None),
        (2.0, 4, {}, "all 4 attempts failed"),
        (0.0, 1, {"max_retry_after": 0}, None),
        (61.0, 4, {}, "longer than max_retry_after"),
        (None, 1, {"max_attempts": 1}, ""),
    ],
)
def test_when_there_is_no_further_attempt(
    clock: FakeClock, asked: float | None, attempt: int, options: dict[str, Any], says: str | None
) -> None:
    reason = decide(backoff_of(clock, **options), asked, attempt)[1]
    assert reason is None if says is None else reason is not None and says in reason


@settings(max_examples=60)
@given(
    asked=st.none() | st.floats(0, 1e9),
    attempt=st.integers(1, 4),
    elapsed=st.floats(0, 130),
    cap=st.floats(0, 86_400),
    longest=st.floats(0, 86_400),
)
def test_any_wish_leads_to_a_wait_within_bounds(
    asked: float | None, attempt: int, elapsed: float, cap: float, longest: float
) -> None:
    clock = FakeClock()
    backoff = backoff_of(clock, max_retry_after=cap, max_backoff=longest)
    clock.advance(elapsed)
    wait, reason = decide(backoff, asked, attempt)
    assert 0 <= wait < math.inf
    if reason is None:
        assert wait < 120 - elapsed
        assert asked <= wait <= cap + max(1, cap / 10) if asked else wait <= min(longest, 2**attempt)
