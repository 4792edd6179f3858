"""States, tries, XComs and rendered fields of real task runs."""

from __future__ import annotations

import itertools
import json
import pickle
import traceback
from typing import Any

import pytest

from airflow_aitronos.client.retry import Patience
from airflow_aitronos.exceptions import (
    AitronosAuthenticationError,
    AitronosInputError,
    AitronosPermissionError,
    AitronosServerError,
)
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.sandbox.server import SandboxServer
from tests.support.cases import case
from tests.support.connection import Connection
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer
from tests.support.faults import Reset
from tests.support.replies import http
from tests.task_runs import airflow_runs
from tests.task_runs.callbacks import Seen
from tests.task_runs.conftest import KEY, SetConnection
from tests.task_runs.dags import detach_dags
from tests.task_runs.dags.detach_dags import ASSISTANT

DETACHED = {"assistant_id": ASSISTANT, "workflow_id": "flow_abc123", "message": "Operation completed"}
GOOD = http(200, DETACHED)
DETACH = f"DELETE /v1/assistants/{ASSISTANT}/workflow"


def refusal(status: int, code: str) -> bytes:
    error = {"code": code, "message": "No.", "type": "error", "status": status, "trace_id": "req_1"}
    return http(status, {"success": False, "error": error})


def sent(server: FaultServer) -> list[str]:
    return [f"{request.method} {request.path}" for request in server.requests]


@case("A1")
def test_a_detach_pushes_exactly_the_three_fields(connect: SetConnection) -> None:
    with FaultServer([GOOD]) as server:
        connect(server.url)
        result = airflow_runs.run(detach_dags.detach_no_retries)["detach"]
    assert (result.state, result.tries) == ("success", 1)
    assert result.xcoms == {"return_value": DETACHED}
    assert sent(server) == [DETACH]


@case("A2")
@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "INVALID_API_KEY", AitronosAuthenticationError),
        (403, "INSUFFICIENT_PERMISSIONS", AitronosPermissionError),
    ],
)
@pytest.mark.parametrize("dag", [detach_dags.detach_2_retries, detach_dags.detach_3_retries])
def test_a_refused_key_fails_the_task_at_its_first_try(
    connect: SetConnection,
    seen: list[Seen],
    errors: list[BaseException],
    dag: Any,
    status: int,
    code: str,
    error: type,
) -> None:
    with FaultServer([refusal(status, code)]) as server:
        connect(server.url)
        result = airflow_runs.run(dag)["detach"]
    assert (result.state, result.tries, result.xcoms) == ("failed", 1, {})
    assert [(one.kind, one.state) for one in seen] == [("failure", "failed")]
    assert [type(one) for one in errors] == [error]
    assert sent(server) == [DETACH]


