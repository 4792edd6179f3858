"""
Run this package's wheel on Airflow with two Celery workers, and break what can break between them.

Needs Debian's ``postgresql`` and ``redis-server``. Airflow's home and the log of each part are in
``.airflow-e2e-celery`` inside the repository. Prints a table of scenarios at the end. Exit code 1 if anything
was seen that was not expected.

Usage: python -m dev.e2e.celery_run [SCENARIO ...], the names of methods of ``Scenarios``; default: all
"""

from __future__ import annotations

import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow_aitronos.sandbox.faults import Fault, FaultPlan
from airflow_aitronos.sandbox.server import SandboxServer
from dev import postgresql
from dev.e2e import celery_deployment, deployment
from dev.e2e.celery_deployment import Celery
from dev.e2e.dag_runs import run_and_compare, wait_for_end
from dev.e2e.expectations import DAG_CHECKS, FLEET
from dev.e2e.progress import CheckFailedError, say, wait_for
from dev.e2e.rest import Rest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
HOME = REPOSITORY / ".airflow-e2e-celery"
DAGS = {"examples": REPOSITORY / "example_dags", "scenarios": Path(__file__).with_name("celery_dags")}
OUTAGE = 20.0
"""Seconds that the broker or the API server is away."""
MEASURED, LIMIT = 60, 30
"""Assistants of a measured run, and requests a minute that its server allows."""

_LONGEST_RUN = 300.0


