"""DAGs whose calls work, while something around them fails."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.lineage.entities import File
from airflow.sdk import DAG, Asset

from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from airflow_aitronos.operators.workflows import (
    DeployWorkflowOperator,
    PromoteWorkflowToAssistantOperator,
)
from tests.task_runs.dags.detach_dags import ASSISTANT, AT_ONCE, START, one_detach

SPARE = "flow_spare01"

with DAG(
    "detach_then_promote",
    schedule=None,
    start_date=START,
    default_args={"retries": 1, "retry_delay": AT_ONCE, "max_attempts": 1},
) as detach_then_promote:
    detached = DetachAssistantWorkflowOperator(task_id="detach", assistant_id=ASSISTANT)
    detached >> PromoteWorkflowToAssistantOperator(task_id="promote", workflow_id=SPARE)

detach_switched = one_detach(
    "detach_switched", check_only="{{ params.dry }}", retries=1, params={"dry": False}
)

BAD_OUTLETS: dict[str, Any] = {
    "file": File("file:///tmp/report"),
    "text": "a text",
    "undefined": Asset.ref(name="nobody_defines_it"),
}
with DAG(
    "calls_with_bad_outlets",
    schedule=None,
    start_date=START,
    default_args={"retries": 1, "retry_delay": AT_ONCE},
) as calls_with_bad_outlets:
    for kind, outlet in BAD_OUTLETS.items():
        DetachAssistantWorkflowOperator(task_id=kind, assistant_id=f"asst_{kind}", outlets=[outlet])
    outlets = list(BAD_OUTLETS.values())
    PromoteWorkflowToAssistantOperator(task_id="promote", workflow_id=SPARE, outlets=outlets)
    DeployWorkflowOperator(task_id="deploy", name="Answers", definition={"nodes": []}, outlets=outlets)
