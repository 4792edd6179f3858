"""
Detach old assistants whenever another DAG has deployed a new workflow.

The DAG that deploys updates an asset; the asset event carries the assistants to retire.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, Metadata, Param, task

from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator

ANSWERS = Asset("aitronos_answers_workflow")
DEFINITION = {
    "nodes": [{"id": "answer", "type": "llm", "prompt": "Answer the customer's question."}],
    "edges": [],
}

with DAG(
    dag_id="example_deploy_to_asset",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={"old_assistants": Param(["asst_billing01"], type="array", title="Assistants to retire")},
    tags=["aitronos", "example"],
    doc_md=__doc__,
) as deployment:

    @task(outlets=[ANSWERS], retries=2, retry_delay=timedelta(minutes=1))
    def deploy(params: dict[str, Any] | None = None) -> Iterator[Metadata]:
        """
        Create or update the workflow, and update the asset.

        :param params: of the DAG run.
        """
        from airflow_aitronos.hooks.aitronos import AitronosHook

        with AitronosHook() as hook:
            # With an external_id this is an upsert: a retry still leaves one workflow.
            workflow = hook.create_workflow(name="Answers", definition=DEFINITION, external_id="answers")
        yield Metadata(
            ANSWERS,
            {
                "workflow_id": workflow["id"],
                "version": workflow["version"],
                "old_assistants": (params or {})["old_assistants"],
            },
        )

    deploy()

with DAG(
    dag_id="example_detach_on_asset",
    schedule=[ANSWERS],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["aitronos", "example"],
    doc_md=__doc__,
) as dag:

    @task
    def old_assistants(triggering_asset_events: Any = None) -> list[str]:
        """
        Return the assistants to retire, each once, for all deployments of this run.

        :param triggering_asset_events: by asset, from Airflow.
        """
        events = triggering_asset_events[ANSWERS]
        # An event that was created by hand in Airflow has no extra.
        return sorted({assistant for event in events for assistant in event.extra.get("old_assistants", [])})

    DetachAssistantWorkflowOperator.partial(
        task_id="detach", retries=2, retry_delay=timedelta(minutes=5)
    ).expand(assistant_id=old_assistants())
