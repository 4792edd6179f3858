"""What a later try knows of a DELETE that an earlier one sent: Airflow's task state store, from 3.3 on."""

from __future__ import annotations

from typing import Any

from tests.support.airflow_versions import HAS_STORE
from tests.task_runs import airflow_runs
from tests.task_runs.dags import detach_dags
from tests.task_runs.dags.detach_dags import ASSISTANT, FLOW


def test_a_later_try_still_returns_what_was_linked(sandbox: Any) -> None:
    sandbox.reset_connection(method="DELETE", after_commit=True)
    result = airflow_runs.run(detach_dags.detach_recorded)["detach"]
    assert (result.state, result.tries) == ("success", 2)
    assert result.xcoms["return_value"]["workflow_id"] == (FLOW if HAS_STORE else None)
    sandbox.assert_detached_once(ASSISTANT, FLOW)
