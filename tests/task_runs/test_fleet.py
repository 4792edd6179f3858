"""Many assistants in one task of a real Airflow: its tries, its death, and what the task after it reads."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.sandbox.server import SandboxServer
from tests.support.fake_clock import FakeClock
from tests.task_runs import airflow_runs, run_dag
from tests.task_runs.dags import fleet_dags
from tests.task_runs.dags.fleet_dags import FLEET, REPORTS


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxServer]:
    shutil.rmtree(REPORTS, ignore_errors=True)
    with SandboxServer(fleet=2000) as server:
        monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", server.connection_json())
        yield server


def at_request(server: SandboxServer, number: int, act: Callable[[], object]) -> None:
    """Do something once the server has carried out its n-th request, before the response is sent."""
    answer = server.answer

    def answer_and_act(request: Any) -> Any:
        response = answer(request)
        if len(server.requests) == number - 1:
            act()
        return response

    server.answer = answer_and_act  # type: ignore[method-assign]


def report(dag_id: str) -> Counter[str]:
    """Return the outcomes in a report."""
    lines = (REPORTS / f"{dag_id}.jsonl").read_text().splitlines()
    return Counter(json.loads(line)["outcome"] for line in lines)


def deletes(server: SandboxServer) -> list[str]:
    return [one.path.split("/")[3] for one in server.requests if one.method == "DELETE"]


def test_after_a_kill_inside_a_window_each_assistant_is_detached_once(server: SandboxServer) -> None:
    # Its 30th DELETE is carried out, and nobody hears of it.
    at_request(server, 60, lambda: process.kill())
    process = run_dag.start("fleet_dags.detach_fleet")
    process.communicate(timeout=run_dag.LIMIT)
    assert process.returncode == -signal.SIGKILL
    before = len(server.requests)
    result = airflow_runs.run_again(fleet_dags.detach_fleet, run_dag.LOGICAL_DATE)["detach"]
    assert (result.state, result.tries) == ("success", 2)
    assert result.xcoms["return_value"]["counts"] == {"detached": 60}
    assert deletes(server) == FLEET
    assert sorted(server.store.detached) == [(one, one.replace("asst", "flow")) for one in FLEET]
    # The window of the first 20 is closed; of the open one each link is read.
    assert [one.method for one in server.requests[before:]] == ["GET"] * 10 + ["GET", "DELETE"] * 30
    assert report("detach_fleet") == {"detached": 60}


def test_sigterm_ends_the_requests_and_leaves_report_and_state(
    server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AitronosHook, "clock", FakeClock())
    at_request(server, 60, lambda: os.kill(os.getpid(), signal.SIGTERM))
    monkeypatch.setattr(fleet_dags.detach_fleet_once.get_task("detach"), "retries", 0)
    result = airflow_runs.run(fleet_dags.detach_fleet_once)["detach"]
    assert result.state == "failed"
    assert len(server.requests) == 60
    assert result.xcoms["report"]["counts"] == {"detached": 30, "not_tried": 30}
    assert report("detach_fleet_once") == {"detached": 30, "not_tried": 30}


def test_a_permanent_failure_uses_no_retry_and_the_next_task_reads_the_report(server: SandboxServer) -> None:
    result = airflow_runs.run(fleet_dags.detach_chosen_fleet)
    assert (result["detach"].state, result["detach"].tries) == ("failed", 1)
    told = result["tell"].xcoms["return_value"]
    assert told["counts"] == {"detached": 59, "mismatch": 1}
    assert [(one["assistant_id"], one["workflow_id"]) for one in told["failed"]] == [
        ("asst_fleet00031", "flow_fleet00031")
    ]
    assert len(deletes(server)) == 59


def test_two_thousand_in_one_task(server: SandboxServer) -> None:
    result = airflow_runs.run(fleet_dags.detach_2000)["detach"]
    assert result.state == "success"
    returned = result.xcoms["return_value"]
    assert returned["counts"] == {"detached": 2000}
    assert len(json.dumps(returned)) < 64 * 1024
    assert returned["complete"] is False
    assert report("detach_2000") == {"detached": 2000}
