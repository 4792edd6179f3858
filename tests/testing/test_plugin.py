"""The pytest plugin as its users have it: what it loads and keeps apart, and the examples of its page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_aitronos.testing.airflow_home import airflow_home
from tests.conftest import REPOSITORY
from tests.support.programs import LIMIT, run

PAGE = REPOSITORY / "docs" / "how-to" / "test-your-dag.md"
SUITES = Path(__file__).parent / "suites"
INI = "[pytest]\naitronos_airflow_home = true\n"
BACKEND = "real_backend.RealBackend"
# Each of them leads out of a temporary home or of a test, or breaks it.
SETTINGS = {
    "AIRFLOW__SECRETS__BACKEND": BACKEND,
    "AIRFLOW__WORKERS__SECRETS_BACKEND": BACKEND,
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD": "false",
    "AITRONOS_ALLOWED_ORIGINS": "https://before.example",
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
    return run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**environment, "HOME": str(home), "AIRFLOW_HOME": str(home / "airflow")} | settings,
    )


def run_suites(folder: Path, ini: str, *names: str, **settings: str) -> None:
    for name in (*names, "real_backend.py"):
        shutil.copy(SUITES / name, folder)
    (folder / "pytest.ini").write_text(ini)
    own = sorted(path.name for path in folder.glob("test_*.py"))
    result = run_as_a_user(folder, *names, *own, **settings)
    assert result.returncode == 0, result.stdout[-6000:]


def test_loading_the_plugin_loads_nothing_heavy() -> None:
    result = subprocess.run([sys.executable, "-c", LOADED], stdout=subprocess.PIPE, text=True, check=True)
    assert result.stdout.split() == []


def test_a_home_puts_the_environment_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    before = dict(os.environ)
    with airflow_home():
        home = Path(os.environ["AIRFLOW_HOME"])
        assert home.is_dir()
        assert "AIRFLOW__CORE__EXECUTOR" not in os.environ
    assert dict(os.environ) == before
    assert not home.exists()


@pytest.mark.timeout(LIMIT)
def test_a_temporary_airflow_next_to_settings_of_the_machines(tmp_path: Path) -> None:
    """The examples of the page too: making the database takes longer than all the tests in it."""
    complete, lost_answer = blocks("python")
    (ini,) = blocks("ini")
    assert ini == INI
    (tmp_path / "test_complete.py").write_text(complete)
    (tmp_path / "test_lost_answer.py").write_text(lost_answer)
    run_suites(tmp_path, ini, "protection.py", "in_airflow.py", **SETTINGS)
    assert list((tmp_path / "home").iterdir()) == [], "the user's own Airflow home is left alone"


@pytest.mark.timeout(LIMIT)
def test_a_sandbox_next_to_a_secrets_backend(tmp_path: Path) -> None:
    run_suites(tmp_path, "[pytest]\n", "without_home.py", AIRFLOW__SECRETS__BACKEND=BACKEND)


def test_a_fault_that_no_request_meets_fails_the_test(tmp_path: Path) -> None:
    scripted = "def test(aitronos_sandbox):\n    aitronos_sandbox.fail(503, method='DELETE')\n"
    (tmp_path / "test_it.py").write_text(scripted)
    result = run_as_a_user(tmp_path)
    assert result.returncode == 1, result.stdout[-4000:]
    assert re.search("1 passed,.* 1 error", result.stdout)
    assert "No request met: status 503 for DELETE, times=1." in result.stdout


@pytest.mark.parametrize("ini", ["", INI], ids=["without the option", "with it"])
def test_an_airflow_that_was_imported_too_early_is_left_alone(tmp_path: Path, ini: str) -> None:
    (tmp_path / "early.py").write_text("import sys\nsys.modules['airflow'] = sys\n")
    (tmp_path / "pytest.ini").write_text(ini or "[pytest]\n")
    (tmp_path / "test_it.py").write_text("def test(aitronos_airflow): ...\n")
    result = run_as_a_user(tmp_path, "-p", "early")
    assert result.returncode == (4 if ini else 1), result.stdout[-4000:]
    assert "Airflow was imported before its temporary home was set up" in result.stdout


@pytest.mark.parametrize(("autoload", "code"), [("", 1), ("1", 0)], ids=["loaded already", "not loaded"])
def test_naming_the_plugin_in_a_conftest(tmp_path: Path, autoload: str, code: int) -> None:
    (tmp_path / "conftest.py").write_text("pytest_plugins = ['airflow_aitronos.testing.plugin']\n")
    (tmp_path / "test_it.py").write_text("def test(aitronos_sandbox): ...\n")
    result = run_as_a_user(tmp_path, PYTEST_DISABLE_PLUGIN_AUTOLOAD=autoload)
    assert result.returncode == code, result.stdout[-4000:]
    assert ("Plugin already registered under a different name" in result.stdout) == bool(code)
