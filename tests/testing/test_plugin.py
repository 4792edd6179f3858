"""The pytest plugin as its users have it: what it loads, and the examples of its page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "testing.md"
LIMIT = 300
"""Seconds that a test run of a user's may take on a busy machine."""

LOADED = """
import sys, airflow_aitronos.testing.plugin
heavy = {"airflow", "fastapi", "uvicorn", "requests", "starlette", "pydantic", "tenacity"}
print(*sorted({name.partition(".")[0] for name in sys.modules} & heavy))
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def run_as_a_user(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder of a user's, who has told Airflow nothing of a home."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "PYTEST_"))
    }
    home = folder / "home"
    home.mkdir()
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**environment, "HOME": str(home), "AIRFLOW_HOME": str(home / "airflow")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
        check=False,
    )


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
    result = run_as_a_user(tmp_path)
    assert result.returncode == 0, result.stdout[-4000:]
    assert "2 passed" in result.stdout
    assert list((tmp_path / "home").iterdir()) == [], "the user's own Airflow home is left alone"


@pytest.mark.timeout(LIMIT)
def test_an_airflow_that_was_imported_too_early_is_left_alone(tmp_path: Path) -> None:
    early = "import sys\nsys.modules['airflow'] = sys\n\ndef test(aitronos_airflow): ...\n"
    (tmp_path / "test_it.py").write_text(early)
    result = run_as_a_user(tmp_path)
    assert result.returncode == 1, result.stdout[-4000:]
    assert "add `aitronos_airflow_home = true`" in result.stdout
