"""``airflow standalone`` with LocalExecutor: API server, scheduler, DAG processor and triggerer."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dev.e2e.progress import CheckFailedError
from dev.postgresql import free_port

USER = "admin"
_LONGEST_END = 20.0
"""Seconds that the processes have to end by themselves."""


@dataclass(frozen=True)
class Deployment:
    """
    A started deployment, which may not answer yet.

    :param url: of its API server, which serves the pages too.
    :param password: of the user ``admin``.
    :param process: the leader of its process group.
    :param log: file with the output of all processes.
    :param environment: of all processes.
    """

    url: str
    password: str
    process: subprocess.Popen[bytes]
    log: Path
    environment: dict[str, str] = field(repr=False)

    def expect_alive(self) -> None:
        """
        Check that it has not ended by itself.

        :raises CheckFailedError: if it has.
        """
        if self.process.poll() is not None:
            raise CheckFailedError(f"Airflow ended by itself; {self.log} says why")


@contextlib.contextmanager
def running(home: Path, dags: Path, database: str, connection: str) -> Iterator[Deployment]:
    """
    Start Airflow from the environment of this Python, and end all of its processes afterwards.

    :param home: an empty folder.
    :param dags: folder with the DAGs.
    :param database: URL of an empty database.
    :param connection: to the API, as JSON.
    """
    port, password = free_port(), secrets.token_urlsafe(12)
    url = f"http://127.0.0.1:{port}"
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps({USER: password}), encoding="utf-8")
    log = home / "airflow.log"
    environment = {
        **clean_environment(home),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW_CONN_AITRONOS_DEFAULT": connection,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "standalone"],
            # Not in the repository: the package has to come from its wheel.
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Deployment(url, password, process, log, environment)
    finally:
        _end(process)


def clean_environment(home: Path) -> dict[str, str]:
    """
    Return the environment without anybody's Airflow in it, and with what does not depend on this run.

    :param home: Airflow's.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    return {
        **kept,
        # Airflow starts its parts by name.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group: ask, wait, insist."""
    _signal(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + _LONGEST_END
    # The leader may go before the others: what counts is that the group is empty.
    while time.monotonic() < deadline:
        process.poll()
        if not _signal(process.pid, 0):
            return
        time.sleep(0.2)
    _signal(process.pid, signal.SIGKILL)
    process.wait()


def _signal(group: int, number: int) -> bool:
    """Send a signal to a process group, and return whether there was still one."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
