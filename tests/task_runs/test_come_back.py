"""A task that the server asks to wait comes back without using a retry (Airflow 3.4 and later)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from airflow.models.taskreschedule import TaskReschedule
from sqlalchemy import event

from tests.support.airflow_versions import needs_free_reschedule
from tests.support.fault_server import FaultServer
from tests.support.replies import http
from tests.task_runs import airflow_runs
from tests.task_runs.conftest import SetConnection
from tests.task_runs.dags import waiting_dags
from tests.task_runs.dags.detach_dags import FLOW
from tests.task_runs.test_sensor import NOT_LINKED, linked

pytestmark = needs_free_reschedule

LIMITED = http(429, headers=[("Retry-After", "90")])


@pytest.fixture
def delays() -> Iterator[list[float]]:
    """Return how long Airflow will have put off tasks, all of which come back at once."""
    seconds: list[float] = []

    def come_back_at_once(mapper: Any, connection: Any, row: Any) -> None:
        seconds.append((row.reschedule_date - row.end_date).total_seconds())
        row.reschedule_date = row.end_date

    event.listen(TaskReschedule, "before_insert", come_back_at_once)
    yield seconds
    event.remove(TaskReschedule, "before_insert", come_back_at_once)


def test_the_task_comes_back_as_the_same_try_and_knows_what_it_has_sent(
    connect: SetConnection,
    delays: list[float],
    seen: list[tuple[str, str]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    # The DELETE may have worked, and the task is limited before it can find out.
    with FaultServer([linked(FLOW), http(503), LIMITED, NOT_LINKED]) as server:
        connect(server.url, max_backoff=0)
        result = airflow_runs.run(waiting_dags.detach_come_back)["detach"]
    assert (result.state, result.tries, seen) == ("success", 1, [])
    # The workflow is known to the first run of the try only, by its record in the task state store.
    assert result.xcoms["return_value"]["workflow_id"] == FLOW
    assert [one.method for one in server.requests] == ["GET", "DELETE", "GET", "GET"]
    assert [90 <= delay <= 99.1 for delay in delays] == [True]
    assert capfd.readouterr().out.count("This uses no retry and is no failure, so no callback runs.") == 1
