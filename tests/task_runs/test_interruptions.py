"""Task runs that are stopped: by a timeout, by a signal, or by the death of their process."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_aitronos.client.transport import Transport
from airflow_aitronos.exceptions import AitronosCancelledError
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from tests.support.airflow_versions import HAS_STORE
from tests.support.cases import case
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer, Reply
from tests.support.faults import Call, Hang
from tests.support.replies import http
from tests.task_runs import airflow_runs, run_dag
from tests.task_runs.conftest import SetConnection
from tests.task_runs.dags import detach_dags
from tests.task_runs.dags.detach_dags import ASSISTANT
from tests.task_runs.test_states import DETACHED, GOOD

try:
    from airflow.sdk.exceptions import AirflowTaskTimeout
except ImportError:  # Airflow 3.1
    from airflow.exceptions import AirflowTaskTimeout  # type: ignore[no-redef]  # its older path


AT_ONCE = 20
"""Seconds for a task of one second and all that Airflow does around it; the wait would take 50."""


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
        connect(server.url)
        started = time.monotonic()
        result = airflow_runs.run(detach_dags.detach_in_one_second)["detach"]
    # A timeout that was swallowed, or came too late, would have let the second request succeed.
    assert result.state == "failed"
    assert [type(error) for error in errors] == [AirflowTaskTimeout]
    assert len(server.requests) == 1
    assert time.monotonic() - started < AT_ONCE


@case("A6")
@pytest.mark.parametrize("interruption", [AirflowTaskTimeout, KeyboardInterrupt, SystemExit])
def test_an_interruption_is_no_fault_to_be_tried_again(
    connect: SetConnection,
    monkeypatch: pytest.MonkeyPatch,
    errors: list[BaseException],
    interruption: type[BaseException],
) -> None:
    attempts = []

    def interrupted(*args: Any) -> None:
        attempts.append(args)
        raise interruption

    monkeypatch.setattr(Transport, "send", interrupted)
    connect("http://127.0.0.1:9")
    result = airflow_runs.run(detach_dags.detach_no_retries)["detach"]
    assert (result.state, len(attempts)) == ("failed", 1)
    assert [type(error) for error in errors] == [interruption]


def terminate_this_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class TerminatedClock(FakeClock):
    """A clock on which SIGTERM comes with the first slice of a wait."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if len(self.sleeps) == 1:
            terminate_this_process()


@case("A7")
def test_sigterm_in_a_wait_ends_the_call_without_another_request(
    connect: SetConnection, monkeypatch: pytest.MonkeyPatch, errors: list[BaseException]
) -> None:
    clock = TerminatedClock()
    monkeypatch.setattr(AitronosHook, "clock", clock)
    with FaultServer([http(503, headers=[("Retry-After", "30")]), GOOD]) as server:
        connect(server.url)
        result = airflow_runs.run(detach_dags.detach_no_retries)["detach"]
    assert result.state == "failed"
    assert [type(error) for error in errors] == [AitronosCancelledError]
    assert len(server.requests) == 1
    assert clock.sleeps == [0.5]


@case("A8")
@pytest.mark.parametrize(
    ("answer", "is_logged"), [(GOOD, True), (http(503), False)], ids=["answered", "unavailable"]
)
def test_sigterm_in_the_request_lets_it_finish_and_sends_no_other(
    connect: SetConnection,
    errors: list[BaseException],
    capfd: pytest.CaptureFixture[str],
    answer: bytes,
    is_logged: bool,
) -> None:
    with FaultServer([[Call(terminate_this_process), answer], GOOD]) as server:
        connect(server.url)
        result = airflow_runs.run(detach_dags.detach_no_retries)["detach"]
    assert (result.state, result.xcoms) == ("failed", {})
    assert [type(error) for error in errors] == [AitronosCancelledError]
    assert len(server.requests) == 1
    log = capfd.readouterr().out
    assert ("flow_abc123" in log) == is_logged


@case("A9")
@pytest.mark.parametrize(
    ("second", "is_done"),
    [
        pytest.param([http(200, {**DETACHED, "workflow_id": None})], True, id="nothing_linked_any_more"),
        # Only a try that knows of the first one may ask the assistant what that has done.
        pytest.param(
            [
                http(404, {"success": False, "error": {"code": "RESOURCE_NOT_FOUND", "status": 404}}),
                http(200, {"id": ASSISTANT, "workflow_id": None}),
            ],
            HAS_STORE,
            id="not_found",
        ),
    ],
)
def test_a_second_try_after_the_process_died_bears_that_the_first_one_has_done_it(
    connect: SetConnection, second: list[bytes], is_done: bool
) -> None:
    processes: list[subprocess.Popen[str]] = []

    def kill() -> None:
        processes[0].kill()

    with FaultServer([[Call(kill), Hang()], *second]) as server:
        connect(server.url)
        processes.append(run_dag.start("detach_no_retries"))
        processes[0].communicate(timeout=run_dag.LIMIT)
        assert processes[0].returncode == -signal.SIGKILL
        result = airflow_runs.run_again(detach_dags.detach_no_retries, run_dag.LOGICAL_DATE)["detach"]
    assert result.state == ("success" if is_done else "failed")
    if is_done:
        assert result.xcoms["return_value"]["workflow_id"] is None
    assert len(server.requests) == (1 + len(second) if is_done else 2)


@case("A10")
@pytest.mark.parametrize("kill", [DetachAssistantWorkflowOperator.on_kill])
def test_a_kill_before_the_start_keeps_the_task_from_sending(
    connect: SetConnection, kill: Callable[[DetachAssistantWorkflowOperator], None]
) -> None:
    operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id="asst_1")
    with FaultServer([GOOD]) as server:
        connect(server.url)
        kill(operator)
        with pytest.raises(AitronosCancelledError):
            operator.execute({})
    assert server.connections == 0
