"""The same detaches as one task and as mapped tasks, for ``benchmarks.mapped``."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from airflow_aitronos.operators.fleet import DetachAssistantWorkflowsOperator

ITEMS = 50
IDS = [f"asst_fleet{number:05d}" for number in range(ITEMS)]

with DAG("one_task") as one_task:
    DetachAssistantWorkflowsOperator(
        task_id="detach", assistant_ids=IDS, record_workflow=False, requests_per_minute=None
    )

with DAG("mapped_tasks") as mapped_tasks:
    DetachAssistantWorkflowOperator.partial(task_id="detach").expand(assistant_id=IDS)
