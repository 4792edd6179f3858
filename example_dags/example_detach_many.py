"""
Detach the workflows of many assistants, within the rate that the API allows.

The vendor documents 100 requests a minute for a standard account. A mapped task holds its slot of the pool
for about two seconds, start included, so three slots make about 90 requests a minute. Make the pool once:
``airflow pools set aitronos 3 "Calls to Aitronos"``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator

with DAG(
    dag_id="example_detach_many",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={
        "assistants": Param(
            ["asst_support01", "asst_billing01", "asst_onboarding01"],
            type="array",
            title="Assistants to detach from",
        )
    },
    tags=["aitronos", "example"],
    doc_md=__doc__,
) as dag:

    @task
    def assistants(params: dict[str, Any] | None = None) -> list[str]:
        """
        Return the assistants, each once.

        :param params: of the DAG run.
        """
        return sorted(set((params or {})["assistants"]))

    DetachAssistantWorkflowOperator.partial(
        task_id="detach",
        # The grid shows assistants instead of numbers.
        map_index_template="{{ task.assistant_id }}",
        pool="aitronos",
        retries=2,
        retry_delay=timedelta(minutes=5),
    ).expand(assistant_id=assistants())
