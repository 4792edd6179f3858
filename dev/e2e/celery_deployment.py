"""Airflow on Celery: PostgreSQL, Redis, two workers, and a relay through which they reach the API server."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psutil

from dev import postgresql
from dev.e2e.deployment import USER, clean_environment
from dev.e2e.progress import wait_for
from dev.postgresql import free_port

REMEDY = "Redis is not installed: apt-get install redis-server"
WORKERS = ("one", "two")
POOL = "aitronos"
"""A pool of one slot."""
_LONGEST_END = 60.0


class Relay(ThreadingHTTPServer):
    """
    Pass requests of the workers on to the API server.

    ``is_cut(method, path)`` says which connections are closed without a response.
    """

    daemon_threads = True

    def __init__(self, api_port: int) -> None:
        self.api_port = api_port
        self.heal()
        super().__init__(("127.0.0.1", 0), _Passing)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a worker that has gone away."""

    def heal(self) -> None:
        """Let everything pass."""
        self.is_cut: Callable[[str, str], bool] = lambda method, path: False  # noqa: ARG005  # cuts nothing


class _Passing(BaseHTTPRequestHandler):
    server: Relay
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name in the base class
        """Say nothing."""

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if self.server.is_cut(self.command, self.path):
            self.close_connection = True
            return
        api = http.client.HTTPConnection("127.0.0.1", self.server.api_port, timeout=60)
        try:
            api.request(self.command, self.path, body, dict(self.headers))
            reply = api.getresponse()
            content = reply.read()
        except OSError:
            self.close_connection = True
            return
        finally:
            api.close()
        self.send_response_only(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _pass


class Celery:
    """
    The parts of a deployment, each a process with a log of its own.

    :param home: an empty folder.
    :param dags: folders with DAGs, by name.
    :param database: URL of an empty database.
    :param connections: to the API by id, as JSON.
    """

    def __init__(self, home: Path, dags: dict[str, Path], database: str, connections: dict[str, str]) -> None:
        self.home = home
        api_port, self._redis_port = free_port(), free_port()
        self.url, self.password = f"http://127.0.0.1:{api_port}", secrets.token_urlsafe(12)
        self.relay = Relay(api_port)
        self._parts: dict[str, subprocess.Popen[bytes]] = {}
        passwords = home / "passwords.json"
        passwords.write_text(json.dumps({USER: self.password}), encoding="utf-8")
        bundle = "airflow.dag_processing.bundles.local.LocalDagBundle"
        bundles = [
            {"name": name, "classpath": bundle, "kwargs": {"path": str(folder)}}
            for name, folder in dags.items()
        ]
        self._environment = {
            **clean_environment(home),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__PORT": str(api_port),
            "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{self._redis_port}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": database.replace("postgresql+", "db+postgresql+"),
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "4",
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": (
                f"http://127.0.0.1:{self.relay.server_address[1]}/execution/"
            ),
            "AIRFLOW__CORE__PARALLELISM": "16",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            # Seconds after which a task whose worker died is given to another one; 300 by default.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
            **{f"AIRFLOW_CONN_{conn_id.upper()}": text for conn_id, text in connections.items()},
        }

    def start_redis(self) -> None:
        """Start the broker; what was queued when it ended is still there."""
        folder = self.home / "redis"
        folder.mkdir(exist_ok=True)
        options = ("--bind", "127.0.0.1", "--port", str(self._redis_port), "--appendonly", "yes")
        self._start("redis", ["redis-server", *options, "--dir", str(folder)])

    def start_worker(self, name: str) -> None:
        """
        Start a worker that takes four tasks at a time.

        :param name: one of ``WORKERS``.
        """
        options = ("--celery-hostname", f"{name}@%h", "--skip-serve-logs", "--without-gossip")
        pid_file = self.home / f"{name}.pid"
        pid_file.unlink(missing_ok=True)  # of one that was killed
        self._airflow(
            f"worker {name}",
            *("celery", "worker", *options, "--pid", str(pid_file)),
            AIRFLOW__LOGGING__BASE_LOG_FOLDER=str(self.home / "logs" / name),
        )

    def start_airflow(self) -> None:
        """Start the rest of Airflow."""
        for command in (["db", "migrate"], ["pools", "set", POOL, "1", "Calls to Aitronos"]):
            subprocess.run(
                [sys.executable, "-m", "airflow", *command],
                check=True,
                env=self._environment,
                cwd=self.home,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        for part in ("api-server", "scheduler", "dag-processor", "triggerer"):
            self._airflow(part, part)

    def processes(self, part: str) -> list[psutil.Process]:
        """
        Return the processes of a part: its own, and those below it.

        :param part: its name.
        """
        process = psutil.Process(self._parts[part].pid)
        return [process, *process.children(recursive=True)]

    def send(self, part: str, number: signal.Signals, *, to_all: bool) -> None:
        """
        Send a signal to a part.

        :param part: its name.
        :param number: the signal.
        :param to_all: whether the processes below it get the signal, too.
        """
        for process in self.processes(part) if to_all else self.processes(part)[:1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def wait_until_ended(self, part: str) -> None:
        """
        Wait for the end of a part's own process.

        :param part: its name.
        """
        self._parts[part].wait(timeout=_LONGEST_END * 3)

    def workers_of(self, run_id: str) -> dict[str, Path]:
        """
        Return the logs of the tries of a run, each named after its worker, task and try.

        :param run_id: of the run.
        """
        logs = (self.home / "logs").glob(f"*/dag_id=*/run_id={run_id}/**/attempt=*.log")
        return {"/".join(log.relative_to(self.home / "logs").parts[:1] + log.parts[-2:]): log for log in logs}

    def end(self) -> None:
        """End everything."""
        everything = [process for part in self._parts for process in self._still_there(part)]
        for process in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, left = psutil.wait_procs(everything, timeout=20)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def _still_there(self, part: str) -> list[psutil.Process]:
        try:
            return self.processes(part)
        except psutil.NoSuchProcess:
            return []

    def _airflow(self, part: str, *arguments: str, **environment: str) -> None:
        self._start(part, [sys.executable, "-m", "airflow", *arguments], **environment)

    def _start(self, part: str, command: list[str], **environment: str) -> None:
        with (self.home / f"{part}.log").open("ab") as output:
            self._parts[part] = subprocess.Popen(
                command,
                cwd=self.home,  # not the repository: the package has to come from its wheel
                env={**self._environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


@contextlib.contextmanager
def running(home: Path, dags: dict[str, Path], connections: dict[str, str]) -> Iterator[Celery]:
    """
    Start a deployment, which may not answer yet, and end all of its processes afterwards.

    :param home: an empty folder.
    :param dags: folders with DAGs, by name.
    :param connections: to the API by id, as JSON.
    """
    with postgresql.running() as database:
        celery = Celery(home, dags, database, connections)
        Thread(target=celery.relay.serve_forever, daemon=True).start()
        try:
            celery.start_redis()
            celery.start_airflow()
            for name in WORKERS:
                celery.start_worker(name)
            yield celery
        finally:
            celery.end()
            celery.relay.shutdown()
            celery.relay.server_close()


def is_installed() -> bool:
    """Return whether the broker's program is there."""
    return shutil.which("redis-server") is not None


def wait_for_workers(celery: Celery) -> None:
    """
    Wait until both workers take tasks.

    :param celery: the deployment.
    """
    for name in WORKERS:
        log = celery.home / f"worker {name}.log"
        ready = f"{name}@"
        wait_for(
            f"worker {name}",
            lambda log=log, ready=ready: (  # type: ignore[misc]  # mypy cannot infer the defaults
                any(ready in line and "ready." in line for line in log.read_text().splitlines()) or None
            ),
            120,
        )
