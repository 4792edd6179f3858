"""Where the matrix runs, a warning that our own code causes is an error, whatever Airflow does to filters."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dev.matrix import own_warnings
from tests.conftest import REPOSITORY

# A library's deprecated function, called by a module of the name that the command line gives.
PROGRAM = """
import sys, warnings
import airflow.configuration

def old_function():
    warnings.warn("use the new one", eval(sys.argv[2]), stacklevel=2)

exec("old_function()", {"__name__": sys.argv[1], "old_function": old_function})
"""


def calls_something_old(module: str, category: str, filters: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, module, category],
        check=False,
        stderr=subprocess.PIPE,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONWARNINGS": filters},
    )


@pytest.mark.parametrize("category", ["DeprecationWarning", "FutureWarning"])
def test_a_warning_is_an_error(category: str) -> None:
    module = "airflow_aitronos.operators.assistants"
    process = calls_something_old(module, category, own_warnings.filters())
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1] == f"{category}: use the new one"


@pytest.mark.parametrize("module", ["airflow.models.dag", "airflow_aitronos_of_others", "tests.unit"])
def test_a_warning_of_others_is_none(module: str) -> None:
    assert calls_something_old(module, "DeprecationWarning", own_warnings.filters()).returncode == 0


def test_without_the_filters_nothing_happens() -> None:
    process = calls_something_old("airflow_aitronos.operators.assistants", "DeprecationWarning", "")
    assert process.returncode == 0


def test_every_module_has_a_filter() -> None:
    named = {one.rpartition(":")[2] for one in own_warnings.filters().split(",")}
    modules = {name for name in sys.modules if name.split(".")[0] == own_warnings.PACKAGE}
    assert named >= modules | {"airflow_aitronos", "airflow_aitronos.client.call", "airflow_aitronos._compat"}
    files = list((REPOSITORY / own_warnings.PACKAGE).rglob("*.py"))
    assert len(named) == len(files)
