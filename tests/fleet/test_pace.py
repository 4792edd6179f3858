"""How fast a fleet goes: the cap, what a server that refuses makes of it, and waits that end."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest

from airflow_aitronos.client.pace import Pace
from airflow_aitronos.client.sanitize import Log
from airflow_aitronos.exceptions import AitronosError, AitronosNetworkError, AitronosRateLimitError
from tests.fleet.conftest import NewRun, assistants, most_in_a_minute, rows
from tests.support.fake_clock import FakeClock


@pytest.mark.parametrize(("record", "minutes"), [(False, 10), (True, 20)])
def test_a_thousand_within_a_limit_of_100_a_minute(new_run: NewRun, record: bool, minutes: int) -> None:
    run = new_run(1000, requests_per_minute=100)
    started = run.clock.now
    result = run.detach(assistants(1000), requests_per_minute=100, record_workflow=record)
    assert result["counts"] == {"detached": 1000}
    assert {one.status_code for one in run.server.requests} == {200}
    assert run.clock.now - started <= minutes * 60 * 1.05
    assert most_in_a_minute(run.server.requests) <= 101


@pytest.mark.parametrize("hint", [True, False], ids=["Retry-After", "X-RateLimit-Reset"])
def test_a_rate_above_the_limit_comes_down_to_it(new_run: NewRun, hint: bool) -> None:
    run = new_run(400, requests_per_minute=30, send_retry_after=hint)
    result = run.detach(assistants(400), requests_per_minute=None, record_workflow=False, max_attempts=1)
    assert result["counts"] == {"detached": 400}
    refused = len(run.sent("DELETE", 429))
    assert 1 <= refused <= 20


def test_a_429_without_any_hint_closes_the_gate_for_a_minute_and_is_no_attempt(
    new_run: NewRun, tmp_path: Path
) -> None:
    run = new_run(3)
    run.fault(status=429, skip=1)
    started, report = run.clock.now, tmp_path / "report.jsonl"
    result = run.detach(
        assistants(3), record_workflow=False, max_attempts=1, total_timeout=5, report_path=str(report)
    )
    assert result["counts"] == {"detached": 3}
    assert 60 <= run.clock.now - started <= 65
    assert [one["attempts"] for one in rows(report)] == [1, 1, 1]


def test_the_rate_of_a_run_of_ten_days_is_its_cap() -> None:
    clock = FakeClock()
    pace = Pace(100, None, 60, clock, Log(None))
    clock.now += 10 * 86_400
    assert pace.rate() == 100


def test_two_requests_that_are_refused_together_lower_the_rate_once() -> None:
    pace = Pace(100, None, 60, FakeClock(), Log(None))
    for _ in range(50):
        pace.wait(lambda: False)
    for asked in (20, 30):
        pace.refused(AitronosRateLimitError("HTTP 429.", status_code=429, retry_after=asked))
    assert pace.rate() == pytest.approx(70, abs=2)
    assert pace.wait(lambda: False) == pytest.approx(30)
    assert pace.wait(lambda: False) == pytest.approx(60 / 70, abs=0.02)


def test_a_second_429_in_a_row_without_a_hint_ends_the_try(new_run: NewRun) -> None:
    run = new_run(3)
    run.fault(status=429, skip=1, times=9)
    with pytest.raises(AitronosRateLimitError) as raised:
        run.detach(assistants(3))
    assert (raised.value.outcome, raised.value.retry_after) == ("retryable", 120)
    assert len(run.sent("GET")) + len(run.sent("DELETE")) == 3


def test_endless_refusals_that_ask_for_little_end_the_try(new_run: NewRun) -> None:
    run = new_run(3)
    run.fault(status=429, retry_after="1", times=1000)
    with pytest.raises(AitronosRateLimitError):
        run.detach(assistants(3))
    assert run.counts == {"not_tried": 3}
    assert len(run.server.requests) == 11


def test_a_503_with_a_wait_closes_the_gate_and_is_an_attempt(new_run: NewRun) -> None:
    run = new_run(2)
    run.fault(status=503, retry_after="40", method="DELETE", times=2)
    with pytest.raises(AitronosError) as raised:
        run.detach(assistants(2), record_workflow=False, max_attempts=2, concurrency=1)
    assert raised.value.outcome == "retryable"
    assert run.counts == {"unknown": 1, "detached": 1}
    times = [one.received_at for one in run.server.requests]
    assert [40 <= after - before <= 44 for before, after in pairwise(times)] == [True, True]


def test_the_daily_quota_ends_the_try_and_the_next_one_does_the_rest(new_run: NewRun) -> None:
    run = new_run(50, requests_per_day=30)
    with pytest.raises(AitronosRateLimitError) as raised:
        run.detach(assistants(50), record_workflow=False)
    assert raised.value.outcome == "retryable"
    assert raised.value.retry_after is not None
    assert raised.value.retry_after > 80_000
    assert str(raised.value).startswith("The run ended early: HTTP 429 RATE_LIMIT_EXCEEDED")
    assert (raised.value.status_code, raised.value.code) == (429, "RATE_LIMIT_EXCEEDED")
    assert run.counts == {"detached": 30, "not_tried": 20}
    run.clock.advance(raised.value.retry_after)
    assert run.detach(assistants(50), record_workflow=False)["counts"] == {"detached": 50}
    assert len(run.sent("DELETE", 200)) == 50


def test_run_timeout_ends_the_try(new_run: NewRun) -> None:
    run = new_run(50)
    with pytest.raises(AitronosNetworkError, match="run_timeout of 10 s") as raised:
        run.detach(assistants(50), record_workflow=False, run_timeout=10)
    assert raised.value.outcome == "retryable"
    assert run.counts == {"detached": 10, "not_tried": 40}


def test_a_frozen_clock_ends_all_waits(new_run: NewRun) -> None:
    class FrozenClock(FakeClock):
        def sleep(self, seconds: float) -> None:
            self.sleeps.append(seconds)

    run = new_run(5, clock=FrozenClock())
    assert run.detach(assistants(5))["counts"] == {"detached": 5}
    assert sum(run.clock.sleeps) == pytest.approx(9)


def test_threads_share_the_pace(new_run: NewRun) -> None:
    run = new_run(40, clock=time)
    run.fault("delay", delay=0.2, times=1000)
    started = time.monotonic()
    # One thread alone would take 0.2 s for each.
    result = run.detach(assistants(40), requests_per_minute=1200, concurrency=8, record_workflow=False)
    assert result["counts"] == {"detached": 40}
    assert 40 / 1200 * 60 <= time.monotonic() - started <= 4
    times = [one.received_at for one in run.server.requests]
    assert max(sum(start <= one <= start + 1 for one in times) for start in times) <= 21 + 8
