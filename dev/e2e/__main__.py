"""
Run this package's wheel in a whole Airflow deployment, and check it through REST and a browser.

Airflow's home, its log and the screenshots are in ``.airflow-e2e`` inside the repository. The folder is made
anew by every run and left for reading afterwards. Exit code 1 and one line if a check failed. Whatever it has
started is ended, after Ctrl-C and SIGTERM too.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from airflow_aitronos.sandbox.server import SandboxServer
from dev import postgresql
from dev.e2e import browser, deployment
from dev.e2e.dag_runs import run_and_compare
from dev.e2e.expectations import DAG_CHECKS, FLEET, FLEET_CHECKS
from dev.e2e.progress import CheckFailedError, say, wait_for
from dev.e2e.rest import Rest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
HOME = REPOSITORY / ".airflow-e2e"
_LONGEST_START = 300.0

_WHERE_FROM = """
import airflow_aitronos, sys
sys.exit(not airflow_aitronos.__file__.startswith(sys.prefix))
"""


def main() -> int:
    """Run everything and return the exit code."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        _check_machine()
        _run()
    except CheckFailedError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; everything that was started has ended.", file=sys.stderr)
        return 130
    say(f"Log and screenshots: {HOME.relative_to(REPOSITORY)}")
    print("End-to-end run passed.")
    return 0


def _stop(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - a signal handler's signature
    raise KeyboardInterrupt


def _check_machine() -> None:
    """Check that everything is there before anything is started."""
    if postgresql.programs() is None:
        raise CheckFailedError(postgresql.REMEDY)
    browser.program()
    if subprocess.run([sys.executable, "-c", _WHERE_FROM], cwd="/", check=False).returncode != 0:
        raise CheckFailedError("the package is not installed from its wheel: start this with make e2e")
    shutil.rmtree(HOME, ignore_errors=True)
    (HOME / "screenshots").mkdir(parents=True)


def _run() -> None:
    with contextlib.ExitStack() as started:
        say("start the sandbox and PostgreSQL")
        sandbox = started.enter_context(SandboxServer(fleet=FLEET))
        database = started.enter_context(postgresql.running())
        say("start Airflow")
        airflow = started.enter_context(
            deployment.running(HOME, _examples(), database, sandbox.connection_json())
        )
        rest = Rest(airflow.url)

        def is_up() -> bool | None:
            airflow.expect_alive()
            return rest.is_up() or None

        wait_for("a healthy Airflow", is_up, _LONGEST_START)
        rest.log_in(deployment.USER, airflow.password)
        runs = []
        for check in (*DAG_CHECKS, *FLEET_CHECKS):
            say(f"run {check.dag_id} with {dict(check.conf)}")
            # Several checks detach from the same assistants.
            sandbox.reset()
            runs.append((check.dag_id, run_and_compare(check, rest, sandbox)))
        if errors := rest.import_errors():
            raise CheckFailedError(f"DAG files that cannot be imported: {errors}")
        visit = browser.Visit(
            airflow.url, deployment.USER, airflow.password, sandbox.url, sandbox.api_key, HOME / "screenshots"
        )
        browser.check_pages(visit, detached=runs[0], failed=runs[2], failed_fleet=runs[-1])
        _check_saved(rest, sandbox.url)
        say("end Airflow, PostgreSQL and the sandbox")


def _examples() -> Path:
    """Copy the example DAGs, with a pace for the fleet that does not make the run long."""
    copies = HOME / "dags"
    shutil.copytree(REPOSITORY / "example_dags", copies)
    fleet = copies / "example_detach_fleet.py"
    text = fleet.read_text(encoding="utf-8").replace("PER_MINUTE = 60\n", "PER_MINUTE = 1200\n")
    fleet.write_text(text, encoding="utf-8")
    return copies


def _check_saved(rest: Rest, base_url: str) -> None:
    saved = wait_for("the saved connection", lambda: rest.connection(browser.CONN_ID), 30)
    found = (saved["conn_type"], f"{saved['host']}:{saved['port']}")
    if found != ("aitronos", base_url):
        raise CheckFailedError(f"the saved connection has type and host {found}")
    say(f"  {browser.CONN_ID} is saved, with type and host as filled in")


if __name__ == "__main__":
    sys.exit(main())
