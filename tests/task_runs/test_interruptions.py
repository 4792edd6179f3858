"""Task runs that are interrupted: by a timeout, by a signal, or by the death of their process."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import Any

import pytest

from airflow_aitronos.exceptions import AitronosCancelledError
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from tests.support.airflow_versions import HAS_STORE, AirflowTaskTimeout
from tests.support.cases import case
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer, Reply
from tests.support.faults import Call, Hang
from tests.support.replies import http
from tests.task_runs import airflow_runs, run_dag
from tests.task_runs.conftest import SetConnection
from tests.task_runs.dags import detach_dags
from tests.task_runs.dags.detach_dags import FLOW
from tests.task_runs.test_states import DETACHED, GOOD

AT_ONCE = 20
"""Seconds for a task of two seconds and all that Airflow does around it; the wait would take 50."""


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(http(503, headers=[("Retry-After", "50")]), marks=case("A4"), id="in_a_wait"),
        pytest.param(Hang(), marks=case("A5"), id="in_the_request"),
    ],
)
def test_an_execution_timeout_ends_the_task_at_once(
    connect: SetConnection, errors: list[BaseException], reply: Reply
) -> None:
    with FaultServer([reply, GOOD]) as server:
        connect(server.url, max_retry_after=60)
        started = time.monotonic()
        result = airflow_runs.run(detach_dags.detach_in_two_seconds)["detach"]
    # A timeout that was swallowed, or came too late, would have let the second request succeed.
    assert result.state == "failed"
    assert [type(error) for error in errors] == [AirflowTaskTimeout]
    assert len(server.requests) == 1
    assert time.monotonic() - started < AT_ONCE


class InterruptedClock(FakeClock):
    """A clock whose first sleep is interrupted."""

    def __init__(self, interruption: type[BaseException] | None) -> None:
        super().__init__()
        self._interruption = interruption

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self._interruption is None and len(self.sleeps) == 1:
            terminate_this_process()
        elif self._interruption is not None:
            raise self._interruption


def terminate_this_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("interruption", "raised"),
    [
        pytest.param(None, AitronosCancelledError, marks=case("A7"), id="SIGTERM"),
        pytest.param(KeyboardInterrupt, KeyboardInterrupt, marks=case("A6"), id="KeyboardInterrupt"),
        pytest.param(SystemExit, SystemExit, id="SystemExit"),
    ],
)
def test_an_interrupted_wait_is_followed_by_no_request(
    connect: SetConnection,
    monkeypatch: pytest.MonkeyPatch,
    errors: list[BaseException],
    interruption: type[BaseException] | None,
    raised: type[BaseException],
) -> None:
    clock = InterruptedClock(interruption)
    monkeypatch.setattr(AitronosHook, "clock", clock)
    with FaultServer([http(503, headers=[("Retry-After", "30")]), GOOD]) as server:
        connect(server.url, max_retry_after=60)
        result = airflow_runs.run(detach_dags.detach_no_retries)["detach"]
    assert result.state == "failed"
    assert [type(error) for error in errors] == [raised]
    assert len(server.requests) == 1
    assert len(clock.sleeps) == 1
    assert clock.sleeps[0] <= 0.5


@case("A8")
@pytest.mark.parametrize("answer", [GOOD, http(503)], ids=["answered", "unavailable"])
def test_sigterm_in_the_request_lets_it_finish_and_sends_no_other(
    connect: SetConnection,
    errors: list[BaseException],
    capfd: pytest.CaptureFixture[str],
    answer: bytes,
) -> None:
    with FaultServer([[Call(terminate_this_process), answer], GOOD]) as server:
        connect(server.url)
        result = airflow_runs.run(detach_dags.detach_no_retries)["detach"]
    assert (result.state, result.xcoms) == ("failed", {})
    assert [type(error) for error in errors] == [AitronosCancelledError]
    assert len(server.requests) == 1
    assert ("flow_abc123" in capfd.readouterr().out) == (answer == GOOD)


@case("A9")
def test_the_try_after_a_kill_knows_what_the_first_one_did(connect: SetConnection) -> None:
    processes: list[subprocess.Popen[str]] = []
    linked = http(200, {"id": FLOW, "name": "Support", "version": 1})
    killed: Reply = [Call(lambda: processes[0].kill()), Hang()]
    nothing_linked: list[Any] = [http(200, "null"), http(200, {**DETACHED, "workflow_id": None})]
    with FaultServer([linked, killed, *nothing_linked]) as server:
        connect(server.url)
        processes.append(run_dag.start("detach_dags.detach_recorded"))
        processes[0].communicate(timeout=run_dag.LIMIT)
        assert processes[0].returncode == -signal.SIGKILL
        result = airflow_runs.run_again(detach_dags.detach_recorded, run_dag.LOGICAL_DATE)["detach"]
    assert (result.state, result.tries) == ("success", 2)
    assert result.xcoms["return_value"]["workflow_id"] == (FLOW if HAS_STORE else None)
    assert [one.method for one in server.requests][:3] == ["GET", "DELETE", "GET"]


@case("A10")
def test_a_kill_before_the_start_keeps_the_task_from_sending(connect: SetConnection) -> None:
    operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id="asst_1")
    with FaultServer([GOOD]) as server:
        connect(server.url)
        operator.on_kill()
        with pytest.raises(AitronosCancelledError):
            operator.execute({})
    assert server.connections == 0
