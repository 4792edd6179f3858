"""
Create a trial assistant from a workflow, and detach the workflow whether the trial succeeds or fails.

Each run leaves an assistant without a workflow behind: no documented call deletes an assistant.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task

from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator

DEFINITION = {
    "nodes": [{"id": "answer", "type": "llm", "prompt": "Answer politely."}],
    "edges": [],
}

with DAG(
    dag_id="example_detach_as_teardown",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["aitronos", "example"],
    doc_md=__doc__,
) as dag:
    # No retries: a second try would create a second assistant.
    @task(retries=0)
    def set_up_trial() -> str:
        """Create an assistant from the trial workflow, and return its id."""
        from airflow_aitronos.hooks.aitronos import AitronosHook

        with AitronosHook() as hook:
            workflow = hook.create_workflow(name="Trial", definition=DEFINITION, external_id="trial")
            promoted = hook.promote_workflow_to_assistant(workflow["id"], name="Trial")
        return promoted["assistant_id"]

    @task
    def try_out(assistant_id: str) -> str:
        """
        Check that the workflow is linked; put your own trial here.

        :param assistant_id: what ``set_up_trial`` returned.
        """
        from airflow_aitronos.hooks.aitronos import AitronosHook

        with AitronosHook() as hook:
            workflow = hook.get_assistant_workflow(assistant_id)
        if workflow is None:
            raise ValueError(f"{assistant_id} has no workflow")
        return f"{assistant_id} uses {workflow['name']}, version {workflow['version']}"

    assistant = set_up_trial()
    # A teardown runs whether the trial succeeds or fails, if its set-up succeeded. Without
    # on_failure_fail_dagrun, Airflow marks the run a success even if its teardown fails.
    detach = DetachAssistantWorkflowOperator(
        task_id="detach", assistant_id=assistant, retries=2, retry_delay=timedelta(minutes=5)
    )
    try_out(assistant) >> detach.as_teardown(setups=assistant, on_failure_fail_dagrun=True)
