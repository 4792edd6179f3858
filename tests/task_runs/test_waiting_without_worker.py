"""A long ``Retry-After`` is waited for by Airflow, not by the task."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from threading import Thread
from typing import Any

import airflow.sdk
from airflow.models.taskreschedule import TaskReschedule

from tests.support.airflow_versions import HAS_FREE_RESCHEDULE
from tests.support.connection import Connection
from tests.support.fault_server import FaultServer
from tests.support.replies import http
from tests.task_runs import airflow_runs, run_dag
from tests.task_runs.conftest import SetConnection

AWAY = "up_for_reschedule" if HAS_FREE_RESCHEDULE else "up_for_retry"
HAS_RETRY_POLICIES = hasattr(airflow.sdk, "RetryPolicy")


def test_the_slot_is_given_back_at_once_and_the_next_try_comes_when_the_server_said(
    connect: SetConnection,
) -> None:
    answered: list[datetime] = []

    def answer(connection: Connection) -> None:
        answered.append(datetime.now(UTC))
        connection.send(http(429, headers=[("Retry-After", "600")]))

    with FaultServer([answer, answer]) as server:
        connect(server.url)
        process = run_dag.start("detach_dags.detach_rate_limited")
        reader = Thread(target=process.communicate)  # a pipe that nobody reads fills up, and the run waits
        reader.start()
        try:
            instances = wait_for_retry("detach_rate_limited")
        finally:
            process.kill()  # it would now wait ten minutes
            reader.join()
    ends = sorted(one.end_date for one in instances)
    assert all((end - start).total_seconds() < 2 for start, end in zip(answered, ends, strict=True))
    for one in instances:
        if HAS_FREE_RESCHEDULE:
            (row,) = airflow_runs.records(TaskReschedule, ti_id=one.id)
            delay: Any = (row.reschedule_date - row.end_date).total_seconds()
        else:
            # Without a policy Airflow goes by the task's retry_delay, which needs no override.
            delay = getattr(one, "retry_delay_override", None)
        assert (600 <= delay <= 661) if HAS_RETRY_POLICIES else (delay is None)
    assert len(server.requests) == 2


def wait_for_retry(dag_id: str) -> list[Any]:
    """Return the task instances of the DAG's one run, once both are to come back."""
    from airflow.models.dagrun import DagRun

    give_up = time.monotonic() + run_dag.LIMIT
    while time.monotonic() < give_up:
        for dag_run in airflow_runs.records(DagRun, dag_id=dag_id):
            instances: list[Any] = dag_run.get_task_instances()
            if [one.state for one in instances] == [AWAY] * 2:
                return instances
        time.sleep(0.1)  # between two reads
    raise AssertionError(f"the tasks of {dag_id} did not get to {AWAY}")