@pytest.mark.parametrize(
    ("extra", "says"),
    [("{broken hunter2", "Extra is not valid JSON"), ("[1]", "Extra must be a JSON object")],
    ids=["no_json", "no_object"],
)
def test_a_broken_extra_fails_the_task_at_its_first_try(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], extra: str, says: str
) -> None:
    with FaultServer() as server:
        fields = {"conn_type": "aitronos", "host": server.url, "password": KEY, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", json.dumps(fields))
        result = airflow_runs.run(detach_dags.detach_2_retries)["detach"]
    assert (result.state, result.tries) == ("failed", 1)
    told = capfd.readouterr()
    assert "AitronosConfigurationError" in told.out
    assert says in told.out
    assert "hunter2" not in told.out + told.err
    assert server.connections == 0


@case("A3")
def test_an_outage_uses_all_tries_and_all_attempts_of_each(
    connect: SetConnection, seen: list[Seen], errors: list[BaseException]
) -> None:
    with FaultServer(itertools.repeat(http(503))) as server:
        connect(server.url, max_attempts=3, max_backoff=0)
        result = airflow_runs.run(detach_dags.detach_3_retries)["detach"]
    assert (result.state, result.tries, result.xcoms) == ("failed", 4, {})
    assert [(one.kind, one.state) for one in seen] == [("retry", "up_for_retry")] * 3 + [
        ("failure", "failed")
    ]
    assert [type(one) for one in errors] == [AitronosServerError] * 4
    assert sent(server) == [DETACH] * 3 * 4


def test_the_arguments_of_the_operator_come_before_the_connection(connect: SetConnection) -> None:
    with FaultServer(itertools.repeat(http(503))) as server:
        connect(server.url, max_attempts=7, max_backoff=0)
        airflow_runs.run(detach_dags.detach_limited)
    assert sent(server) == [DETACH] * 3 * 2


@case("A12")
def test_nothing_is_pushed_where_the_task_pushes_nothing(connect: SetConnection) -> None:
    with FaultServer([GOOD]) as server:
        connect(server.url)
        result = airflow_runs.run(detach_dags.detach_without_xcom)["detach"]
    assert (result.state, result.xcoms) == ("success", {})


def test_multiple_outputs_pushes_each_field_too(connect: SetConnection) -> None:
    with FaultServer([http(200, {**DETACHED, "workflow_id": None})]) as server:
        connect(server.url)
        result = airflow_runs.run(detach_dags.detach_multiple_outputs)["detach"]
    assert result.state == "success"
    assert result.xcoms["return_value"] == {**DETACHED, "workflow_id": None}
    assert result.xcoms["assistant_id"] == ASSISTANT
    assert result.xcoms["message"] == "Operation completed"


def test_id_and_connection_are_templated(connect: SetConnection) -> None:
    with FaultServer([http(200, {**DETACHED, "assistant_id": "asst_abc123"})]) as server:
        connect(server.url, conn_id="other_conn")
        result = airflow_runs.run(detach_dags.detach_templated)["detach"]
    assert result.state == "success"
    assert result.rendered == {
        "assistant_id": "asst_abc123",
        "expected_workflow_id": None,
        "aitronos_conn_id": "other_conn",
    }
    assert sent(server) == ["DELETE /v1/assistants/asst_abc123/workflow"]


def test_an_xcom_goes_in_and_out(connect: SetConnection) -> None:
    with FaultServer([GOOD]) as server:
        connect(server.url)
        results = airflow_runs.run(detach_dags.detach_from_upstream)
    assert results["look_at"].xcoms == {"return_value": "freed flow_abc123"}
    assert sent(server) == [DETACH]


def test_an_upstream_that_returned_nothing_fails_the_task_at_once(
    connect: SetConnection, capfd: pytest.CaptureFixture[str]
) -> None:
    with FaultServer([GOOD]) as server:
        connect(server.url)
        result = airflow_runs.run(detach_dags.detach_from_nothing)["detach"]
    assert (result.state, result.tries) == ("failed", 1)
    assert AitronosInputError.__name__ in capfd.readouterr().out
    assert server.connections == 0


def test_a_teardown_detaches_although_the_work_failed(connect: SetConnection) -> None:
    with SandboxServer() as sandbox, FaultServer([GOOD]) as server:
        connect(server.url)
        results = airflow_runs.run(detach_dags.detach_as_teardown)
        assert sandbox.requests == []
    assert (results["work"].state, results["detach"].state) == ("failed", "success")
    assert sent(server) == [DETACH]


@case("A15")
@pytest.mark.timeout(400)  # fifty tasks, and Airflow 3.1 is slow at starting them
def test_mapped_tasks_that_are_told_to_wait_come_back_spread_out(
    connect: SetConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    wait = Patience.wait

    def noted(patience: Patience, state: Any) -> float:
        waits.append(wait(patience, state))
        return waits[-1]

    def answer(connection: Connection) -> None:
        number = server.requests[-1].path.split("/")[3].removeprefix("asst_")
        names = {"assistant_id": f"asst_{number}", "workflow_id": f"flow_{number}"}
        connection.send(http(200, {**DETACHED, **names}))

    monkeypatch.setattr(AitronosHook, "clock", FakeClock())
    monkeypatch.setattr(Patience, "wait", noted)
    with FaultServer([http(429, headers=[("Retry-After", "2")]), answer] * 50) as server:
        connect(server.url)
        results = airflow_runs.run(detach_dags.detach_mapped)
    assert len(server.requests) == 100
    for number in range(50):
        pushed = results[f"detach[{number}]"].xcoms["return_value"]
        assert (pushed["assistant_id"], pushed["workflow_id"]) == (f"asst_{number}", f"flow_{number}")
    assert all(2 <= seconds <= 3 for seconds in waits)
    assert len({round(seconds, 2) for seconds in waits}) > 25
    assert max(waits) - min(waits) > 0.5


@case("A16")
def test_no_key_in_rendered_fields_and_log(connect: SetConnection, capfd: pytest.CaptureFixture[str]) -> None:
    with FaultServer(
        [http(401, {"error": {"code": "INVALID_API_KEY", "message": f"bad key {KEY}"}})]
    ) as server:
        # A copied key often ends in a line break: Airflow masks only the whole, as it is stored.
        connect(server.url, key=f"{KEY}\n", read_timeout=17)
        result = airflow_runs.run(detach_dags.detach_no_retries)["detach"]
    assert result.rendered == {
        "assistant_id": ASSISTANT,
        "expected_workflow_id": None,
        "aitronos_conn_id": "aitronos_default",
    }
    captured = capfd.readouterr()
    log = captured.out + captured.err
    assert "AitronosAuthenticationError" in log
    assert KEY not in log
    assert "read_timeout" not in log
    assert server.requests[0].values("X-API-Key") == [KEY]


@case("A17")
def test_no_key_in_the_exception_of_a_run(connect: SetConnection, errors: list[BaseException]) -> None:
    # What requests raises for a reset carries the request, key included; a status raises nothing there.
    with FaultServer([Reset()]) as server:
        connect(server.url, max_attempts=1)
        airflow_runs.run(detach_dags.detach_no_retries)
    assert len(server.requests) == 1
    (error,) = errors
    assert KEY.encode() not in pickle.dumps(error)
    assert (error.__cause__, error.__context__) == (None, None)
    assert KEY not in repr(vars(error)) + repr(error) + str(error.args)
    locals_of_frames = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]
    assert KEY not in repr(locals_of_frames)
