"""
Run two example DAGs in a real Airflow against the sandbox, and check what happened.

Airflow's home is ``.airflow-demo`` inside the repository: database, logs, temporary files. Every run makes it
anew and leaves it for reading. Exit code 1 if a check failed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_aitronos.sandbox.server import SandboxServer

REPOSITORY = Path(__file__).resolve().parent.parent
HOME = REPOSITORY / ".airflow-demo"
COMMAND_TIMEOUT = 300
"""Seconds for one command of Airflow."""

WEEKLY, DEPLOYMENT = "example_detach_workflow", "example_detach_after_deployment"


@dataclass(frozen=True)
class TaskResult:
    """
    A task instance of the newest run of a DAG.

    :param state: its last state.
    :param tries: how often it ran.
    :param tries_allowed: how often it might have run.
    :param seconds: duration of the last try.
    :param xcom: its return value; None if it pushed none.
    """

    state: str = "missing"
    tries: int = 0
    tries_allowed: int = 0
    seconds: float = 0.0
    xcom: Any = None


class Demo:
    """
    Run the three parts, and collect what is wrong.

    :param sandbox: the running stand-in for the API.
    """

    def __init__(self, sandbox: SandboxServer) -> None:
        self.problems: list[str] = []
        self._sandbox = sandbox

    def detach_one(self) -> None:
        """Detach one assistant's workflow."""
        print("\n--- detach one assistant's workflow")
        before = self._links("asst_support01")
        tasks, _ = self._run(WEEKLY)
        self._check_detached(before, tasks)
        detached = tasks.get("detach", TaskResult()).xcom or {}
        self._check(detached.get("workflow_id") == "flow_support01", f"{WEEKLY}: XCom of detach")

    def replace_two(self) -> None:
        """Deploy a workflow, promote it, and detach two old ones."""
        print("\n--- deploy a workflow, promote it, then detach the workflows of two old assistants")
        before = self._links("asst_billing01", "asst_onboarding01")
        tasks, _ = self._run(DEPLOYMENT)
        self._check_detached(before, tasks)
        self._check({"detach[0]", "detach[1]"} <= set(tasks), f"{DEPLOYMENT}: two mapped detaches")
        promoted = tasks.get("promote", TaskResult()).xcom or {}
        if new := promoted.get("assistant_id"):
            print(f"  link of {new:<20} new:    {self._link(new)}")
        self._check(new and self._link(new) is not None, f"{DEPLOYMENT}: the new assistant's workflow")

    def refused_key(self) -> None:
        """Use a key that the API refuses."""
        print("\n--- the first DAG with a key that the API refuses")
        connection = {**json.loads(self._sandbox.connection_json()), "password": "not-the-sandbox-key"}
        before = len(self._sandbox.requests)
        tasks, output = self._run(WEEKLY, json.dumps(connection))
        sent = self._sandbox.requests[before:]
        detach = tasks.get("detach", TaskResult())
        # The last line of the traceback in the task's log.
        message = re.search(r"^airflow_aitronos\S*AuthenticationError: (.+)", output, re.MULTILINE)
        print(f"  requests: {', '.join(f'{one.method} {one.path} -> {one.status_code}' for one in sent)}")
        print(f"  tries: {detach.tries} of {detach.tries_allowed}")
        print(f"  message: {message[1] if message else 'none'}")
        self._check(message is not None, "401: its message")
        self._check([one.status_code for one in sent] == [401], "401: exactly one request")
        tries = (detach.state, detach.tries, detach.tries_allowed)
        self._check(tries == ("failed", 1, 3), "401: failed at try 1 of 3")

    def _run(self, dag_id: str, connection: str | None = None) -> tuple[dict[str, TaskResult], str]:
        """Run a DAG, print what became of its tasks, and return that and all that Airflow printed."""
        os.environ["AIRFLOW_CONN_AITRONOS_DEFAULT"] = connection or self._sandbox.connection_json()
        output = run_airflow("dags", "test", dag_id)
        tasks = newest_run(dag_id)
        for name, task in tasks.items():
            print(f"  {name:<20} {task.state:<16} {task.seconds:5.2f} s  XCom {json.dumps(task.xcom)}")
        return tasks, output

    def _check_detached(self, before: dict[str, str | None], tasks: dict[str, TaskResult]) -> None:
        """Print the links of assistants before and after, and check that they and the tasks are as wanted."""
        for name, workflow in before.items():
            print(f"  link of {name:<20} before: {workflow}, after: {self._link(name)}")
            self._check(workflow is not None and self._link(name) is None, f"link of {name}")
        failed = [name for name, task in tasks.items() if task.state != "success"]
        self._check(bool(tasks) and not failed, f"tasks that did not succeed: {', '.join(failed) or 'all'}")

    def _links(self, *assistants: str) -> dict[str, str | None]:
        return {name: self._link(name) for name in assistants}

    def _link(self, assistant_id: str) -> str | None:
        return self._sandbox.store.get_assistant(assistant_id).workflow_id

    def _check(self, is_so: object, what: str) -> None:
        if not is_so:
            self.problems.append(what)


