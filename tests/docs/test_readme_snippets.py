"""Every snippet of the README runs, and says what it says there."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_aitronos.sandbox.server import SandboxServer
from tests.conftest import REPOSITORY
from tests.docs.readme import blocks

INSTALL, CONNECT, DEMO, SANDBOX, TEST = blocks("bash")
DAG_FILE, GUARDED, HOOK = blocks("python")
LIMIT = 400
"""Seconds that one snippet may take."""


def run(command: list[str], **arguments: Any) -> str:
    finished = subprocess.run(
        command,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
        check=False,
        **arguments,
    )
    assert finished.returncode == 0, finished.stdout[-3000:]
    return str(finished.stdout)


def test_install(tmp_path: Path) -> None:
    assert INSTALL == "pip install .\n"
    pip = [shutil.which("python3") or sys.executable, "-m", "pip", "--python", sys.executable]
    run([*pip, "install", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(tmp_path), "."])
    assert (tmp_path / "airflow_aitronos" / "operators" / "assistants.py").is_file()


def test_connect() -> None:
    show = (
        "from airflow_aitronos.hooks.aitronos import AitronosHook;"
        "settings = AitronosHook().settings; print('FOUND', settings.base_url, settings.conn_id)"
    )
    output = run(["bash", "-c", f'{CONNECT}\n"$0" -c "$1"', sys.executable, show])
    assert "FOUND https://api.aitronos.com aitronos_default" in output


def test_dag_and_its_xcom(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(DAG_FILE.strip().splitlines()) < 15
    (xcom,) = blocks("json")
    with SandboxServer() as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", sandbox.connection_json())
        dag = _dag_of(DAG_FILE)
        assert dag.get_task("detach").execute({}) == json.loads(xcom)
        assert sandbox.store.get_assistant("asst_support01").workflow_id is None


def _dag_of(source: str) -> Any:
    """Return the DAG that a file defines."""
    made: list[Any] = []

    class NotedDag(DAG):
        def __enter__(self) -> Any:
            made.append(self)
            return super().__enter__()

    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airflow.sdk.DAG", NotedDag)
        exec(compile(source, "README.md", "exec"), names)
    (dag,) = made
    return dag


def test_a_guarded_detach(monkeypatch: pytest.MonkeyPatch) -> None:
    with SandboxServer() as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", sandbox.connection_json())
        names: dict[str, Any] = {}
        exec(compile(GUARDED, "README.md", "exec"), names)
        assert names["detach"].execute({})["workflow_id"] == "flow_support01"
        assert [one.method for one in sandbox.requests] == ["GET", "DELETE"]


def test_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, Any] = {}
    with SandboxServer() as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", sandbox.connection_json())
        exec(compile(HOOK, "README.md", "exec"), found)
    assert (found["workflow"]["id"], found["workflow"]["external_id"]) == ("flow_spare01", "spare")


def test_sandbox() -> None:
    command = SANDBOX.replace("8765", "0").split()
    assert command.pop(0) == "python"
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    ) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if line.startswith("export "))
        finally:
            process.send_signal(signal.SIGTERM)
    assert line.startswith("export AIRFLOW_CONN_AITRONOS_DEFAULT=")
    assert process.returncode == 0


@pytest.mark.timeout(LIMIT)
def test_demo_prints_what_the_readme_shows() -> None:
    assert DEMO == "make demo\n"
    assert "\n\t$(RUN) dev/demo.py\n" in (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    (shown,) = blocks("text")
    printed = run([sys.executable, "dev/demo.py"], env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    assert _without_chance(printed) == _without_chance(shown)


def _without_chance(text: str) -> list[str]:
    """Return the lines of a text, sorted, without durations, ports and ids that differ from run to run."""
    text = re.sub(r"req_[0-9a-f]+", "req_", text)
    text = re.sub(r" +\d+(\.\d+)? s\b", " s", text)
    return sorted(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", text).strip().splitlines())


def test_test() -> None:
    assert TEST == "make test\n"
    assert "\ntest: check " in (REPOSITORY / "Makefile").read_text(encoding="utf-8")
