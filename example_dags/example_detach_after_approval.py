"""Show a human which workflow would be detached, and detach exactly that one after approval."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, task

from airflow_aitronos.operators.assistants import (
    DetachAssistantWorkflowOperator,
    GetAssistantWorkflowOperator,
)

LINKED = "ti.xcom_pull(task_ids='read_link')['workflow']"

with DAG(
    dag_id="example_detach_after_approval",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # If nobody answers by then, the run fails, and nothing is detached.
    dagrun_timeout=timedelta(days=1),
    params={"assistant_id": Param("asst_sales01", type="string", title="Assistant to detach from")},
    tags=["aitronos", "example"],
    doc_md=__doc__,
) as dag:
    read_link = GetAssistantWorkflowOperator(
        task_id="read_link",
        assistant_id="{{ params.assistant_id }}",
        retries=2,
        retry_delay=timedelta(minutes=1),
    )

    @task.short_circuit
    def is_linked(link: dict[str, Any]) -> bool:
        """
        Skip the question if there is nothing to detach.

        :param link: what ``read_link`` returned.
        """
        return link["workflow_id"] is not None

    approve = ApprovalOperator(
        task_id="approve",
        subject="Detach the workflow of {{ params.assistant_id }}?",
        body=f"Linked now: {{{{ {LINKED}['name'] }}}} ({{{{ {LINKED}['id'] }}}}, "
        f"version {{{{ {LINKED}['version'] }}}})\n\nThere is no undo.",
    )

    # A workflow that is linked between the read and the approval is not detached.
    detach = DetachAssistantWorkflowOperator(
        task_id="detach",
        assistant_id="{{ params.assistant_id }}",
        expected_workflow_id="{{ ti.xcom_pull(task_ids='read_link')['workflow_id'] }}",
        retries=2,
        retry_delay=timedelta(minutes=5),
    )

    is_linked(read_link.output) >> approve >> detach
