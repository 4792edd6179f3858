"""The DAGs that the task runs are made with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetAlias, task

from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from tests.task_runs import callbacks

START = datetime(2026, 1, 1, tzinfo=UTC)
ASSISTANT = "asst_abc123def456"
FLOW = "flow_abc123def456"
AT_ONCE = timedelta(0)


def one_detach(dag_id: str, **arguments: Any) -> DAG:
    """Return a DAG with one detach whose callbacks are recorded."""
    with DAG(dag_id, schedule=None, start_date=START) as dag:
        DetachAssistantWorkflowOperator(
            **{
                "task_id": "detach",
                "assistant_id": ASSISTANT,
                "retry_delay": AT_ONCE,
                "on_failure_callback": callbacks.on_failure,
                "on_retry_callback": callbacks.on_retry,
                **arguments,
            }
        )
    return dag


detach_no_retries = one_detach("detach_no_retries")
detach_3_retries = one_detach("detach_3_retries", retries=3)
detach_in_two_seconds = one_detach("detach_in_two_seconds", execution_timeout=timedelta(seconds=2))
detach_without_xcom = one_detach("detach_without_xcom", do_xcom_push=False)
detach_recorded = one_detach("detach_recorded", record_workflow=True, max_attempts=1, retries=1)
detach_unless_none = one_detach(
    "detach_unless_none", record_workflow=True, max_attempts=1, retries=1, if_not_attached="fail"
)
detach_expected = one_detach("detach_expected", expected_workflow_id=FLOW)
detach_or_skip = one_detach("detach_or_skip", if_not_attached="skip")
RETIRED = Asset("retired_workflows")
detach_checked = one_detach("detach_checked", check_only=True, outlets=[RETIRED])
detach_with_outlet = one_detach(
    "detach_with_outlet",
    record_workflow=True,
    outlets=[RETIRED, AssetAlias("any"), Asset.ref(name="retired_by_name")],
)
declare_by_name = DAG("declare_by_name", schedule=[Asset("retired_by_name")], start_date=START)

with DAG("detach_mapped_expected", schedule=None, start_date=START) as detach_mapped_expected:
    DetachAssistantWorkflowOperator.partial(task_id="detach", retries=0).expand_kwargs(
        [
            {"assistant_id": ASSISTANT, "expected_workflow_id": FLOW},
            # The workflow id of an assistant that has none.
            {"assistant_id": "asst_other", "expected_workflow_id": None},
        ]
    )


with DAG(
    "detach_rate_limited",
    schedule=None,
    start_date=START,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=5)},
) as detach_rate_limited:
    DetachAssistantWorkflowOperator(task_id="plain", assistant_id=ASSISTANT)
    DetachAssistantWorkflowOperator.partial(task_id="mapped").expand(assistant_id=[ASSISTANT])

with DAG("detach_from_upstream", schedule=None, start_date=START) as detach_from_upstream:

    @task
    def choose() -> str:
        return ASSISTANT

    @task
    def report(detached: dict[str, Any]) -> str:
        return f"freed {detached['workflow_id']}"

    report(
        DetachAssistantWorkflowOperator(task_id="detach", assistant_id=choose()).output  # type: ignore[arg-type]  # XComArgs stand for what they will hold
    )

with DAG("detach_mapped", schedule=None, start_date=START) as detach_mapped:
    DetachAssistantWorkflowOperator.partial(task_id="detach", retries=0).expand(
        assistant_id=[f"asst_{number}" for number in range(20)]
    )
