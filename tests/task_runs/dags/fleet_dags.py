"""DAGs that detach from many assistants in one task."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task

from airflow_aitronos.operators.fleet import DetachAssistantWorkflowsOperator
from tests.task_runs.dags.detach_dags import START

FLEET = [f"asst_fleet{number:05d}" for number in range(1, 61)]
REPORTS = Path(os.environ["AIRFLOW_HOME"]) / "reports"


def one_fleet(dag_id: str, assistant_ids: Any, **arguments: Any) -> DAG:
    """Return a DAG with one fleet, whose report names the DAG: below Airflow 3.3 its state lies beside it."""
    with DAG(dag_id, schedule=None, start_date=START) as dag:
        DetachAssistantWorkflowsOperator(
            task_id="detach",
            assistant_ids=assistant_ids,
            requests_per_minute=None,
            report_path=f"{REPORTS}/{{{{ dag.dag_id }}}}.jsonl",
            max_attempts=1,
            retries=1,
            retry_delay=timedelta(0),
            **arguments,
        )
    return dag


detach_fleet = one_fleet("detach_fleet", FLEET)
detach_fleet_once = one_fleet("detach_fleet_once", FLEET)
detach_2000 = one_fleet(
    "detach_2000", [f"asst_fleet{number:05d}" for number in range(1, 2001)], concurrency=4
)

with DAG("detach_chosen_fleet", schedule=None, start_date=START) as detach_chosen_fleet:

    @task
    def choose() -> list[dict[str, str]]:
        """Return assistants, one of them with a workflow that is not linked."""
        linked = {one: one.replace("asst", "flow") for one in FLEET} | {FLEET[30]: "flow_other"}
        return [{"assistant_id": one, "expected_workflow_id": linked[one]} for one in FLEET]

    @task(trigger_rule="all_done")
    def tell(ti: Any = None) -> dict[str, Any]:
        """Return what was done, from a task that may have failed."""
        report = ti.xcom_pull(task_ids="detach") or ti.xcom_pull(task_ids="detach", key="report")
        return {"counts": report["counts"], "failed": report["failed"]}

    detach = DetachAssistantWorkflowsOperator(
        task_id="detach", assistant_ids=choose(), requests_per_minute=None, retries=3
    )
    detach >> tell()
