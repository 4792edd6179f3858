"""XComs on PostgreSQL, whose JSON columns refuse what SQLite takes."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_aitronos.exceptions import AitronosResponseError
from airflow_aitronos.hooks.aitronos import AitronosHook
from tests.support.cases import case
from tests.support.fault_server import FaultServer
from tests.support.replies import http
from tests.task_runs import airflow_runs, run_dag
from tests.task_runs.conftest import SetConnection
from tests.task_runs.dags.detach_dags import ASSISTANT

LIMIT = 60
"""Seconds for one command of PostgreSQL."""


def programs() -> Path | None:
    """Return the folder with PostgreSQL's programs, wherever Debian put it."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[4])
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


BIN = programs()


def as_its_own_user(*command: str | Path) -> None:
    """Run a command of PostgreSQL, which refuses to be root."""
    is_root = os.geteuid() == 0
    user = pwd.getpwnam("postgres") if is_root else None
    # Its output goes to a file of the server's own: a pipe would be kept open by the server.
    subprocess.run(
        [str(part) for part in command],
        check=True,
        timeout=LIMIT,
        stdout=subprocess.DEVNULL,
        user=user.pw_uid if user else None,
        group=user.pw_gid if user else None,
        extra_groups=[] if user else None,
        cwd="/",
    )


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def database() -> Iterator[str]:
    """Start a PostgreSQL for one test, and return its URL for Airflow."""
    if BIN is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    # Short, since the path of a socket is limited, and where another user may look.
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    port = free_port()
    data = folder / "data"
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
    try:
        as_its_own_user(BIN / "initdb", "-D", data, "-U", "airflow", "-A", "trust", "-E", "UTF8")
        as_its_own_user(BIN / "pg_ctl", "-D", data, "-l", folder / "server.log", "-o", options, "-w", "start")
        yield f"postgresql+psycopg2://airflow@127.0.0.1:{port}/postgres"
    finally:
        if (data / "postmaster.pid").exists():
            as_its_own_user(BIN / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@case("A11")
def test_whatever_the_server_says_can_be_stored(connect: SetConnection, database: str) -> None:
    odd = (
        f'{{"assistant_id": "{ASSISTANT}", "workflow_id": "flow_\\u0000\\ud800x", '
        '"message": "nul \\u0000, surrogate \\udfff, escape \\u001b[31mred", "more": [1e300, "\\u0000"]}'
    )
    environment = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database}
    airflow_runs.migrate(**environment)
    with FaultServer([http(200, odd, [("Content-Type", "application/json")])]) as server:
        connect(server.url)
        result = run_dag.result_of(run_dag.start("detach_no_retries", **environment))["detach"]
    assert result["state"] == "success"
    assert result["xcoms"]["return_value"] == {
        "assistant_id": ASSISTANT,
        "workflow_id": "flow_\ufffd\ufffdx",
        "message": "nul \ufffd, surrogate \ufffd, escape red",
    }


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_cannot_be_stored_is_no_answer(connect: SetConnection, number: str) -> None:
    with FaultServer([http(200, f'{{"assistant_id": "{ASSISTANT}", "more": {number}}}')]) as server:
        connect(server.url)
        with AitronosHook() as hook, pytest.raises(AitronosResponseError, match="malformed response"):
            hook.detach_assistant_workflow(ASSISTANT)
    assert len(server.requests) == 1
