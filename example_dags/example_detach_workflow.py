"""Detach the workflow of one assistant every week, and use the id of the workflow that was detached."""

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
    params={"assistant_id": Param("asst_support01", type="string", title="Assistant to detach from")},
    tags=["aitronos", "example"],
    doc_md=__doc__,
) as dag:
    # Takes off whatever is linked. If somebody may link another workflow meanwhile, name the one you mean in
    # expected_workflow_id: anything else is then left alone.
    detach = DetachAssistantWorkflowOperator(
        task_id="detach",
        assistant_id="{{ params.assistant_id }}",
        retries=2,
        retry_delay=timedelta(minutes=5),
    )

    @task
    def note_down(detached: dict[str, Any]) -> str:
        """
        Say which workflow is free now.

        :param detached: what the detach returned.
        """
        workflow_id = detached["workflow_id"]
        if workflow_id is None:
            # Nothing was linked, or the answer that named it was lost: the log of "detach" knows.
            return f"No workflow of {detached['assistant_id']} was named"
        # There is no call that links it again, so keep this id where you find it.
        return f"{workflow_id} is no longer linked to {detached['assistant_id']}"

    note_down(detach.output)
