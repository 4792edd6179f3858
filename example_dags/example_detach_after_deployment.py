"""Deploy a workflow, promote it to a new assistant, and only then detach the workflows of the old ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator

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

    @task(retries=2, retry_delay=timedelta(minutes=1))
    def deploy() -> dict[str, Any]:
        """Create the workflow, or update it: the API finds it by its ``external_id``."""
        from airflow_aitronos.hooks.aitronos import AitronosHook

        with AitronosHook() as hook:
            workflow = hook.request(
                "POST",
                "/v1/workflows",
                json={"name": "Answers", "definition": DEFINITION, "external_id": "answers"},
                # An upsert: sent twice, it still leaves one workflow.
                idempotent=True,
            )
        return {"workflow_id": workflow["id"], "version": workflow["version"]}

    # No retries: if a worker dies here, a second try would make a second assistant.
    @task(retries=0)
    def promote(deployed: dict[str, Any]) -> str:
        """
        Make a new assistant from the workflow.

        :param deployed: what ``deploy`` returned.
        """
        from airflow_aitronos.hooks.aitronos import AitronosHook

        with AitronosHook() as hook:
            promoted = hook.request(
                "POST",
                "/v1/workflows/{workflow_id}/promote-to-assistant",
                path_params={"workflow_id": deployed["workflow_id"]},
                json={"name": f"Answers, version {deployed['version']}"},
            )
        return str(promoted["assistant_id"])

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

    promote(deploy()) >> detach
