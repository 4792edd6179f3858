"""The DAGs of ``make e2e ENGINE=celery``, beside the examples: each says in its conf what it is about."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, get_current_context, task

from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from airflow_aitronos.operators.fleet import DetachAssistantWorkflowsOperator
from airflow_aitronos.operators.workflows import PromoteWorkflowToAssistantOperator

ONE_RETRY = {"retries": 1, "retry_delay": timedelta(seconds=1)}


@task
def assistants() -> list[str]:
    """Return the assistants that the run is about."""
    ids: list[str] = (get_current_context()["dag_run"].conf or {})["assistants"]
    return ids


@task
def halves() -> list[list[str]]:
    """Return the assistants that the run is about, in two lists."""
    ids: list[str] = (get_current_context()["dag_run"].conf or {})["assistants"]
    return [ids[::2], ids[1::2]]


# Each try fails soon while the broker or the XCom route is away, so the tries have to outlast that.
RETRIES_THAT_OUTLAST = {"retries": 3, "retry_delay": timedelta(seconds=10)}

for dag_id, arguments in (("detach_one", ONE_RETRY), ("detach_outlasting", RETRIES_THAT_OUTLAST)):
    with DAG(dag_id, schedule=None, default_args=arguments):
        DetachAssistantWorkflowOperator(
            task_id="detach", assistant_id="{{ dag_run.conf['assistant_id'] }}", record_workflow=True
        )

with DAG("promote_one", schedule=None, default_args=ONE_RETRY):
    PromoteWorkflowToAssistantOperator(task_id="promote", workflow_id="{{ dag_run.conf['workflow_id'] }}")

# These are measured against a server that allows so many requests a minute.
LIMITED = {**ONE_RETRY, "aitronos_conn_id": "limited"}

with DAG("detach_mapped", schedule=None, default_args=ONE_RETRY):
    DetachAssistantWorkflowOperator.partial(task_id="detach").expand(assistant_id=assistants())

with DAG("detach_mapped_limited", schedule=None, default_args=LIMITED):
    DetachAssistantWorkflowOperator.partial(task_id="detach").expand(assistant_id=assistants())

with DAG("detach_mapped_in_pool", schedule=None, default_args=LIMITED):
    DetachAssistantWorkflowOperator.partial(task_id="detach", pool="aitronos").expand(
        assistant_id=assistants()
    )

with DAG("detach_fleet", schedule=None, default_args=LIMITED):
    DetachAssistantWorkflowsOperator(
        task_id="detach", assistant_ids=assistants(), record_workflow=False, requests_per_minute=30
    )

with DAG("detach_two_fleets", schedule=None, default_args=LIMITED):
    DetachAssistantWorkflowsOperator.partial(
        task_id="detach", record_workflow=False, requests_per_minute=15
    ).expand(assistant_ids=halves())
