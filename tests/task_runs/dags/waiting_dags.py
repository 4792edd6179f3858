"""DAGs that wait without a worker: a sensor that is deferred, and a detach that comes back later."""

# This comment names Airflow, which parses only files that do.
from __future__ import annotations

from tests.task_runs.dags.detach_dags import one_detach
from tests.task_runs.dags.workflow_dags import AT_ONCE, one_wait

detach_come_back = one_detach("detach_come_back", record_workflow=True)
wait_deferred = one_wait(
    "wait_deferred",
    workflow_id="flow_{{ 'new' }}01",
    deferrable=True,
    poke_interval=0.1,
    max_attempts=1,
    retries=1,
    retry_delay=AT_ONCE,
)
