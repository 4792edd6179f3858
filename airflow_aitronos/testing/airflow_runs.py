"""Run a DAG through Airflow's own task runner. Imports Airflow, so its home has to be set before."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.listeners import hookimpl
from airflow.models.xcom import XComModel
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_aitronos.client.validation import ALLOWED_ORIGINS
from airflow_aitronos.testing.process_state import kept
from airflow_aitronos.testing.retries import at_once

try:
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.sdk.listener import get_listener_manager
except ImportError:  # Airflow 3.1
    from airflow.listeners.listener import get_listener_manager  # type: ignore[assignment]
    from airflow.models.dagbag import DagBag, sync_bag_to_db  # type: ignore[no-redef]


@dataclass(frozen=True)
class TaskResult:
    """
    The outcome of a task.

    :param state: its state, such as ``success`` or ``failed``.
    :param tries: how often it ran.
    :param xcom: what it returned, as Airflow stores it.
    :param exception: what its last try raised, None if that try did not fail.
    """

    state: str | None
    tries: int
    xcom: Any
    exception: BaseException | str | None


@dataclass(frozen=True)
class DagResult:
    """
    The outcome of a DAG run.

    :param state: of the run, ``success`` or ``failed``.
    :param tasks: its tasks by name: the task id, with the map index if there is one, as in ``detach[0]``.
    """

    state: str
    tasks: Mapping[str, TaskResult]

    def __getitem__(self, name: str) -> TaskResult:
        """Return one task by its name."""
        if name not in self.tasks:
            raise KeyError(f"no task {name!r} in this run; there are: {', '.join(sorted(self.tasks))}")
        return self.tasks[name]


class AirflowRunner:
    """Make the database of an Airflow home that is new, and run DAGs in it."""

    def __init__(self) -> None:
        self._errors: dict[str, BaseException | str | None] = {}
        initdb()
        get_listener_manager().add_listener(self)  # type: ignore[no-untyped-call]  # Airflow has no types there

    def run(self, dag: Any, **arguments: Any) -> DagResult:
        """
        Run a DAG in this process. Retries follow at once, whatever the tasks say about delays.

        :param dag: the DAG, from wherever it is defined.
        :param arguments: for ``dag.test()``, such as ``run_conf`` or ``logical_date``.
        :return: states, tries, returned values and exceptions.
        """
        with kept(), at_once(dag):
            # For a fixture of a wider scope that asks for this one by name while no test is protected.
            os.environ.setdefault(ALLOWED_ORIGINS, "")
            # In the database dag.test() finds the DAG; otherwise it looks for its file in the DAGs folder.
            DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call]  # nor there
            bag = DagBag()
            bag.dags[dag.dag_id] = dag
            sync_bag_to_db(bag, "dags-folder", None)
            return self._result(dag.test(**arguments))

    @hookimpl
    def on_task_instance_failed(self, task_instance: Any, error: BaseException | str | None) -> None:
        """
        Keep what a task raised. Airflow calls this; 3.1 gives the error to no callback in ``dag.test()``.

        :param task_instance: that failed; each try has an id of its own.
        :param error: that it failed with.
        """
        self._errors[str(task_instance.id)] = error

    def _result(self, dag_run: Any) -> DagResult:
        run = {"dag_id": dag_run.dag_id, "run_id": dag_run.run_id}
        with create_session() as session:
            pushed = session.scalars(select(XComModel).filter_by(**run, key="return_value"))
            values = {_name(one): one.value for one in pushed}
            tasks = {}
            for one in dag_run.get_task_instances(session=session):
                name, error = _name(one), self._errors.get(str(one.id))
                tasks[name] = TaskResult(
                    one.state and str(one.state), one.try_number, values.get(name), error
                )
        return DagResult(str(dag_run.state), tasks)


def _name(instance: Any) -> str:
    return instance.task_id if instance.map_index < 0 else f"{instance.task_id}[{instance.map_index}]"