def run_airflow(*arguments: str) -> str:
    """
    Run an Airflow command, append its output to a log file, and return it.

    :param arguments: of the command. ``dags test`` succeeds even if its run fails.
    """
    started = time.monotonic()
    print(f"airflow {' '.join(arguments)} ...", end=" ", flush=True)
    command = [sys.executable, "-m", "airflow", *arguments]
    finished = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_TIMEOUT,
        check=False,
    )
    print(f"{time.monotonic() - started:.0f} s")
    with (HOME / "demo.log").open("a", encoding="utf-8") as log:
        log.write(f"\n===== {' '.join(arguments)}\n{finished.stdout}")
    if finished.returncode != 0 and arguments[0] == "db":
        sys.exit(f"{finished.stdout[-3000:]}\nAirflow could not make its database; the lines above say why.")
    return finished.stdout


def newest_run(dag_id: str) -> dict[str, TaskResult]:
    """
    Return the task instances of the newest run of a DAG by name: the task id, with the map index if mapped.

    :param dag_id: the DAG.
    """
    # Airflow's models, since its tables differ between 3.1 and 3.4.
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        runs = select(DagRun.run_id).filter_by(dag_id=dag_id).order_by(DagRun.id.desc())
        of_run = {"dag_id": dag_id, "run_id": session.scalars(runs).first()}
        pushed = session.scalars(select(XComModel).filter_by(key="return_value", **of_run))
        values = {(one.task_id, one.map_index): _decoded(one.value) for one in pushed}
        instances = session.scalars(select(TaskInstance).filter_by(**of_run)).all()
        return {
            one.task_id if one.map_index < 0 else f"{one.task_id}[{one.map_index}]": TaskResult(
                state=str(one.state),
                tries=one.try_number,
                tries_allowed=one.max_tries + 1,
                seconds=one.duration or 0.0,
                xcom=values.get((one.task_id, one.map_index)),
            )
            for one in sorted(instances, key=lambda one: (str(one.start_date), one.map_index))
        }


def _decoded(value: Any) -> Any:
    # JSON that some versions of Airflow encode twice.
    with contextlib.suppress(TypeError, ValueError):
        return json.loads(value)
    return value


def prepare_environment() -> None:
    """Point Airflow, and whatever it starts, at a fresh folder inside the repository."""
    shutil.rmtree(HOME, ignore_errors=True)
    (HOME / "tmp").mkdir(parents=True)
    for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
        del os.environ[name]
    os.environ |= {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "NO_PROXY": "127.0.0.1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(HOME / "tmp"),
    }


def main() -> int:
    """Run the demo and return its exit code."""
    prepare_environment()
    with SandboxServer() as sandbox:
        print(f"sandbox serves on {sandbox.url}")
        # Reading results imports Airflow, which sets up logging for the sandbox's server, too.
        for name in ("uvicorn.access", "uvicorn.error"):
            logging.getLogger(name).setLevel(logging.WARNING)
        run_airflow("db", "migrate")
        demo = Demo(sandbox)
        demo.detach_one()
        demo.replace_two()
        demo.refused_key()
    print(f"\nLogs and database: {HOME.relative_to(REPOSITORY)}")
    for problem in demo.problems:
        print(f"FAILED: {problem}")
    if not demo.problems:
        print("Demo passed.")
    return 1 if demo.problems else 0


if __name__ == "__main__":
    sys.exit(main())
