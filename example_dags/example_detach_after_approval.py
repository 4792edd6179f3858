"""Show a human which workflow would be detached, and detach it only once they approve."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, task

from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator

with DAG(
    dag_id="example_detach_after_approval",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={"assistant_id": Param("asst_sales01", type="string", title="Assistant to detach from")},
    tags=["aitronos", "example"],
    doc_md=__doc__,
) as dag:

    @task(retries=2, retry_delay=timedelta(minutes=1))
    def look(params: dict[str, Any] | None = None) -> str:
        """
        Say which workflow the assistant has.

        :param params: of the DAG run.
        """
        from airflow_aitronos.hooks.aitronos import AitronosHook

        assistant_id = (params or {})["assistant_id"]
        with AitronosHook() as hook:
            workflow = hook.request(
                "GET", "/v1/assistants/{assistant_id}/workflow", path_params={"assistant_id": assistant_id}
            )
        return f"{workflow['name']} ({workflow['id']}, version {workflow['version']})"

    approve = ApprovalOperator(
        task_id="approve",
        subject="Detach the workflow of {{ params.assistant_id }}?",
        body="Linked now: {{ ti.xcom_pull(task_ids='look') }}\n\nThere is no undo.",
        # Nobody at hand by then: the task fails, and nothing is detached.
        response_timeout=timedelta(days=1),
    )

    detach = DetachAssistantWorkflowOperator(
        task_id="detach",
        assistant_id="{{ params.assistant_id }}",
        retries=2,
        retry_delay=timedelta(minutes=5),
    )

    look() >> approve >> detach
