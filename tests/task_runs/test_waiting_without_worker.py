"""A long ``Retry-After`` is waited for by Airflow, not by the task."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import airflow.sdk
import pytest

from tests.support.connection import Connection
from tests.support.fault_server import FaultServer
from tests.support.replies import http
from tests.task_runs import airflow_runs, run_dag
from tests.task_runs.conftest import SetConnection

HAS_RETRY_POLICIES = hasattr(airflow.sdk, "RetryPolicy")


@pytest.mark.parametrize("dag_id", ["detach_told_to_wait", "detach_mapped_told_to_wait"])
def test_the_slot_is_given_back_at_once_and_the_next_try_comes_when_the_server_said(
    connect: SetConnection, dag_id: str
) -> None:
    answered: list[datetime] = []

    def answer(connection: Connection) -> None:
        answered.append(datetime.now(UTC))
        connection.send(http(429, headers=[("Retry-After", "600")]))

    with FaultServer([answer]) as server:
        connect(server.url)
        process = run_dag.start(dag_id)
        try:
            row = wait_for_retry(dag_id)
        finally:
            process.kill()  # it would now wait ten minutes
            process.communicate()
    ended = datetime.fromisoformat(str(row["end_date"])).replace(tzinfo=UTC)
    assert (ended - answered[0]).total_seconds() < 2
    # Without a policy Airflow goes by the task's retry_delay, which needs no override.
    override: Any = row.get("retry_delay_override")
    assert (600 <= override <= 660) if HAS_RETRY_POLICIES else (override is None)
    assert len(server.requests) == 1


def wait_for_retry(dag_id: str) -> dict[str, Any]:
    """Return the row of the DAG's one task instance, once it is to be tried again."""
    give_up = time.monotonic() + run_dag.LIMIT
    while time.monotonic() < give_up:
        rows = airflow_runs.rows("SELECT * FROM task_instance WHERE dag_id = :dag_id", dag_id=dag_id)
        if [row["state"] for row in rows] == ["up_for_retry"]:
            return rows[0]
        time.sleep(0.1)  # between two looks
    raise AssertionError(f"the task of {dag_id} did not get to up_for_retry")
