"""Run DAGs through Airflow's own task runner, and read from its database what became of them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from unittest.mock import patch

from packaging.version import Version

from airflow_aitronos.testing.process_state import kept
from tests.support.airflow_versions import AIRFLOW

MIGRATION_LIMIT = 300
"""Seconds."""


@dataclass
class TaskResult:
    """
    A task instance, as Airflow's database has it.

    :param state: its state.
    :param tries: how often it ran.
    :param xcoms: what it pushed, by key.
    :param rendered: its rendered template fields.
    """

    state: str
    tries: int
    xcoms: dict[str, Any] = field(default_factory=dict)
    rendered: dict[str, Any] = field(default_factory=dict)


def migrate(**environment: str) -> None:
    """
    Make Airflow's database, and put the DAGs into it where ``dag.test()`` does not do that itself.

    :param environment: what is different for it.
    """
    _airflow("db", "migrate", **environment)
    if Version("3.1.1") > AIRFLOW:
        _airflow("dags", "reserialize", **environment)


def _airflow(*arguments: str, **environment: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "airflow", *arguments],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=MIGRATION_LIMIT,
        env={**os.environ, **environment},
    )
    assert finished.returncode == 0, finished.stdout[-3000:]


def run(dag: Any, logical_date: datetime | None = None) -> dict[str, TaskResult]:
    """
    Run a DAG in this process, and return its task instances by name.

    :param dag: of ``dags/detach_dags.py``.
    :param logical_date: of the run; a run of the same date is cleared and run again.
    """
    with kept():
        dag_run = dag.test(**({"logical_date": logical_date} if logical_date else {}))
    return read(dag.dag_id, dag_run.run_id)


def run_again(dag: Any, logical_date: datetime) -> dict[str, TaskResult]:
    """
    Clear a run as *Clear* does, which keeps what belongs to it, and run its tasks once more.

    :param dag: of ``dags/detach_dags.py``.
    :param logical_date: of the run.
    """
    from airflow.models import dagrun

    with patch.object(dagrun, "get_or_create_dagrun", _cleared_run):
        return run(dag, logical_date)


def _cleared_run(*, dag: Any, logical_date: datetime, session: Any, **_: Any) -> Any:
    """Return the run that there is, its tasks cleared; ``dag.test()`` would delete it and make another."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import clear_task_instances

    dag_run = session.query(DagRun).filter_by(dag_id=dag.dag_id, logical_date=logical_date).one()
    for task_instance in (instances := dag_run.get_task_instances(session=session)):
        # A process that was killed leaves a task running, until the scheduler finds that out.
        task_instance.set_state("failed", session=session)
    clear_task_instances(instances, session=session)
    dag_run.dag = dag
    dag_run.state = "running"
    session.commit()
    return dag_run


def read(dag_id: str, run_id: str) -> dict[str, TaskResult]:
    """
    Return the task instances of a run by name: the task id, with the map index if there is one.

    :param dag_id: of the DAG.
    :param run_id: of the run.
    """
    tasks = {}
    for task_id, map_index, state, tries in _select(
        "SELECT task_id, map_index, state, try_number FROM task_instance", dag_id, run_id
    ):
        tasks[_name(task_id, map_index)] = TaskResult(state, tries)
    for task_id, map_index, key, value in _select(
        "SELECT task_id, map_index, key, value FROM xcom", dag_id, run_id
    ):
        tasks[_name(task_id, map_index)].xcoms[key] = decoded(value)
    for task_id, map_index, fields in _select(
        "SELECT task_id, map_index, rendered_fields FROM rendered_task_instance_fields", dag_id, run_id
    ):
        tasks[_name(task_id, map_index)].rendered = decoded(fields)
    return tasks


def _select(query: str, dag_id: str, run_id: str) -> list[Any]:
    of_the_run = f"{query} WHERE dag_id = :dag_id AND run_id = :run_id"
    return [tuple(row.values()) for row in rows(of_the_run, dag_id=dag_id, run_id=run_id)]


def rows(query: str, **values: str) -> list[dict[str, Any]]:
    """
    Return what a query of Airflow's database gives, each row by column.

    :param query: SQL.
    :param values: of its named parameters.
    """
    from airflow.configuration import conf
    from sqlalchemy import create_engine, text

    engine = create_engine(conf.get("database", "sql_alchemy_conn"))
    try:
        with engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(query), values).mappings()]
    finally:
        engine.dispose()


def _name(task_id: str, map_index: int) -> str:
    return task_id if map_index < 0 else f"{task_id}[{map_index}]"


def decoded(value: Any) -> Any:
    # JSON text in a JSON column: decoded by some databases, and encoded twice by some versions of Airflow.
    for _ in range(2):
        if isinstance(value, str | bytes):
            with contextlib.suppress(ValueError):
                value = json.loads(value)
    return value
