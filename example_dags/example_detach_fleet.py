"""
Detach the workflows of many assistants: choose them, show a human the plan, detach, and report the outcome.

The plan takes one request for each assistant, the detach two: at 60 requests a minute, 1,000 assistants take
17 and 33 minutes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, task

from airflow_aitronos.operators.fleet import DetachAssistantWorkflowsOperator

PLAN = "ti.xcom_pull(task_ids='plan')"
# The vendor documents 100 requests a minute for a standard account, and 60 changes.
REQUESTS_PER_MINUTE = 60

with DAG(
    dag_id="example_detach_fleet",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # If nobody answers by then, the run fails, and nothing is detached.
    dagrun_timeout=timedelta(days=1),
    params={"prefix": Param("Trial", type="string", minLength=1, title="Workflows whose name begins with")},
    tags=["aitronos", "example"],
    doc_md=__doc__,
) as dag:

    @task(retries=2)
    def choose(params: dict[str, Any] | None = None) -> list[dict[str, str]]:
        """
        Return the assistants of all workflows with such a name: one request for 100 workflows.

        :param params: of the DAG run.
        """
        from airflow_aitronos.hooks.aitronos import AitronosHook

        prefix = (params or {})["prefix"]
        with AitronosHook() as hook:
            return [
                {"assistant_id": workflow["assistant_id"], "expected_workflow_id": workflow["id"]}
                for workflow in hook.list_workflows(page_size=100)
                if workflow["assistant_id"] and (workflow["name"] or "").startswith(prefix)
            ]

    fleet = choose()

    # With an empty list this is skipped, and so is all that follows but the last task.
    plan = DetachAssistantWorkflowsOperator(
        task_id="plan",
        assistant_ids=fleet,
        check_only=True,
        requests_per_minute=REQUESTS_PER_MINUTE,
        fail_on_partial_failure=False,
        retries=2,
    )

    approve = ApprovalOperator(
        task_id="approve",
        subject=f"Detach {{{{ {PLAN}['counts'].get('would_detach', 0) }}}} workflows?",
        body=f"{{{{ {PLAN}['counts'] }}}}\n\nThe first:\n\n{{% for one in {PLAN}['detached'][:10] %}}"
        "* {{ one['assistant_id'] }}: {{ one['workflow_id'] }}\n{% endfor %}\n\nThere is no undo.",
    )

    # Links may have changed since they were listed: each is read once more before its DELETE.
    detach = DetachAssistantWorkflowsOperator(
        task_id="detach",
        assistant_ids=fleet,
        requests_per_minute=REQUESTS_PER_MINUTE,
        # An s3:// or gs:// path outlives the worker.
        report_path="file:///tmp/aitronos/{{ dag.dag_id }}/{{ run_id | replace(':', '') }}.jsonl",
        retries=2,
        retry_delay=timedelta(minutes=5),
    )

    @task
    def tell(ti: Any = None) -> dict[str, int]:
        """
        Report the outcome, whether the detach succeeded or not, and fail if some workflows were not detached.

        :param ti: the task instance.
        """
        report = ti.xcom_pull(task_ids="detach") or ti.xcom_pull(task_ids="detach", key="report")
        if report is None:  # nothing was chosen or approved, or a task failed without a report
            return {}
        if report["failed"]:
            lines = [f"{row['assistant_id']}: {row['outcome']}: {row['message']}" for row in report["failed"]]
            raise RuntimeError("\n".join([f"{report['counts']}; see {report['report_path']}", *lines]))
        counts: dict[str, int] = report["counts"]
        return counts

    # As a teardown it always runs, and the state of the run is that of `detach`.
    plan >> approve >> detach >> tell().as_teardown()
