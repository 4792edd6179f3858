"""
Run the example DAGs in a real Airflow against the sandbox, and report what happened.

Everything lives in ``.airflow-demo`` inside the repository: Airflow's home with a SQLite database, the logs,
and the temporary files. The folder is made anew by every run and left for reading afterwards. Ends with exit
code 1 when anything is not as it should be.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from airflow_aitronos.sandbox.server import SandboxServer

REPOSITORY = Path(__file__).resolve().parent.parent
HOME = REPOSITORY / ".airflow-demo"
LONGEST_STEP = 300
"""Seconds after which a command is given up."""

WEEKLY, DEPLOYMENT = "example_detach_workflow", "example_detach_after_deployment"


@dataclass(frozen=True)
class TaskRow:
    """
    A task instance, as Airflow's database has it.

    :param name: task id, with the map index where there is one.
    :param state: its last state.
    :param tries: how often it ran.
    :param tries_allowed: how often it might have run.
    :param seconds: duration of the last try.
    :param xcom: its return value; None if it pushed none.
    """

    name: str
    state: str
    tries: int
    tries_allowed: int
    seconds: float
    xcom: object


class Demo:
    """
    One run of the demo.

    :param sandbox: the running stand-in for the API.
    """

    def __init__(self, sandbox: SandboxServer) -> None:
        self._sandbox = sandbox
        self._problems: list[str] = []

    def run(self) -> int:
        """Run all three parts, print the report, and return the exit code."""
        self._airflow("migrate the database", "db", "migrate")
        self._weekly()
        self._deployment()
        self._refused_key()
        print()
        for problem in self._problems:
            print(f"NOT AS IT SHOULD BE: {problem}")
        if not self._problems:
            print(f"All as it should be. Logs and database: {HOME.relative_to(REPOSITORY)}")
        return 1 if self._problems else 0

    def _weekly(self) -> None:
        print("\n--- detach one assistant's workflow")
        before = self._links("asst_support01")
        rows = self._report(WEEKLY, self._dag_run(WEEKLY))
        self._report_detached(before)
        self._expect_all_succeed(rows)
        detached = {
            "assistant_id": "asst_support01",
            "workflow_id": "flow_support01",
            "message": "Operation completed successfully",
        }
        self._expect(rows.get("detach", _NO_ROW).xcom == detached, f"{WEEKLY}: XCom of detach")

    def _deployment(self) -> None:
        print("\n--- deploy a workflow, promote it, then detach the workflows of two old assistants")
        before = self._links("asst_billing01", "asst_onboarding01")
        rows = self._report(DEPLOYMENT, self._dag_run(DEPLOYMENT))
        self._report_detached(before)
        self._expect_all_succeed(rows)
        self._expect({"detach[0]", "detach[1]"} <= set(rows), f"{DEPLOYMENT}: two mapped detaches")
        promoted = rows.get("promote", _NO_ROW).xcom
        new = promoted.get("assistant_id") if isinstance(promoted, dict) else None
        self._expect(isinstance(new, str), f"{DEPLOYMENT}: promote returns the new assistant")
        if isinstance(new, str):
            print(f"  link of {new:<20} new:    {self._link(new)}")
            self._expect(self._link(new) is not None, f"{DEPLOYMENT}: the new assistant has a workflow")

    def _refused_key(self) -> None:
        connection = {**json.loads(self._sandbox.connection_json()), "password": "not-the-sandbox-key"}
        before = len(self._sandbox.requests)
        print("\n--- the first DAG with a key that the API refuses")
        output = self._dag_run(WEEKLY, connection=json.dumps(connection))
        sent = self._sandbox.requests[before:]
        row = self._report(WEEKLY, output).get("detach", _NO_ROW)
        print(f"  requests: {', '.join(f'{one.method} {one.path} -> {one.status_code}' for one in sent)}")
        print(f"  tries: {row.tries} of {row.tries_allowed}")
        message = re.search(r"Could not detach.*?\(1 of \d+ attempts[^)]*\)", output)
        print(f"  message: {message[0] if message else 'none'}")
        self._expect(message is not None and "Trying again cannot help" in message[0], "401: its message")
        self._expect([one.status_code for one in sent] == [401], "401: exactly one request")
        self._expect(
            (row.state, row.tries, row.tries_allowed) == ("failed", 1, 3), "401: failed at try 1 of 3"
        )

    def _links(self, *assistants: str) -> dict[str, str | None]:
        return {name: self._link(name) for name in assistants}

    def _report_detached(self, before: dict[str, str | None]) -> None:
        """Print the links of assistants before and after, and expect that there are none any more."""
        for name, workflow in before.items():
            print(f"  link of {name:<20} before: {workflow}, after: {self._link(name)}")
            self._expect(workflow is not None and self._link(name) is None, f"link of {name}")

    def _link(self, assistant_id: str) -> str | None:
        return self._sandbox.store.get_assistant(assistant_id).workflow_id

    def _dag_run(self, dag_id: str, connection: str | None = None) -> str:
        os.environ["AIRFLOW_CONN_AITRONOS_DEFAULT"] = connection or self._sandbox.connection_json()
        return self._airflow(f"airflow dags test {dag_id}", "dags", "test", dag_id, may_fail=True)

    def _airflow(self, title: str, *arguments: str, may_fail: bool = False) -> str:
        """Run an Airflow command, keep its output in a log file, and return it."""
        started = time.monotonic()
        print(f"{title} ...", end=" ", flush=True)
        finished = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST_STEP,
            check=False,
        )
        print(f"{time.monotonic() - started:.0f} s")
        with (HOME / "demo.log").open("a", encoding="utf-8") as log:
            log.write(f"\n===== {title}\n{finished.stdout}")
        if finished.returncode != 0 and not may_fail:
            sys.exit(f"{finished.stdout[-3000:]}\nCould not {title}; the lines above say why.")
        return finished.stdout

    def _report(self, dag_id: str, output: str) -> dict[str, TaskRow]:
        """Print the tasks of the newest run of a DAG, and return them by name."""
        rows = {row.name: row for row in _task_rows(dag_id)}
        if not rows:
            print(output[-3000:])
        for row in rows.values():
            print(f"  {row.name:<20} {row.state:<16} {row.seconds:5.2f} s  XCom {json.dumps(row.xcom)}")
        return rows

    def _expect_all_succeed(self, rows: dict[str, TaskRow]) -> None:
        failed = [row.name for row in rows.values() if row.state != "success"]
        self._expect(bool(rows) and not failed, f"tasks that did not succeed: {', '.join(failed) or 'all'}")

    def _expect(self, is_so: bool, what: str) -> None:
        if not is_so:
            self._problems.append(what)


_NO_ROW = TaskRow("", "missing", 0, 0, 0.0, None)


def _task_rows(dag_id: str) -> list[TaskRow]:
    """Return the task instances of the newest run of a DAG."""
    with contextlib.closing(sqlite3.connect(HOME / "airflow.db")) as database:
        found = database.execute(
            """
            SELECT ti.task_id, ti.map_index, ti.state, ti.try_number, ti.max_tries, ti.duration, xcom.value
            FROM task_instance ti LEFT JOIN xcom
              ON xcom.dag_id = ti.dag_id AND xcom.run_id = ti.run_id AND xcom.task_id = ti.task_id
              AND xcom.map_index = ti.map_index AND xcom.key = 'return_value'
            WHERE ti.run_id = (SELECT run_id FROM dag_run WHERE dag_id = ? ORDER BY id DESC LIMIT 1)
              AND ti.dag_id = ?
            ORDER BY ti.start_date, ti.map_index
            """,
            (dag_id, dag_id),
        ).fetchall()
    return [
        TaskRow(
            name=task_id if map_index < 0 else f"{task_id}[{map_index}]",
            state=state or "none",
            tries=tries,
            tries_allowed=most + 1,
            seconds=duration or 0.0,
            xcom=_decoded(value),
        )
        for task_id, map_index, state, tries, most, duration, value in found
    ]


def _decoded(value: str | None) -> object:
    # Airflow stores an XCom as JSON text in a JSON column: once or twice encoded, by version.
    for _ in range(2):
        with contextlib.suppress(TypeError, ValueError):
            value = json.loads(value or "null")
    return value


def _prepare_environment() -> None:
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
    _prepare_environment()
    with SandboxServer() as sandbox:
        print(f"sandbox serves on {sandbox.url}")
        return Demo(sandbox).run()


if __name__ == "__main__":
    sys.exit(main())
