"""XComs on PostgreSQL, whose JSON columns refuse what SQLite takes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev import postgresql
from tests.support.cases import case
from tests.support.fault_server import FaultServer
from tests.support.replies import http
from tests.task_runs import airflow_runs, run_dag
from tests.task_runs.conftest import SetConnection
from tests.task_runs.dags.detach_dags import ASSISTANT


@pytest.fixture
def database() -> Iterator[str]:
    """Start a PostgreSQL for one test, and return its URL for Airflow."""
    if postgresql.programs() is None:
        pytest.skip(postgresql.REMEDY)
    with postgresql.running() as url:
        yield url


@case("A11")
def test_whatever_the_server_says_can_be_stored(connect: SetConnection, database: str) -> None:
    unstorable = (
        f'{{"assistant_id": "{ASSISTANT}", "workflow_id": "flow_\\u0000\\ud800x", '
        '"message": "nul \\u0000, surrogate \\udfff, escape \\u001b[31mred", "more": [1e300, "\\u0000"]}'
    )
    airflow_runs.migrate(AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=database)
    with FaultServer([http(200, unstorable, [("Content-Type", "application/json")])]) as server:
        connect(server.url)
        run = run_dag.start("detach_dags.detach_no_retries", AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=database)
        result = run_dag.result_of(run)["detach"]
    assert result["state"] == "success"
    expected = {
        "assistant_id": ASSISTANT,
        "workflow_id": "flow_\ufffd\ufffdx",
        "message": "nul \ufffd, surrogate \ufffd, escape red",
    }
    assert result["xcoms"]["return_value"] == result["xcoms"]["return_value"] | expected
