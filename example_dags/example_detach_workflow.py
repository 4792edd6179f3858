"""
Detach the workflow of one assistant every week, and branch on the outcome.

*Check only* in the trigger form shows what a run would detach, and changes nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator

with DAG(
    dag_id="example_detach_workflow",
    schedule="@weekly",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={
        "assistant_id": Param("asst_support01", type="string", title="Assistant to detach from"),
        "check_only": Param(False, type="boolean", title="Check only"),
    },
    tags=["aitronos", "example"],
    doc_md=__doc__,
) as dag:
    # Detaches whatever is linked. If somebody may link another workflow meanwhile, pass the one you mean as
    # expected_workflow_id: any other stays linked.
    detach = DetachAssistantWorkflowOperator(
        task_id="detach",
        assistant_id="{{ params.assistant_id }}",
        check_only="{{ params.check_only }}",
        retries=2,
        retry_delay=timedelta(minutes=5),
        execution_timeout=timedelta(minutes=10),
    )

    @task
    def report(result: dict[str, Any]) -> str:
        """
        Say what happened.

        :param result: what the detach returned.
        """
        assistant, workflow = result["assistant_id"], result["workflow_id"]
        if result["outcome"] == "would_detach":
            return f"{workflow} is still linked to {assistant}: this was a check only"
        if result["outcome"] == "not_attached":
            return f"{assistant} had no workflow linked"
        if workflow is None:
            return f"{assistant} lost a workflow that no response named: read the log of the detach"
        # No call links it again, so keep this id where you find it.
        return f"{workflow} is no longer linked to {assistant}"

    report(detach.output)
