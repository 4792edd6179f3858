"""The pytest plugin as its users have it: what it loads and keeps apart, and the examples of its page."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "testing.md"
SUITES = Path(__file__).parent / "suites"
LIMIT = 300
"""Seconds that a test run of a user's may take on a busy machine."""
BOUND = 30
"""Seconds of processor time that the examples of the page may take."""
INI = "[pytest]\naitronos_airflow_home = true\n"
BACKEND = "real_backend.RealBackend"
# Each of them leads out of a temporary home, or breaks it.
SETTINGS = {
    "AIRFLOW__SECRETS__BACKEND": BACKEND,
    "AIRFLOW__WORKERS__SECRETS_BACKEND": BACKEND,
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__CORE__XCOM_BACKEND": "nowhere.Backend",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD": "false",
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(
        [{"name": "git", "classpath": "nowhere.Bundle", "kwargs": {}}]
    ),
    "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
    "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": "s3://logs",
}

LOADED = """
import sys, airflow_aitronos.testing.plugin
heavy = {"airflow", "fastapi", "uvicorn", "requests", "starlette", "pydantic", "tenacity"}
print(*sorted({name.partition(".")[0] for name in sys.modules} & heavy))
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def run_as_a_user(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder of a user's, who has told Airflow nothing but these settings."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "PYTEST_"))
    }
    home = folder / "home"
    home.mkdir()
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**environment, "HOME": str(home), "AIRFLOW_HOME": str(home / "airflow"), "PYTHONPATH": path}
        | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def run_suite(name: str, folder: Path, ini: str, **settings: str) -> str:
    for file in (f"{name}.py", "real_backend.py"):
        shutil.copy(SUITES / file, folder)
    (folder / "pytest.ini").write_text(ini)
    result = run_as_a_user(folder, f"{name}.py", **settings)
    assert result.returncode == 0, result.stdout[-6000:]
    return result.stdout


def test_loading_the_plugin_loads_nothing_heavy() -> None:
    result = subprocess.run([sys.executable, "-c", LOADED], stdout=subprocess.PIPE, text=True, check=True)
    assert result.stdout.split() == []


@pytest.mark.timeout(LIMIT)
def test_the_examples_of_the_page(tmp_path: Path) -> None:
    complete, lost_answer = blocks("python")
    (ini,) = blocks("ini")
    assert len(complete.strip().splitlines()) < 20
    (tmp_path / "pytest.ini").write_text(ini)
    (tmp_path / "test_complete.py").write_text(complete)
    (tmp_path / "test_lost_answer.py").write_text(lost_answer)
    before = processor_time_of_children()
    result = run_as_a_user(tmp_path)
    taken = processor_time_of_children() - before
    assert result.returncode == 0, result.stdout[-4000:]
    assert "2 passed" in result.stdout
    assert list((tmp_path / "home").iterdir()) == [], "the user's own Airflow home is left alone"
    assert taken < BOUND


def processor_time_of_children() -> float:
    """Return seconds; what else the machine does makes those on the clock say little."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.timeout(LIMIT)
def test_a_temporary_airflow_next_to_settings_of_the_machines(tmp_path: Path) -> None:
    run_suite("in_airflow", tmp_path, INI, **SETTINGS)


@pytest.mark.timeout(LIMIT)
def test_a_sandbox_next_to_a_secrets_backend(tmp_path: Path) -> None:
    run_suite("without_home", tmp_path, "[pytest]\n", AIRFLOW__SECRETS__BACKEND=BACKEND)


@pytest.mark.timeout(LIMIT)
def test_an_airflow_that_was_imported_too_early_is_left_alone(tmp_path: Path) -> None:
    early = "import sys\nsys.modules['airflow'] = sys\n\ndef test(aitronos_airflow): ...\n"
    (tmp_path / "test_it.py").write_text(early)
    result = run_as_a_user(tmp_path)
    assert result.returncode == 1, result.stdout[-4000:]
    assert "add `aitronos_airflow_home = true`" in result.stdout


def test_an_airflow_of_another_plugin_is_told_from_a_missing_option(tmp_path: Path) -> None:
    (tmp_path / "early.py").write_text("import sys\nsys.modules['airflow'] = sys\n")
    (tmp_path / "pytest.ini").write_text(INI)
    result = run_as_a_user(tmp_path, "-p", "early")
    assert result.returncode == 4, result.stdout[-4000:]
    assert "by another plugin (given with -p" in result.stdout
    assert "add `aitronos_airflow_home" not in result.stdout
