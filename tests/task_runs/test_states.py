"""States, tries, XComs and rendered fields of real task runs."""

from __future__ import annotations

import itertools
import pickle
import traceback

import pytest

from airflow_aitronos.exceptions import (
    AitronosAuthenticationError,
    AitronosPermissionError,
    AitronosServerError,
)
from tests.support.cases import case
from tests.support.connection import Connection
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer, Reply
from tests.support.faults import Call, Reset
from tests.support.replies import http
from tests.task_runs import airflow_runs
from tests.task_runs.conftest import KEY, SetConnection
from tests.task_runs.dags import detach_dags
from tests.task_runs.dags.detach_dags import ASSISTANT

DETACHED = {"assistant_id": ASSISTANT, "workflow_id": "flow_abc123", "message": "Operation completed"}
GOOD = http(200, {**DETACHED, "more": "unknown"})
DETACH = f"DELETE /v1/assistants/{ASSISTANT}/workflow"


def sent(server: FaultServer) -> list[str]:
    return [f"{request.method} {request.path}" for request in server.requests]


@case("A1")
def test_a_detach_pushes_the_documented_fields(connect: SetConnection) -> None:
    with FaultServer([GOOD]) as server:
        connect(server.url)
        result = airflow_runs.run(detach_dags.detach_no_retries)["detach"]
    assert (result.state, result.tries, list(result.xcoms)) == ("success", 1, ["return_value"])
    pushed = result.xcoms["return_value"]
    assert pushed == pushed | DETACHED
    assert set(pushed) <= {*DETACHED, "outcome"}
    assert sent(server) == [DETACH]


@case("A2")
@pytest.mark.parametrize(
    ("status", "error"), [(401, AitronosAuthenticationError), (403, AitronosPermissionError)]
)
def test_a_refused_key_fails_the_task_at_its_first_try(
    connect: SetConnection,
    seen: list[tuple[str, str]],
    errors: list[BaseException],
    status: int,
    error: type,
) -> None:
    refused = http(status, {"success": False, "error": {"code": "ANY", "status": status}})
    with FaultServer([refused]) as server:
        connect(server.url)
        result = airflow_runs.run(detach_dags.detach_3_retries)["detach"]
    assert (result.state, result.tries, result.xcoms) == ("failed", 1, {})
    assert seen == [("failure", "failed")]
    assert [type(one) for one in errors] == [error]
    assert sent(server) == [DETACH]


@case("A3")
def test_an_outage_uses_all_tries_and_all_attempts_of_each(
    connect: SetConnection, seen: list[tuple[str, str]], errors: list[BaseException]
) -> None:
    with FaultServer(itertools.repeat(http(503))) as server:
        connect(server.url, max_attempts=3, max_backoff=0)
        result = airflow_runs.run(detach_dags.detach_3_retries)["detach"]
    assert (result.state, result.tries, result.xcoms) == ("failed", 4, {})
    assert seen == [("retry", "up_for_retry")] * 3 + [("failure", "failed")]
    assert [type(one) for one in errors] == [AitronosServerError] * 4
    assert sent(server) == [DETACH] * 3 * 4


@case("A12")
def test_nothing_is_pushed_where_the_task_pushes_nothing(connect: SetConnection) -> None:
    with FaultServer([GOOD]) as server:
        connect(server.url)
        result = airflow_runs.run(detach_dags.detach_without_xcom)["detach"]
    assert (result.state, result.xcoms) == ("success", {})


def test_an_xcom_goes_in_and_out(connect: SetConnection) -> None:
    with FaultServer([GOOD]) as server:
        connect(server.url)
        results = airflow_runs.run(detach_dags.detach_from_upstream)
    assert results["report"].xcoms == {"return_value": "freed flow_abc123"}
    assert sent(server) == [DETACH]


@case("A15")
def test_mapped_tasks_that_are_rate_limited_come_back_at_different_times(
    connect: SetConnection, no_waits: FakeClock
) -> None:
    limited_at: list[float] = []
    waits: list[float] = []

    def answer(connection: Connection) -> None:
        waits.append(no_waits.now - limited_at[-1])
        number = server.requests[-1].path.split("/")[3].removeprefix("asst_")
        connection.send(http(200, {"assistant_id": f"asst_{number}", "workflow_id": f"flow_{number}"}))

    limited: Reply = [
        Call(lambda: limited_at.append(no_waits.now)),
        http(429, headers=[("Retry-After", "2")]),
    ]
    with FaultServer([limited, answer] * 20) as server:
        connect(server.url)
        results = airflow_runs.run(detach_dags.detach_mapped)
    for number in range(20):
        pushed = results[f"detach[{number}]"].xcoms["return_value"]
        assert (pushed["assistant_id"], pushed["workflow_id"]) == (f"asst_{number}", f"flow_{number}")
    assert len(waits) == 20
    assert min(waits) >= 2
    assert len({round(seconds, 2) for seconds in waits}) > 10


@case("A16")
def test_no_key_in_rendered_fields_and_log(connect: SetConnection, capfd: pytest.CaptureFixture[str]) -> None:
    refused = http(401, {"error": {"code": "INVALID_API_KEY", "message": f"bad key {KEY}"}})
    with FaultServer([refused]) as server:
        # A copied key often ends in a line break: Airflow masks only the whole, as it is stored.
        connect(server.url, key=f"{KEY}\n", read_timeout=17)
        result = airflow_runs.run(detach_dags.detach_no_retries)["detach"]
    assert result.rendered["aitronos_conn_id"] == "aitronos_default"
    log = "".join(capfd.readouterr())
    assert "AitronosAuthenticationError" in log
    assert KEY not in log + repr(result)
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
