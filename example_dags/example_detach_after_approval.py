"""Show a human which workflow would be detached, and detach exactly that one once they approve."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, task

from airflow_aitronos.operators.assistants import (
    DetachAssistantWorkflowOperator,
    GetAssistantWorkflowOperator,
)

LINKED = "ti.xcom_pull(task_ids='look')['workflow']"

with DAG(
    dag_id="example_detach_after_approval",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # Nobody at hand by then: the run fails, and nothing is detached.
    dagrun_timeout=timedelta(days=1),
    params={"assistant_id": Param("asst_sales01", type="string", title="Assistant to detach from")},
    tags=["aitronos", "example"],
    doc_md=__doc__,
) as dag:
    look = GetAssistantWorkflowOperator(
        task_id="look",
        assistant_id="{{ params.assistant_id }}",
        retries=2,
        retry_delay=timedelta(minutes=1),
    )

    @task.short_circuit
    def is_linked(link: dict[str, Any]) -> bool:
        """
        Ask nobody if there is nothing to detach: what follows is then skipped.

        :param link: what ``look`` returned.
        """
        return link["workflow_id"] is not None

    approve = ApprovalOperator(
        task_id="approve",
        subject="Detach the workflow of {{ params.assistant_id }}?",
        body=f"Linked now: {{{{ {LINKED}['name'] }}}} ({{{{ {LINKED}['id'] }}}}, "
        f"version {{{{ {LINKED}['version'] }}}})\n\nThere is no undo.",
    )

    # A workflow that is attached between the look and the approval stays linked.
    detach = DetachAssistantWorkflowOperator(
        task_id="detach",
        assistant_id="{{ params.assistant_id }}",
        expected_workflow_id="{{ ti.xcom_pull(task_ids='look')['workflow_id'] }}",
        retries=2,
        retry_delay=timedelta(minutes=5),
    )

    is_linked(look.output) >> approve >> detach
