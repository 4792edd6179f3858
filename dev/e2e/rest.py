"""Airflow's REST API, as far as the checks use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from dev.e2e.progress import CheckFailedError

_TIMEOUT = 30.0
"""Seconds without a byte."""


@dataclass(frozen=True)
class TaskInstance:
    """
    A task instance, as Airflow tells of it.

    :param name: task id, with the map index if there is one.
    :param state: its state.
    :param tries: how often it ran.
    :param xcom: its return value; None if it pushed none.
    """

    name: str
    state: str | None
    tries: int
    xcom: Any


class Rest:
    """
    A client of one API server.

    :param url: of the server.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        # Neither a proxy nor a .netrc of whoever runs this.
        self._session.trust_env = False

    def is_up(self) -> bool:
        """Tell whether the server answers and all parts of Airflow are healthy."""
        try:
            reply = self._session.get(f"{self._url}/api/v2/monitor/health", timeout=_TIMEOUT)
            health = reply.json() if reply.status_code == 200 else {}
        except (requests.RequestException, ValueError):
            return False
        parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        return all((health.get(part) or {}).get("status") == "healthy" for part in parts)

    def log_in(self, user: str, password: str) -> None:
        """
        Get a token for all further calls.

        :param user: name of the user.
        :param password: of the user.
        """
        token = self._call("POST", "/auth/token", {"username": user, "password": password})["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def has_dag(self, dag_id: str) -> bool:
        """
        Tell whether Airflow has read a DAG.

        :param dag_id: the DAG.
        """
        return self._call("GET", f"/api/v2/dags/{dag_id}", may_be_missing=True) is not None

    def import_errors(self) -> list[str]:
        """Return the files with DAGs that cannot be imported."""
        return [one["filename"] for one in self._call("GET", "/api/v2/importErrors")["import_errors"]]

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        """
        Start a DAG run.

        :param dag_id: the DAG.
        :param conf: of the run.
        :return: the id of the run.
        """
        body = {"logical_date": None, "conf": conf}
        return str(self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """
        Return the state of a DAG run.

        :param dag_id: the DAG.
        :param run_id: the run.
        """
        return str(self._call("GET", _run_path(dag_id, run_id))["state"])

    def task_instances(self, dag_id: str, run_id: str) -> dict[str, TaskInstance]:
        """
        Return the task instances of a DAG run by name, with their XComs.

        :param dag_id: the DAG.
        :param run_id: the run.
        """
        path = f"{_run_path(dag_id, run_id)}/taskInstances"
        found = {}
        for one in self.raw_task_instances(dag_id, run_id):
            task_id, index = one["task_id"], one["map_index"]
            entry = self._call(
                "GET",
                f"{path}/{task_id}/xcomEntries/return_value?map_index={index}&stringify=false",
                may_be_missing=True,
            )
            name = task_id if index < 0 else f"{task_id}[{index}]"
            found[name] = TaskInstance(name, one["state"], one["try_number"], entry and entry["value"])
        return found

    def raw_task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """
        Return the task instances of a DAG run, as the API shows them.

        :param dag_id: the DAG.
        :param run_id: the run.
        """
        path = f"{_run_path(dag_id, run_id)}/taskInstances?limit=100"
        found: list[dict[str, Any]] = self._call("GET", path)["task_instances"]
        return found

    def run_ids(self, dag_id: str) -> set[str]:
        """
        Return the ids of all runs of a DAG.

        :param dag_id: the DAG.
        """
        return {one["dag_run_id"] for one in self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns")["dag_runs"]}

    def scheduler_heartbeat(self) -> str:
        """Return when the scheduler last said that it lives."""
        health = self._call("GET", "/api/v2/monitor/health")
        return str(health["scheduler"]["latest_scheduler_heartbeat"])

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str) -> None:
        """
        Answer the question that a task asks a human.

        :param dag_id: the DAG.
        :param run_id: the run.
        :param task_id: the task.
        :param option: what is chosen.
        """
        question = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/-1/hitlDetails"
        self._call("PATCH", question, {"chosen_options": [option]})

    def connection(self, conn_id: str) -> dict[str, Any] | None:
        """
        Return a connection from Airflow's database; None if there is none.

        :param conn_id: of the connection.
        """
        found: dict[str, Any] | None = self._call(
            "GET", f"/api/v2/connections/{conn_id}", may_be_missing=True
        )
        return found

    def _call(self, method: str, path: str, body: Any = None, *, may_be_missing: bool = False) -> Any:
        reply = self._session.request(method, self._url + path, json=body, timeout=_TIMEOUT)
        if may_be_missing and reply.status_code == 404:
            return None
        if not reply.ok:
            raise CheckFailedError(f"{method} {path}: HTTP {reply.status_code} {reply.text[:300]}")
        return reply.json()


def _run_path(dag_id: str, run_id: str) -> str:
    # A run id has a "+" in its time zone.
    return f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
