"""The DAGs of ``make e2e AIRFLOW=3.4``: tasks that wait without a worker, and one that needs a worker."""

from __future__ import annotations

from airflow.sdk import DAG, task

from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from airflow_aitronos.sensors.assistants import AssistantWorkflowSensor


def fleet(number: int) -> list[str]:
    """Return the ids of assistants of the sandbox."""
    return [f"asst_fleet{one:05d}" for one in range(1, number + 1)]


with DAG("limited", schedule=None):
    DetachAssistantWorkflowOperator.partial(task_id="detach", retries=0).expand(assistant_id=fleet(4))

with DAG("fifty_sensors", schedule=None):
    AssistantWorkflowSensor.partial(
        task_id="wait", until="unlinked", deferrable=True, poke_interval=5, timeout=600
    ).expand(assistant_id=fleet(50))

with DAG("bystander", schedule=None):

    @task
    def run() -> None:
        """Need a worker slot."""

    run()
