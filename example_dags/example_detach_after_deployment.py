"""
Deploy a workflow, promote it to a new assistant, and only then detach the workflows of the old ones.

Every run creates a new assistant. Pass its id, which ``promote`` returns as ``assistant_id``, in
``old_assistants`` of the next run.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from airflow_aitronos.operators.workflows import (
    DeployWorkflowOperator,
    PromoteWorkflowToAssistantOperator,
)

# A definition with literal {{ }} belongs in a JSON file: see definition_path.
DEFINITION = {
    "nodes": [{"id": "answer", "type": "llm", "prompt": "Answer the customer's question."}],
    "edges": [],
}

with DAG(
    dag_id="example_detach_after_deployment",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={
        "old_assistants": Param(
            ["asst_billing01", "asst_onboarding01"], type="array", title="Assistants to retire"
        )
    },
    tags=["aitronos", "example"],
    doc_md=__doc__,
) as dag:
    # The API finds the workflow by its external_id, so a retry still leaves one workflow.
    deploy = DeployWorkflowOperator(
        task_id="deploy",
        name="Answers",
        definition=DEFINITION,
        external_id="answers",
        retries=2,
        retry_delay=timedelta(minutes=1),
    )

    # This operator has no retries by default: below Airflow 3.3 a second try creates a second assistant.
    promote = PromoteWorkflowToAssistantOperator(
        task_id="promote",
        workflow_id="{{ ti.xcom_pull(task_ids='deploy')['id'] }}",
        name="Answers, version {{ ti.xcom_pull(task_ids='deploy')['version'] }}",
    )

    @task
    def old_assistants(params: dict[str, Any] | None = None) -> list[str]:
        """
        Return the assistants to retire.

        :param params: of the DAG run.
        """
        return list((params or {})["old_assistants"])

    detach = DetachAssistantWorkflowOperator.partial(
        task_id="detach", retries=2, retry_delay=timedelta(minutes=5)
    ).expand(assistant_id=old_assistants())

    deploy >> promote >> detach
