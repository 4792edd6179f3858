"""Run a DAG through Airflow's own task runner, and say what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

_BUNDLE = "dags-folder"


@dataclass(frozen=True)
class TaskResult:
    """
    What became of a task.

    :param state: its state, such as ``success`` or ``failed``.
    :param tries: how often it ran.
    :param xcom: what it returned.
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
        Run a DAG in this process, retries included, which follow at once whatever ``retry_delay`` says.

        :param dag: the DAG, from wherever it is defined.
        :param arguments: for ``dag.test()``, such as ``run_conf`` or ``logical_date``.
        :return: states, tries and returned values.
        """
        with _without_retry_delay(dag), _without_retry_policy():
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


@contextmanager
def _without_retry_delay(dag: Any) -> Iterator[None]:
    """Let retries follow at once inside a block; ``dag.test()`` really waits for them."""
    holders = [getattr(task, "partial_kwargs", None) for task in dag.tasks]
    fields = [
        vars(task) if holder is None else holder for task, holder in zip(dag.tasks, holders, strict=True)
    ]
    before = [(one, one.get("retry_delay")) for one in fields]
    for one in fields:
        one["retry_delay"] = timedelta(0)
    try:
        yield
    finally:
        for one, value in before:
            if value is None:
                del one["retry_delay"]
            else:
                one["retry_delay"] = value


@contextmanager
def _without_retry_policy() -> Iterator[None]:
    """Let the policy that our operators bring ask for no wait inside a block."""
    try:
        from airflow.sdk import RetryDecision

        from airflow_aitronos.retry_policy import AitronosRetryPolicy
    except ImportError:  # Airflow 3.1 and 3.2
        yield
        return
    # On the class: a mapped task makes its own only when it runs.
    with patch.object(AitronosRetryPolicy, "evaluate", return_value=RetryDecision.default()):
        yield


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
        values = {_name(one): _decoded(one.value) for one in pushed}
        tasks = {
            _name(one): TaskResult(one.state and str(one.state), one.try_number, values.get(_name(one)))
            for one in instances
        }
    return DagResult(str(dag_run.state), tasks)


def _name(instance: Any) -> str:
    return instance.task_id if instance.map_index < 0 else f"{instance.task_id}[{instance.map_index}]"


def _decoded(value: Any) -> Any:
    # JSON text, encoded once more by some versions of Airflow.
    for _ in range(2):
        if isinstance(value, str):
            with suppress(ValueError):
                value = json.loads(value)
    return value
