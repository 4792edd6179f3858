"""Run DAGs through Airflow's own task runner, and read the results with Airflow's own models."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from unittest.mock import patch

from airflow_aitronos.testing import process_state
from tests.support.programs import output_of


@dataclass
class TaskResult:
    """
    A task instance, as Airflow's database has it.

    :param state: its state.
    :param tries: how often it ran.
    :param label: its rendered map index.
    :param xcoms: what it pushed, by key.
    :param rendered: its rendered template fields.
    """

    state: str
    tries: int
    label: str | None = None
    xcoms: dict[str, Any] = field(default_factory=dict)
    rendered: dict[str, Any] = field(default_factory=dict)


def migrate(**environment: str) -> None:
    """
    Make Airflow's database, and write the DAGs to it.

    :param environment: variables that differ from this process.
    """
    _airflow("db", "migrate", **environment)
    _airflow("dags", "reserialize", **environment)


def _airflow(*arguments: str, **environment: str) -> None:
    output_of([sys.executable, "-m", "airflow", *arguments], env={**os.environ, **environment})


def run(dag: Any, logical_date: datetime | None = None, **arguments: Any) -> dict[str, TaskResult]:
    """
    Run a DAG in this process, and return its task instances by name.

    :param dag: of one of the modules in ``dags``.
    :param logical_date: of the run.
    :param arguments: more arguments of ``dag.test()``.
    """
    if logical_date is not None:
        arguments["logical_date"] = logical_date
    # dag.test() spends half its time on writing the DAGs to the database, which migrate() has done.
    with process_state.kept(), patch.object(_dagbag(), "sync_bag_to_db"):
        dag_run = dag.test(**arguments)
    return read(dag.dag_id, dag_run.run_id)


def _dagbag() -> Any:
    try:
        from airflow.dag_processing import dagbag
    except ImportError:  # Airflow 3.1
        from airflow.models import dagbag  # type: ignore[no-redef]  # its older path
    return dagbag


def run_again(dag: Any, logical_date: datetime) -> dict[str, TaskResult]:
    """
    Run the tasks of an earlier run once more: *Clear*, or the next try of a task whose process died.

    ``dag.test()`` begins with Airflow's own *Clear*. It marks a task as ``restarting`` that still counts as
    running; the scheduler then makes it a task to retry.

    :param dag: of one of the modules in ``dags``.
    :param logical_date: of the run.
    """
    from airflow.models import dagrun

    # dag.test() would delete the cleared run and make another.
    with patch.object(dagrun, "get_or_create_dagrun", _existing_run):
        return run(dag, logical_date)


def _existing_run(*, dag: Any, logical_date: datetime, session: Any, **_: Any) -> Any:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    dag_run = session.scalars(select(DagRun).filter_by(dag_id=dag.dag_id, logical_date=logical_date)).one()
    for instance in dag_run.get_task_instances(session=session):
        if instance.state == "restarting" and hasattr(instance, "complete_restart"):  # Airflow 3.4
            instance.complete_restart(session=session)
        elif instance.state == "restarting":
            instance.set_state("up_for_retry", session=session)
    dag_run.dag = dag
    dag_run.state = "running"
    session.commit()
    return dag_run


def records(model: Any, **values: str) -> list[Any]:
    """
    Return the rows of one of Airflow's models.

    :param model: class of ``airflow.models``.
    :param values: that its columns must have.
    """
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return list(session.scalars(select(model).filter_by(**values)))


def read(dag_id: str, run_id: str) -> dict[str, TaskResult]:
    """
    Return the task instances of a run by name: the task id, with the map index if there is one.

    :param dag_id: of the DAG.
    :param run_id: of the run.
    """
    from airflow.models.dagrun import DagRun
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.xcom import XComModel

    tasks = {}
    (dag_run,) = records(DagRun, dag_id=dag_id, run_id=run_id)
    for instance in dag_run.get_task_instances():
        tasks[_name(instance)] = TaskResult(
            str(instance.state),
            instance.try_number,
            instance.rendered_map_index,
            rendered=RenderedTaskInstanceFields.get_templated_fields(instance) or {},
        )
    for xcom in records(XComModel, dag_id=dag_id, run_id=run_id):
        tasks[_name(xcom)].xcoms[xcom.key] = decoded(xcom.value)
    return tasks


def _name(row: Any) -> str:
    return str(row.task_id) if row.map_index < 0 else f"{row.task_id}[{row.map_index}]"


def extras(dag: Any) -> list[dict[str, Any]]:
    """
    Return the extras of a DAG's asset events.

    :param dag: whose tasks have outlets.
    """
    from airflow.models.asset import AssetEvent

    return [event.extra for event in records(AssetEvent, source_dag_id=dag.dag_id)]


def decoded(value: Any) -> Any:
    """Decode a JSON column: some databases do it, and some versions of Airflow encode twice."""
    for _ in range(2):
        if isinstance(value, str | bytes):
            with contextlib.suppress(ValueError):
                value = json.loads(value)
    return value
