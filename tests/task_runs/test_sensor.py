"""Real task runs of the sensor."""

from __future__ import annotations

import os
import signal
import time
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.airflow_versions import needs_reschedule
from tests.support.fault_server import FaultServer
from tests.support.faults import Call
from tests.support.replies import http
from tests.task_runs import airflow_runs
from tests.task_runs.conftest import SetConnection
from tests.task_runs.dags import workflow_dags

SUPPORT = "asst_support01"
READ = f"GET /v1/assistants/{SUPPORT}/workflow"
NOT_LINKED = http(404, {"success": False, "error": {"code": "WORKFLOW_NOT_FOUND", "status": 404}})
UNAVAILABLE = http(503)


def linked(workflow_id: str) -> bytes:
    return http(200, {"id": workflow_id, "name": "Support", "version": 2, "external_id": None})


def found(workflow_id: str) -> dict[str, Any]:
    summary = {"id": workflow_id, "name": "Support", "version": 2, "external_id": None}
    return {"assistant_id": SUPPORT, "workflow_id": workflow_id, "workflow": summary}


NOTHING = {"assistant_id": SUPPORT, "workflow_id": None, "workflow": None}


def sent(server: FaultServer) -> list[str]:
    return [f"{one.method} {one.path}" for one in server.requests]


@pytest.mark.parametrize(
    ("dag", "replies", "xcom"),
    [
        (workflow_dags.wait_for_any, [NOT_LINKED, NOT_LINKED, linked("flow_a")], found("flow_a")),
        (
            workflow_dags.wait_for_one,
            [linked("flow_a"), NOT_LINKED, linked("flow_new01")],
            found("flow_new01"),
        ),
        pytest.param(
            workflow_dags.wait_for_none,
            [linked("flow_a"), linked("flow_b"), NOT_LINKED],
            NOTHING,
            marks=needs_reschedule,
        ),
    ],
    ids=["any", "one", "none"],
)
def test_the_sensor_pokes_until_it_is_so(
    connect: SetConnection, dag: Any, replies: list[bytes], xcom: Any
) -> None:
    with FaultServer(replies) as server:
        connect(server.url)
        result = airflow_runs.run(dag)[dag.dag_id]
    assert (result.state, result.tries) == ("success", 1)
    assert result.xcoms == {"return_value": xcom}
    assert sent(server) == [READ] * 3
    # Every read has a connection of its own: none is kept open over a long wait.
    assert server.connections == 3


def test_mapped_sensors_are_rescheduled_each_for_itself(aitronos_sandbox: Any) -> None:
    results = airflow_runs.run(workflow_dags.wait_mapped)
    pushed = [results[f"wait[{number}]"].xcoms["return_value"]["workflow_id"] for number in range(2)]
    assert pushed == ["flow_support01", "flow_billing01"]


def test_the_sensor_gives_up_after_its_timeout(connect: SetConnection) -> None:
    with FaultServer([linked("flow_a")]) as server:
        connect(server.url)
        result = airflow_runs.run(workflow_dags.wait_not_a_second)["wait_not_a_second"]
    assert (result.state, sent(server)) == ("failed", [READ])


def test_a_fault_that_may_pass_uses_the_retries(connect: SetConnection) -> None:
    with FaultServer([UNAVAILABLE, linked("flow_a")]) as server:
        connect(server.url)
        result = airflow_runs.run(workflow_dags.wait_with_retry)["wait_with_retry"]
    assert (result.state, result.tries) == ("success", 2)


@pytest.mark.parametrize("dag", [workflow_dags.wait_with_retry, workflow_dags.wait_silently])
def test_a_refused_key_ends_the_wait_at_once(connect: SetConnection, dag: Any) -> None:
    with FaultServer([http(401, {"error": {"code": "INVALID_API_KEY"}}), linked("flow_a")]) as server:
        connect(server.url)
        result = airflow_runs.run(dag)[dag.dag_id]
    assert (result.state, result.tries, sent(server)) == ("failed", 1, [READ])


def test_sigterm_between_two_pokes_ends_the_wait(
    connect: SetConnection, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        slept.append(seconds)

    from airflow.sdk.bases import sensor

    monkeypatch.setattr(sensor, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    with FaultServer([linked("flow_a")]) as server:
        connect(server.url)
        result = airflow_runs.run(workflow_dags.wait_long)["wait_long"]
    assert (result.state, sent(server), slept) == ("failed", [READ], [])
    assert "AitronosCancelledError" in capfd.readouterr().out


def test_sigterm_in_a_poke_ends_a_silent_sensor_too(
    connect: SetConnection, capfd: pytest.CaptureFixture[str]
) -> None:
    def terminate() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with FaultServer([[Call(terminate), linked("flow_a")], NOT_LINKED]) as server:
        connect(server.url)
        result = airflow_runs.run(workflow_dags.wait_long)["wait_long"]
    assert (result.state, sent(server)) == ("failed", [READ])
    assert "AitronosCancelledError" in capfd.readouterr().out
