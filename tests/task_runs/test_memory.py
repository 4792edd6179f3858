"""What a later try knows of a DELETE that an earlier one sent: Airflow's task state store, from 3.3 on."""

from __future__ import annotations

import signal
import subprocess
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_aitronos.exceptions import AitronosNotAttachedError
from airflow_aitronos.testing.sandbox import Sandbox
from tests.support.airflow_versions import HAS_STORE
from tests.support.fault_server import FaultServer, Reply
from tests.support.faults import Call, Hang
from tests.support.replies import http
from tests.task_runs import airflow_runs, run_dag
from tests.task_runs.conftest import SetConnection
from tests.task_runs.dags import detach_dags
from tests.task_runs.dags.detach_dags import ASSISTANT, FLOW

LINKED = http(200, {"id": FLOW, "name": "Support", "version": 1})
NONE_LINKED = http(200, "null")


def notes(dag: Any) -> list[Any]:
    """Return what the store holds of a DAG's tasks."""
    if not HAS_STORE:
        return []
    query = "SELECT value FROM task_state_store WHERE dag_id = :dag_id"
    return [row["value"] for row in airflow_runs.rows(query, dag_id=dag.dag_id)]


def test_a_later_try_still_returns_what_was_linked(sandbox: Sandbox) -> None:
    sandbox.reset_connection(method="DELETE", after_commit=True)
    result = airflow_runs.run(detach_dags.detach_recorded)["detach"]
    assert (result.state, result.tries) == ("success", 2)
    assert result.xcoms["return_value"]["workflow_id"] == (FLOW if HAS_STORE else None)
    sandbox.assert_detached_once(ASSISTANT, FLOW)
    assert notes(detach_dags.detach_recorded) == []


def test_that_nothing_is_linked_any_more_is_no_failure_after_a_lost_answer(sandbox: Sandbox) -> None:
    sandbox.reset_connection(method="DELETE", after_commit=True)
    result = airflow_runs.run(detach_dags.detach_unless_none)["detach"]
    assert result.state == ("success" if HAS_STORE else "failed")


def test_a_task_that_is_run_again_after_its_end_judges_afresh(
    sandbox: Sandbox, errors: list[BaseException]
) -> None:
    date = datetime(2026, 3, 1, tzinfo=UTC)
    assert airflow_runs.run(detach_dags.detach_unless_none, date)["detach"].state == "success"
    assert airflow_runs.run_again(detach_dags.detach_unless_none, date)["detach"].state == "failed"
    assert [type(error) for error in errors] == [AitronosNotAttachedError]
    assert notes(detach_dags.detach_unless_none) == []


@pytest.mark.parametrize("status", [401, 404, 422])
def test_a_stop_whose_outcome_is_known_leaves_no_note(sandbox: Sandbox, status: int) -> None:
    sandbox.fail(status, method="DELETE")
    assert airflow_runs.run(detach_dags.detach_recorded)["detach"].state == "failed"
    assert notes(detach_dags.detach_recorded) == []


def test_a_note_stays_while_the_outcome_is_unknown(sandbox: Sandbox) -> None:
    sandbox.fail(503, method="DELETE", times=2)
    assert airflow_runs.run(detach_dags.detach_recorded)["detach"].state == "failed"
    assert len(notes(detach_dags.detach_recorded)) == HAS_STORE


def test_a_try_after_a_kill_returns_what_was_linked(connect: SetConnection) -> None:
    processes: list[subprocess.Popen[str]] = []
    deed: Reply = [Call(lambda: processes[0].kill()), Hang()]
    with FaultServer([LINKED, deed, NONE_LINKED]) as server:
        connect(server.url)
        processes.append(run_dag.start("detach_unless_none"))
        processes[0].communicate(timeout=run_dag.LIMIT)
        assert processes[0].returncode == -signal.SIGKILL
        assert len(notes(detach_dags.detach_unless_none)) == HAS_STORE
        result = airflow_runs.run_again(detach_dags.detach_unless_none, run_dag.LOGICAL_DATE)["detach"]
    assert [one.method for one in server.requests] == ["GET", "DELETE", "GET"]
    if HAS_STORE:
        assert result.xcoms["return_value"] == {
            "assistant_id": ASSISTANT,
            "workflow_id": FLOW,
            "message": None,
        }
    assert result.state == ("success" if HAS_STORE else "failed")
    assert notes(detach_dags.detach_unless_none) == []
