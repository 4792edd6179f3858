"""A migrated, throw-away Airflow, and connections into it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from airflow import settings

from airflow_aitronos.hooks.aitronos import AitronosHook
from tests.conftest import AIRFLOW_HOME
from tests.support.fake_clock import FakeClock
from tests.task_runs import airflow_runs, callbacks
from tests.task_runs.dags import detach_dags

KEY = "sk-CANARY-7f3a9c51e2d84b60"

SetConnection = Callable[..., None]


@pytest.fixture(scope="session", autouse=True)
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Make the database anew, since an old one may be another version's: one worker makes it for all."""
    # Whoever has read a connection in this process still holds the old file open.
    if settings.engine is not None:
        settings.engine.dispose()
    # With the log that a process that was killed has left: SQLite would apply it to the new database.
    for file in AIRFLOW_HOME.glob("airflow.db*"):
        file.unlink()
    shutil.rmtree(AIRFLOW_HOME / "logs", ignore_errors=True)
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with (shared / "database.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (shared / "airflow.db").exists():
            AIRFLOW_HOME.mkdir(parents=True, exist_ok=True)
            copy_database(shared / "airflow.db", AIRFLOW_HOME / "airflow.db")
        else:
            airflow_runs.migrate()
            copy_database(AIRFLOW_HOME / "airflow.db", shared / "airflow.db")


def copy_database(source: Path, target: Path) -> None:
    """Copy a database with what is still in its log."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


@pytest.fixture(autouse=True)
def seen() -> list[tuple[str, str]]:
    """Return what callbacks will have seen."""
    callbacks.seen.clear()
    return callbacks.seen


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Return what detaches will have raised; not every Airflow hands it to callbacks in such a run."""
    raised: list[BaseException] = []
    detach = AitronosHook.detach_assistant_workflow

    def recording(hook: AitronosHook, assistant_id: str, **options: Any) -> Any:
        try:
            return detach(hook, assistant_id, **options)
        except BaseException as error:
            raised.append(error)
            raise

    monkeypatch.setattr(AitronosHook, "detach_assistant_workflow", recording)
    return raised


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> SetConnection:
    """Define the Airflow connection: ``connect(url, conn_id=…, **extra)``."""

    def connect(url: str, conn_id: str = "aitronos_default", key: str = KEY, **extra: Any) -> None:
        fields = {"conn_type": "aitronos", "host": url, "password": key, "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))

    return connect


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Let waits between attempts cost nothing."""
    clock = FakeClock()
    monkeypatch.setattr(AitronosHook, "clock", clock)
    return clock


@pytest.fixture
def sandbox(aitronos_sandbox: Any, no_waits: FakeClock) -> Any:
    """Return a sandbox with one more assistant and its workflow."""
    aitronos_sandbox.add_assistant(detach_dags.ASSISTANT, workflow_id=detach_dags.FLOW)
    return aitronos_sandbox
