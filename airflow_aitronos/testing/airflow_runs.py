"""Run a DAG through Airflow's own task runner, and say what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_aitronos.testing.process_state import kept
from airflow_aitronos.testing.retries import at_once

_BUNDLE = "dags-folder"


@dataclass(frozen=True)
class TaskResult:
    """
    What became of a task.

    :param state: its state, such as ``success`` or ``failed``.
    :param tries: how often it ran.
    :param xcom: what it returned, as Airflow stores it.
    """

    state: str | None
    tries: int
    xcom: Any


@dataclass(frozen=True)
class DagResult:
    """
    What became of a DAG run.

    :param state: of the run, ``success`` or ``failed``.
    :param tasks: its tasks by name: the task id, with the map index if there is one, as in ``detach[0]``.
    """

    state: str
    tasks: Mapping[str, TaskResult] = field(default_factory=dict)

    def __getitem__(self, name: str) -> TaskResult:
        """Return one task by its name."""
        return self.tasks[name]


class AirflowRunner:
    """
    Make the database of an Airflow home that is new, and run DAGs in it.

    :param dags_folder: an empty folder that Airflow is told to look for DAGs in.
    """

    def __init__(self, dags_folder: Path) -> None:
        from airflow.utils.db import initdb

        self._dags_folder = dags_folder
        initdb()

    def run(self, dag: Any, **arguments: Any) -> DagResult:
        """
        Run a DAG in this process, retries included, which follow at once whatever the tasks say about delays.

        :param dag: the DAG, from wherever it is defined.
        :param arguments: for ``dag.test()``, such as ``run_conf`` or ``logical_date``.
        :return: states, tries and returned values.
        """
        with kept(), at_once(dag):
            self._register(dag)
            dag_run = dag.test(**arguments)
        return _result(dag.dag_id, dag_run)

    def _register(self, dag: Any) -> None:
        """Write the DAG to the database: ``dag.test()`` would look for its file in the DAGs folder else."""
        from airflow.dag_processing.bundles.manager import DagBundlesManager

        try:
            from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
        except ImportError:  # Airflow 3.1
            from airflow.models.dagbag import DagBag, sync_bag_to_db  # type: ignore[no-redef]

        manager: Any = DagBundlesManager
        manager().sync_bundles_to_db()
        bag = DagBag(dag_folder=self._dags_folder)
        bag.dags[dag.dag_id] = dag
        sync_bag_to_db(bag, _BUNDLE, None)


def _result(dag_id: str, dag_run: Any) -> DagResult:
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    run_id = dag_run.run_id
    with create_session() as session:
        instances = list(session.scalars(select(TaskInstance).filter_by(dag_id=dag_id, run_id=run_id)))
        pushed = session.scalars(
            select(XComModel).filter_by(dag_id=dag_id, run_id=run_id, key="return_value")
        )
        values = {_name(one): one.value for one in pushed}
        tasks = {
            _name(one): TaskResult(one.state and str(one.state), one.try_number, values.get(_name(one)))
            for one in instances
        }
    return DagResult(str(dag_run.state), tasks)


def _name(instance: Any) -> str:
    return instance.task_id if instance.map_index < 0 else f"{instance.task_id}[{instance.map_index}]"
