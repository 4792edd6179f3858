"""The DAGs that the operators on workflows, and the sensor, are run in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, BaseOperator
from airflow.sdk.definitions.template import literal

from airflow_aitronos.operators.assistants import GetAssistantWorkflowOperator
from airflow_aitronos.operators.workflows import (
    DeployWorkflowOperator,
    PromoteWorkflowToAssistantOperator,
)
from airflow_aitronos.sensors.assistants import AssistantWorkflowSensor

START = datetime(2026, 1, 1, tzinfo=UTC)
AT_ONCE = timedelta(0)
DEFINITION = {"nodes": [{"id": "a", "prompt": "Hello {{ customer }}"}], "edges": []}


def one_task(
    operator: type[BaseOperator], dag_id: str, of_dag: dict[str, Any] | None = None, **arguments: Any
) -> DAG:
    """Return a DAG with one task, called like its DAG."""
    with DAG(dag_id, schedule=None, start_date=START, **(of_dag or {})) as dag:
        operator(task_id=dag_id, **arguments)
    return dag


deploy_literal = one_task(
    DeployWorkflowOperator,
    "deploy_literal",
    name="Answers",
    definition=literal(DEFINITION),
    external_id="answers",
    outlets=[Asset("deployment")],
)
deploy_templated = one_task(
    DeployWorkflowOperator,
    "deploy_templated",
    name="Answers of {{ dag.dag_id }}",
    definition={"nodes": [{"id": "{{ 'a' }}"}], "edges": []},
    description="for {{ 'all' }}",
    external_id="answers-{{ dag.dag_id }}",
)
deploy_without_external_id = one_task(
    DeployWorkflowOperator, "deploy_without_external_id", name="Answers", definition={"nodes": []}
)


promote = one_task(
    PromoteWorkflowToAssistantOperator,
    "promote",
    workflow_id="flow_{{ 'spare' }}01",
    name="Spare of {{ dag.dag_id }}",
    outlets=[Asset("promotion")],
)
promote_1_retry = one_task(
    PromoteWorkflowToAssistantOperator,
    "promote_1_retry",
    workflow_id="flow_spare01",
    retries=1,
    retry_delay=AT_ONCE,
)
with DAG(
    "promote_default_args", schedule=None, start_date=START, default_args={"retries": 3}
) as promote_default_args:
    PromoteWorkflowToAssistantOperator(task_id="promote", workflow_id="flow_spare01")

with DAG("promote_mapped", schedule=None, start_date=START) as promote_mapped:
    PromoteWorkflowToAssistantOperator.partial(task_id="promote").expand(
        workflow_id=["flow_spare01", "flow_support01"]
    )
    PromoteWorkflowToAssistantOperator.partial(task_id="promote_with_retries", retries=2).expand(
        workflow_id=["flow_spare01"]
    )

read_link = one_task(GetAssistantWorkflowOperator, "read_link", assistant_id="asst_{{ 'support' }}01")


def one_wait(dag_id: str, **arguments: Any) -> DAG:
    """Return a DAG with one sensor that pokes without a pause."""
    fields = {"assistant_id": "asst_support01", "until": "linked", "poke_interval": 0, "timeout": 60}
    return one_task(AssistantWorkflowSensor, dag_id, **{**fields, **arguments})


wait_for_any = one_wait("wait_for_any")
wait_for_one = one_wait("wait_for_one", workflow_id="flow_{{ 'new' }}01")
wait_for_none = one_wait("wait_for_none", until="unlinked", mode="reschedule")
wait_not_a_second = one_wait("wait_not_a_second", until="unlinked", timeout=0)
wait_with_retry = one_wait("wait_with_retry", retries=1, retry_delay=AT_ONCE, max_attempts=1)
wait_silently = one_wait("wait_silently", silent_fail=True, max_attempts=1)
wait_long = one_wait("wait_long", until="unlinked", poke_interval=3600, silent_fail=True)

with DAG("wait_mapped", schedule=None, start_date=START) as wait_mapped:
    AssistantWorkflowSensor.partial(
        task_id="wait", until="linked", mode="reschedule", poke_interval=0, timeout=60
    ).expand(assistant_id=["asst_support01", "asst_billing01"])