class Held(FaultPlan):
    """Keep back responses, whose requests have been carried out, until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.is_done, self._let_go = threading.Event(), threading.Event()

    def hold(self, method: str) -> None:
        """
        Keep back the next response.

        :param method: of the request.
        """
        self.is_done.clear()
        self._let_go.clear()
        self.add(Fault("delay", delay=1, after_commit=True, method=method))

    def wait(self, seconds: float) -> None:
        """
        Wait to be let go.

        :param seconds: 0 for a response that is not kept back.
        """
        if seconds:
            self.is_done.set()
            self._let_go.wait(_LONGEST_RUN)

    def let_go(self) -> None:
        """Send what is kept back."""
        self._let_go.set()


class Scenarios:
    """
    What is done to the deployment, and what is seen then.

    :param celery: the deployment.
    :param rest: of its API server.
    :param sandbox: that the DAGs call.
    :param limited: another one, for what is measured.
    """

    def __init__(self, celery: Celery, rest: Rest, sandbox: SandboxServer, limited: SandboxServer) -> None:
        self.celery, self.rest, self.sandbox, self.limited = celery, rest, sandbox, limited
        self.held = Held()
        sandbox.faults = self.held
        self.rows: list[tuple[str, str, str]] = []
        self.problems: list[str] = []

    def run(self, names: Sequence[str]) -> None:
        """
        Run them, one after the other.

        :param names: of the methods to run; all of them if empty.
        """
        every = (
            self.examples,
            self.mapped,
            self.worker_killed_in_detach,
            self.worker_killed_in_promote,
            self.whole_tree_terminated,
            self.warm_shutdown,
            self.broker_away,
            self.api_server_away,
            self.xcoms_away,
            self.measured,
        )
        for scenario in [one for one in every if not names or one.__name__ in names]:
            say(scenario.__doc__ or "")
            self.sandbox.reset()
            self.celery.relay.heal()
            try:
                scenario()
            except CheckFailedError as error:
                self.row(scenario.__doc__ or "", "no failure", f"{error}")

    def row(self, scenario: str, expected: str, seen: str) -> None:
        """Keep a line of the table; what was seen begins with what is expected."""
        self.rows.append((scenario.strip("."), expected, seen))
        say(f"  {seen}")
        if not seen.startswith(expected):
            self.problems.append(scenario)

    def examples(self) -> None:
        """All example DAGs."""
        for check in DAG_CHECKS:
            self.sandbox.reset()
            run_and_compare(check, self.rest, self.sandbox)
        self.row("All example DAGs", "as on one machine", "as on one machine")

    def mapped(self) -> None:
        """A mapped detach over both workers."""
        ids = fleet(20)
        run_id = self.start("detach_mapped", assistants=ids)
        state = self.finish("detach_mapped", run_id)
        workers = sorted({name.partition("/")[0] for name in self.celery.workers_of(run_id)})
        # A weekly run of an example, which is due when Airflow starts, detaches from another assistant.
        times = [sum(one == other for other, _ in self.sandbox.store.detached) for one in ids]
        seen = f"{state}, {times.count(1)} of 20 detached once, on workers {' and '.join(workers)}"
        self.row("A mapped detach of 20", "success, 20 of 20 detached once, on workers one and two", seen)

    def worker_killed_in_detach(self) -> None:
        """A worker dies, its tasks too, between the DELETE and its response."""
        run_id = self.start_and_hold("detach_one", "DELETE", assistant_id="asst_support01")
        died = self.worker_of(run_id)
        self.celery.send(f"worker {died}", signal.SIGKILL, to_all=True)
        self.held.let_go()
        other = next(one for one in celery_deployment.WORKERS if one != died)
        scenario = "A worker is killed between DELETE and response"
        self.expect_detached(scenario, run_id, then=f", try 2 on worker {other}")
        self.restart(died)

    def worker_killed_in_promote(self) -> None:
        """A worker dies, its tasks too, between the POST of a promote and its response."""
        workflow = self.sandbox.store.add_workflow("To promote", {"nodes": [{"id": "n", "type": "llm"}]})
        run_id = self.start_and_hold("promote_one", "POST", workflow_id=workflow.id)
        died = self.worker_of(run_id)
        self.celery.send(f"worker {died}", signal.SIGKILL, to_all=True)
        self.held.let_go()
        state = self.finish("promote_one", run_id)
        log = "".join(path.read_text() for path in self.celery.workers_of(run_id).values())
        says = "says what to check" if "Check whether workflow" in log else "does not say what to check"
        posts = sum(one.method == "POST" for one in self.sandbox.requests)
        self.row(
            "A worker is killed between the POST of a promote and its response",
            "failed, POST sent 1 time, says what to check",
            f"{state}, POST sent {posts} time, {says}",
        )
        self.restart(died)

    def whole_tree_terminated(self) -> None:
        """SIGTERM to a worker and all its processes, between the DELETE and its response."""
        run_id = self.start_and_hold("detach_one", "DELETE", assistant_id="asst_support01")
        ended = self.worker_of(run_id)
        self.celery.send(f"worker {ended}", signal.SIGTERM, to_all=True)
        self.held.let_go()
        self.expect_detached("SIGTERM to a whole worker between DELETE and response", run_id, then=", try 2")
        self.restart(ended)

    def warm_shutdown(self) -> None:
        """A warm shutdown of a worker while a task waits before its next attempt."""
        self.sandbox.faults.add(Fault("status", status=503, retry_after="8", method="DELETE"))
        run_id = self.start("detach_one", assistant_id="asst_support01")
        wait_for("the 503", lambda: any(one.status_code == 503 for one in self.sandbox.requests) or None, 120)
        ended = self.worker_of(run_id)
        self.celery.send(f"worker {ended}", signal.SIGTERM, to_all=False)
        self.expect_detached("A warm shutdown during a wait", run_id, deletes=2, then=", try 1")
        self.restart(ended)

    def broker_away(self) -> None:
        """Redis is away when a run starts."""
        self.celery.send("redis", signal.SIGTERM, to_all=False)
        self.celery.wait_until_ended("redis")
        run_id = self.start("detach_outlasting", assistant_id="asst_support01")
        time.sleep(OUTAGE)
        self.celery.start_redis()
        scenario = f"Redis away for {OUTAGE:.0f} s; 3 retries, 10 s apart"
        self.expect_detached(scenario, run_id, dag_id="detach_outlasting")

    def api_server_away(self) -> None:
        """The API server is away for the workers, from before the response to the DELETE."""
        run_id = self.start_and_hold("detach_one", "DELETE", assistant_id="asst_support01")
        self.celery.relay.is_cut = lambda method, path: True  # noqa: ARG005  # a rule that cuts everything
        self.held.let_go()
        time.sleep(OUTAGE)
        self.celery.relay.heal()
        self.expect_detached(f"API server away for {OUTAGE:.0f} s around the DELETE", run_id)

    def xcoms_away(self) -> None:
        """The result cannot be stored for a minute."""
        self.celery.relay.is_cut = lambda method, path: method == "POST" and "/xcoms/" in path
        run_id = self.start("detach_outlasting", assistant_id="asst_support01")
        wait_for("the DELETE", lambda: self.effective() or None, 120)
        time.sleep(3 * OUTAGE)
        self.celery.relay.heal()
        scenario = "XCom route away for a minute after the response; 3 retries, 10 s apart"
        self.expect_detached(scenario, run_id, dag_id="detach_outlasting")

    def measured(self) -> None:
        """Mapped tasks, a pool and fleets against a server that allows 30 requests a minute."""
        limited = self.limited
        for dag_id, what in (
            ("detach_mapped_limited", "mapped tasks over 8 slots"),
            ("detach_mapped_in_pool", "mapped tasks in a pool of 1"),
            ("detach_fleet", "one fleet at 30 a minute"),
            ("detach_two_fleets", "two fleets at 15 a minute each"),
        ):
            limited.reset()
            state = self.finish(dag_id, self.start(dag_id, assistants=fleet(MEASURED)))
            times = [one.received_at for one in limited.requests]
            refused = sum(one.status_code == 429 for one in limited.requests)
            seen = (
                f"{state}, {len(limited.store.detached)} detached in {times[-1] - times[0]:.0f} s, "
                f"{refused} times 429, at most {most_in_a_minute(times)} requests in a minute"
            )
            # Mapped tasks without a pool use up their attempts and retries.
            expected = "" if dag_id == "detach_mapped_limited" else f"success, {MEASURED} detached"
            self.row(f"{MEASURED} detaches: {what}", expected, seen)

    # --- steps ---

    def start(self, dag_id: str, **conf: Any) -> str:
        """Start a run of a DAG, and return its id."""
        wait_for(f"DAG {dag_id}", lambda: self.rest.has_dag(dag_id) or None, 120)
        return self.rest.trigger(dag_id, conf)

    def start_and_hold(self, dag_id: str, method: str, **conf: Any) -> str:
        """Start a run, and return once its request is carried out and its response kept back."""
        self.held.hold(method)
        run_id = self.start(dag_id, **conf)
        if not self.held.is_done.wait(120):
            raise CheckFailedError(f"{dag_id} sent no {method}")
        return run_id

    def finish(self, dag_id: str, run_id: str) -> str:
        """Wait for the end of a run, and return its state."""
        return wait_for_end(self.rest, dag_id, run_id, _LONGEST_RUN)

    def worker_of(self, run_id: str) -> str:
        """Return which worker runs the newest try."""
        logs = self.celery.workers_of(run_id)
        newest = max(logs, key=lambda name: logs[name].stat().st_mtime, default="none")
        return newest.partition("/")[0]

    def restart(self, name: str) -> None:
        """Start a worker that has ended."""
        self.celery.wait_until_ended(f"worker {name}")
        (self.celery.home / f"worker {name}.log").unlink()
        self.celery.start_worker(name)
        celery_deployment.wait_for_workers(self.celery)

    def effective(self) -> int:
        """Return how many links were removed."""
        return len(self.sandbox.store.detached)

    def expect_detached(
        self, scenario: str, run_id: str, *, dag_id: str = "detach_one", deletes: int = 1, then: str = ""
    ) -> None:
        """Wait for the end, and compare: one DELETE that took effect, and the right id in XCom."""
        state = self.finish(dag_id, run_id)
        task = self.rest.task_instances(dag_id, run_id)["detach"]
        sent = sum(one.method == "DELETE" for one in self.sandbox.requests)
        found = (task.xcom or {}).get("workflow_id")
        self.row(
            scenario,
            f"success, {deletes} DELETE sent, 1 effective, XCom flow_support01{then}",
            f"{state}, {sent} DELETE sent, {self.effective()} effective, XCom {found}, "
            f"try {task.tries} on worker {self.worker_of(run_id)}",
        )


def fleet(number: int) -> list[str]:
    """Return the ids of assistants of the sandbox."""
    return [f"asst_fleet{one:05d}" for one in range(1, number + 1)]


def most_in_a_minute(times: list[float]) -> int:
    """Return how many of some moments lie in any one minute at most."""
    return max(sum(start <= time < start + 60 for time in times) for start in times)


def main() -> int:
    """Run everything, print the table, and return the exit code."""
    if postgresql.programs() is None or not celery_deployment.is_installed():
        print(f"{postgresql.REMEDY if postgresql.programs() is None else celery_deployment.REMEDY}")
        return 1
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()
    say("start the sandbox, PostgreSQL, Redis and Airflow")
    with (
        SandboxServer(fleet=FLEET) as sandbox,
        SandboxServer(fleet=MEASURED, requests_per_minute=LIMIT) as limited,
        celery_deployment.running(
            HOME, DAGS, {"aitronos_default": sandbox.connection_json(), "limited": limited.connection_json()}
        ) as celery,
    ):
        rest = Rest(celery.url)
        wait_for("a healthy Airflow", lambda: rest.is_up() or None, _LONGEST_RUN)
        rest.log_in(deployment.USER, celery.password)
        celery_deployment.wait_for_workers(celery)
        scenarios = Scenarios(celery, rest, sandbox, limited)
        scenarios.run(sys.argv[1:])
    print("\n| scenario | expected | seen |\n| --- | --- | --- |")
    print("\n".join(f"| {' | '.join(row)} |" for row in scenarios.rows))
    print(f"FAILED: {len(scenarios.problems)} scenarios" if scenarios.problems else "End-to-end run passed.")
    return 1 if scenarios.problems else 0


if __name__ == "__main__":
    sys.exit(main())
