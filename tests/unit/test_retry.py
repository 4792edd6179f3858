"""What is tried again, how long the waits are, and when it ends."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenacity import RetryCallState, Retrying

from airflow_aitronos.client.clock import Deadline
from airflow_aitronos.client.reply import Failure
from airflow_aitronos.client.retry import Patience, last_outcome, retrying, sleep_until_cancelled
from airflow_aitronos.client.retry_after import parse_retry_after
from tests.support.fake_clock import FakeClock
from tests.unit.test_retry_after import values
from tests.unit.tools import failure, make_settings


def patience(clock: FakeClock, *, is_cancelled: bool = False, **options: Any) -> Patience:
    settings = make_settings(**options)
    return Patience(settings, Deadline(settings.total_timeout, clock), lambda: is_cancelled)


def state(outcome: Failure, attempt: int = 1) -> RetryCallState:
    made = RetryCallState(Retrying(), None, (), {})
    made.attempt_number = attempt
    made.set_result(outcome)
    return made


def decide(judge: Patience, outcome: Failure, attempt: int = 1) -> tuple[float, str | None]:
    """Return wait and reason to stop, in the order in which tenacity asks."""
    asked = state(outcome, attempt)
    asked.upcoming_sleep = judge.wait(asked)
    assert judge.stop(asked) is (judge.reason is not None)
    return asked.upcoming_sleep, judge.reason


def test_own_waits_grow_and_are_spread(clock: FakeClock) -> None:
    judge = patience(clock)
    for attempt, longest in [(1, 2), (2, 4), (3, 8), (4, 16), (5, 20), (9, 20)]:
        waits = [judge.wait(state(failure(), attempt)) for _ in range(50)]
        assert 0 <= min(waits) < longest / 4
        assert longest * 3 / 4 < max(waits) <= longest
        assert len({round(wait, 6) for wait in waits}) > 40


def test_max_backoff_bounds_own_waits(clock: FakeClock) -> None:
    judge = patience(clock, max_backoff=0.5)
    assert max(judge.wait(state(failure(), 5)) for _ in range(50)) <= 0.5
    assert patience(clock, max_backoff=0.0).wait(state(failure(), 5)) == 0


@pytest.mark.parametrize(("asked", "jitter"), [(2, 1.0), (0.5, 1.0), (10, 1.0), (50, 5.0)])
def test_what_the_server_asks_is_waited_for_and_spread(clock: FakeClock, asked: float, jitter: float) -> None:
    judge = patience(clock)
    waits = [judge.wait(state(failure(retry_after=asked))) for _ in range(50)]
    assert min(waits) >= asked
    assert max(waits) <= asked + jitter
    assert max(waits) - min(waits) > jitter / 2
    assert len(set(waits)) > 40


@pytest.mark.parametrize(
    ("asked", "total", "most"),
    [(2.0, 120.0, 3.0), (50.0, 120.0, 55.0), (19.0, 20.0, 19.5), (21.0, 20.0, 21.0)],
)
def test_how_far_what_is_asked_is_spread(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, asked: float, total: float, most: float
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: low)
    assert patience(clock, total_timeout=total).wait(state(failure(retry_after=asked))) == asked
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    assert patience(clock, total_timeout=total).wait(state(failure(retry_after=asked))) == pytest.approx(most)


def test_zero_is_no_wish(clock: FakeClock) -> None:
    waits = [decide(patience(clock), failure(retry_after=0.0))[0] for _ in range(50)]
    assert min(waits) >= 0
    assert max(waits) <= 2
    assert len(set(waits)) > 40


@pytest.mark.parametrize(
    ("asked", "attempt", "options", "says"),
    [
        pytest.param(None, 1, {}, None, id="goes_on"),
        pytest.param(60.0, 1, {}, None, id="at_the_cap"),
        pytest.param(
            61.0, 1, {}, "asks to wait 61 s, longer than max_retry_after of 60 s", id="over_the_cap"
        ),
        pytest.param(3600.0, 1, {}, "asks to wait 3600 s", id="far_over_the_cap"),
        pytest.param(
            1.0, 1, {"max_retry_after": 0.0}, "longer than max_retry_after of 0 s", id="no_patience"
        ),
        pytest.param(0.0, 1, {"max_retry_after": 0.0}, None, id="nothing_asked_of_no_patience"),
        pytest.param(50.0, 1, {"total_timeout": 20.0}, "total_timeout leaves 20.0 s", id="past_the_deadline"),
        pytest.param(20.0, 1, {"total_timeout": 20.0}, "total_timeout leaves 20.0 s", id="at_the_deadline"),
        pytest.param(None, 3, {}, None, id="one_left"),
        pytest.param(None, 4, {}, "all 4 attempts failed", id="none_left"),
        pytest.param(2.0, 4, {}, "all 4 attempts failed", id="none_left_although_asked"),
        pytest.param(None, 1, {"max_attempts": 1}, "max_attempts is 1", id="one_in_all"),
        pytest.param(None, 2, {"max_attempts": 2}, "all 2 attempts failed", id="two_in_all"),
        pytest.param(None, 1, {"is_cancelled": True}, "told to stop", id="cancelled"),
    ],
)
def test_when_it_ends(
    clock: FakeClock, asked: float | None, attempt: int, options: dict[str, Any], says: str | None
) -> None:
    reason = decide(patience(clock, **options), failure(retry_after=asked), attempt)[1]
    assert reason is None if says is None else reason is not None and says in reason


def test_no_time_left_ends_it(clock: FakeClock) -> None:
    judge = patience(clock, total_timeout=10.0)
    clock.advance(10)
    assert decide(judge, failure())[1] == "total_timeout of 10 s leaves no time for another attempt"


def test_a_wait_of_nothing_does_not_fit_into_no_time(clock: FakeClock) -> None:
    judge = patience(clock, total_timeout=10.0, max_backoff=0.0)
    clock.advance(10)
    assert decide(judge, failure())[1] == "total_timeout of 10 s leaves no time for another attempt"


@pytest.mark.parametrize("asked", [15.0, 19.0, 19.75])
def test_the_spread_pushes_no_wait_over_the_deadline(clock: FakeClock, asked: float) -> None:
    judge = patience(clock, total_timeout=20.0)
    assert {decide(judge, failure(retry_after=asked))[1] for _ in range(50)} == {None}


@given(
    value=values,
    attempt=st.integers(1, 10),
    elapsed=st.floats(0, 130),
    cap=st.floats(0, 86_400),
    backoff=st.floats(0, 86_400),
)
def test_any_header_leads_to_a_wait_within_bounds(
    value: Any, attempt: int, elapsed: float, cap: float, backoff: float
) -> None:
    clock = FakeClock()
    judge = patience(clock, max_retry_after=cap, max_backoff=backoff, max_attempts=10)
    clock.advance(elapsed)
    asked = parse_retry_after(value, now=clock.time())
    wait, reason = decide(judge, failure(retry_after=asked), attempt)
    assert wait >= 0
    assert math.isfinite(wait)
    if reason is not None:
        return
    assert wait <= max(backoff, cap + max(1.0, cap / 10))
    assert wait < 120 - elapsed
    if asked:
        assert asked <= wait <= cap + max(1.0, cap / 10)
    else:
        assert wait <= backoff


def run(outcomes: Iterable[Any], clock: FakeClock, **options: Any) -> tuple[Any, int, list[float]]:
    """Run the loop over what the attempts return; give the end, the number of attempts and the waits."""
    waits: list[float] = []
    script, attempts = iter(outcomes), 0

    def attempt() -> Any:
        nonlocal attempts
        attempts += 1
        return next(script)

    loop = retrying(
        patience(clock, **options),
        sleep=clock.sleep,
        before_sleep=lambda one: waits.append(one.upcoming_sleep),
    )
    return loop(attempt), attempts, waits


def test_the_loop_returns_a_success(clock: FakeClock) -> None:
    end, attempts, waits = run([failure(), failure(), {"ok": 1}], clock)
    assert (end, attempts, len(waits)) == ({"ok": 1}, 3, 2)
    assert clock.sleeps == waits


def test_the_loop_returns_what_cannot_pass(clock: FakeClock) -> None:
    final = failure(transient=False)
    assert run([failure(), final], clock)[:2] == (final, 2)


@pytest.mark.parametrize("most", [1, 2, 10])
def test_the_loop_returns_the_last_failure(clock: FakeClock, most: int) -> None:
    outcomes = [failure(what=str(number)) for number in range(20)]
    end, attempts, _ = run(outcomes, clock, max_attempts=most, total_timeout=3600.0)
    assert (end.what, attempts) == (str(most - 1), most)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, ValueError, TimeoutError])
def test_what_an_attempt_raises_goes_straight_through(clock: FakeClock, kind: type[BaseException]) -> None:
    attempts = 0

    def attempt() -> None:
        nonlocal attempts
        attempts += 1
        raise kind

    loop = retrying(patience(clock), sleep=clock.sleep, before_sleep=lambda _: None)
    with pytest.raises(kind):
        loop(attempt)
    assert (attempts, clock.sleeps) == (1, [])


def test_waits_are_in_slices(clock: FakeClock) -> None:
    sleep_until_cancelled(2.2, clock=clock, is_cancelled=lambda: False)
    assert max(clock.sleeps) <= 0.5
    assert sum(clock.sleeps) == pytest.approx(2.2)


@pytest.mark.parametrize("seconds", [0, -1])
def test_no_wait_is_no_sleep(clock: FakeClock, seconds: float) -> None:
    sleep_until_cancelled(seconds, clock=clock, is_cancelled=lambda: False)
    assert clock.sleeps == []


@pytest.mark.parametrize("slices", [0, 1, 3])
def test_a_wait_ends_when_the_task_is_told_to_stop(clock: FakeClock, slices: int) -> None:
    sleep_until_cancelled(60, clock=clock, is_cancelled=lambda: len(clock.sleeps) >= slices)
    assert len(clock.sleeps) == slices


def test_a_slow_slice_does_not_make_the_wait_longer(clock: FakeClock) -> None:
    clock.tick = 0.3  # every look at the clock costs time, as on a busy machine
    start = clock.now
    sleep_until_cancelled(5, clock=clock, is_cancelled=lambda: False)
    assert clock.now - start <= 5 + 2 * 0.3 + 0.5


def test_state_without_an_outcome() -> None:
    assert last_outcome(RetryCallState(Retrying(), None, (), {})) is None
