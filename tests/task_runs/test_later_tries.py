"""What a later try knows of a DELETE that an earlier one sent: Airflow's task state store, from 3.3 on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.airflow_versions import HAS_STORE
from tests.task_runs import airflow_runs
from tests.task_runs.dags import detach_dags
from tests.task_runs.dags.detach_dags import ASSISTANT, FLOW


def states(dag: Any) -> list[Any]:
    """Return what the store holds of a DAG's tasks."""
    if not HAS_STORE:
        return []
    from airflow.models.task_state_store import TaskStateStoreModel

    return [row.value for row in airflow_runs.records(TaskStateStoreModel, dag_id=dag.dag_id)]


def test_a_later_try_still_returns_what_was_linked(sandbox: Any) -> None:
    sandbox.reset_connection(method="DELETE", after_commit=True)
    result = airflow_runs.run(detach_dags.detach_recorded)["detach"]
    assert (result.state, result.tries) == ("success", 2)
    assert result.xcoms["return_value"]["workflow_id"] == (FLOW if HAS_STORE else None)
    sandbox.assert_detached_once(ASSISTANT, FLOW)


@pytest.mark.parametrize("status", [401, 422])
def test_a_refusal_leaves_no_state(sandbox: Any, status: int) -> None:
    before = states(detach_dags.detach_recorded)
    sandbox.fail(status, method="DELETE")
    assert airflow_runs.run(detach_dags.detach_recorded)["detach"].state == "failed"
    assert states(detach_dags.detach_recorded) == before


def test_the_state_stays_while_the_outcome_is_unknown(sandbox: Any) -> None:
    before = states(detach_dags.detach_recorded)
    sandbox.fail(503, method="DELETE", times=2)
    assert airflow_runs.run(detach_dags.detach_recorded)["detach"].state == "failed"
    assert len(states(detach_dags.detach_recorded)) == len(before) + HAS_STORE
