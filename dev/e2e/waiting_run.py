"""
See in a whole deployment of Airflow 3.4 that tasks wait without a worker slot: four slots, all in use.

Airflow's home is ``.airflow-e2e-waiting`` inside the repository. Prints a table. Exit code 1 if anything was
seen that was not expected.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from airflow_aitronos.sandbox.faults import Fault
from airflow_aitronos.sandbox.server import SandboxServer
from dev import postgresql
from dev.e2e import deployment
from dev.e2e.dag_runs import wait_for_end
from dev.e2e.deployment import Deployment
from dev.e2e.progress import CheckFailedError, say, wait_for
from dev.e2e.rest import Rest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
HOME = REPOSITORY / ".airflow-e2e-waiting"
SLOTS, SENSORS = 4, 50
RETRY_AFTER = 90
MOST_TO_FREE, MOST_TO_WAIT = 2.0, 3.0
"""Seconds until a slot is free again, and until another task has it."""

_LONGEST = 300.0


class Check:
    """
    Do it, and keep what was seen.

    :param airflow: the deployment.
    :param rest: of its API server.
    :param sandbox: that the DAGs call.
    """

    def __init__(self, airflow: Deployment, rest: Rest, sandbox: SandboxServer) -> None:
        self._airflow, self._rest, self._sandbox = airflow, rest, sandbox
        self.is_good = True

    def limited_tasks(self) -> None:
        """Let tasks without retries meet a long ``Retry-After``."""
        fault = Fault("status", status=429, retry_after=str(RETRY_AFTER), method="DELETE", times=SLOTS)
        self._sandbox.faults.add(fault)
        run_id = self._start("limited")
        tasks = wait_for("tasks put off", lambda: self._all("limited", run_id, "up_for_reschedule"), _LONGEST)
        answered = sorted(one.received_at for one in self._sandbox.requests)
        now, monotonic = datetime.now(UTC).timestamp(), time.monotonic()
        ends = sorted(_seconds(one["end_date"]) for one in tasks)
        freed = max(end - (now - monotonic + at) for end, at in zip(ends, answered[:SLOTS], strict=True))
        self._row(f"slot free after the 429: {freed:.1f} s", is_good=freed < MOST_TO_FREE)
        self._bystander(f"while {SLOTS} tasks wait {RETRY_AFTER} s")
        state = self._end("limited", run_id)
        tasks = self._rest.raw_task_instances("limited", run_id)
        tries = {one["try_number"] for one in tasks}
        results = self._rest.task_instances("limited", run_id).values()
        ids = sorted(one.xcom["workflow_id"] for one in results if one.xcom)
        seconds = time.monotonic() - answered[0]
        is_good = state == "success" and tries == {1} and len(ids) == SLOTS and seconds > RETRY_AFTER
        self._row(f"{state} after {seconds:.0f} s, tries {tries}, XComs {ids}", is_good=is_good)

    def deferred_sensors(self) -> None:
        """Let many sensors wait on one triggerer, which is killed in between."""
        self._sandbox.reset()
        run_id = self._start("fifty_sensors")
        wait_for("deferred sensors", lambda: self._all("fifty_sensors", run_id, "deferred"), _LONGEST)
        self._bystander(f"while {SENSORS} sensors are deferred")
        self._kill_triggerer()
        command = [sys.executable, "-m", "airflow", "triggerer"]
        with (HOME / "triggerer.log").open("wb") as log:
            second = subprocess.Popen(
                command, cwd=HOME, env=self._airflow.environment, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            for one in self._sandbox.store.links:
                self._sandbox.store.unlink(one)
            state = self._end("fifty_sensors", run_id)
        finally:
            second.terminate()
            second.wait(timeout=60)
        met = len(self._all("fifty_sensors", run_id, "success") or [])
        self._row(f"triggerer killed and started again: {state}, {met} of {SENSORS}", is_good=met == SENSORS)

    def _kill_triggerer(self) -> None:
        for process in psutil.Process(self._airflow.process.pid).children(recursive=True):
            if "triggerer" in " ".join(process.cmdline()):
                for one in (*process.children(recursive=True), process):
                    one.kill()
                return
        raise CheckFailedError("there is no triggerer to kill")

    def _bystander(self, when: str) -> None:
        triggered = datetime.now(UTC).timestamp()
        run_id = self._start("bystander")
        self._end("bystander", run_id)
        (task,) = self._rest.raw_task_instances("bystander", run_id)
        waited = _seconds(task["start_date"]) - triggered
        self._row(f"another task starts {when}: after {waited:.1f} s", is_good=waited < MOST_TO_WAIT)

    def _start(self, dag_id: str) -> str:
        wait_for(f"DAG {dag_id}", lambda: self._rest.has_dag(dag_id) or None, _LONGEST)
        return self._rest.trigger(dag_id, {})

    def _all(self, dag_id: str, run_id: str, state: str) -> list[dict[str, Any]] | None:
        tasks = self._rest.raw_task_instances(dag_id, run_id)
        return tasks if tasks and {one["state"] for one in tasks} == {state} else None

    def _end(self, dag_id: str, run_id: str) -> str:
        return wait_for_end(self._rest, dag_id, run_id, _LONGEST)

    def _row(self, text: str, *, is_good: bool) -> None:
        say(f"  {'as expected' if is_good else 'NOT EXPECTED'}: {text}")
        self.is_good = self.is_good and is_good


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def main() -> int:
    """Run everything, and return the exit code."""
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()
    dags = Path(__file__).with_name("waiting_dags")
    with (
        SandboxServer(fleet=SENSORS) as sandbox,
        postgresql.running() as database,
        deployment.running(HOME, dags, database, sandbox.connection_json()) as airflow,
    ):
        say("start Airflow")
        rest = Rest(airflow.url)
        wait_for("a healthy Airflow", lambda: rest.is_up() or None, _LONGEST)
        rest.log_in(deployment.USER, airflow.password)
        check = Check(airflow, rest, sandbox)
        say("tasks without retries meet a long Retry-After")
        check.limited_tasks()
        say("sensors wait on the triggerer")
        check.deferred_sensors()
    print("End-to-end run passed." if check.is_good else "FAILED: see above")
    return 0 if check.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
