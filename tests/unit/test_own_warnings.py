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


@pytest.mark.parametrize(
    ("module", "filters", "exit_code"),
    [
        ("airflow_aitronos.hooks.aitronos", own_warnings.filters(), 1),
        ("airflow_aitronos_of_others", own_warnings.filters(), 0),
    ],
    ids=["own", "of_others"],
)
def test_a_warning_that_our_own_code_causes_is_an_error(module: str, filters: str, exit_code: int) -> None:
    command = [sys.executable, "-c", PROGRAM, module, "DeprecationWarning"]
    env = {**os.environ, "PYTHONWARNINGS": filters}
    ran = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True, timeout=100, env=env)
    assert ran.returncode == exit_code
    assert (ran.stderr.splitlines()[-1:] == ["DeprecationWarning: use the new one"]) is bool(exit_code)


def test_every_module_has_a_filter() -> None:
    named = {one.rpartition(":")[2] for one in own_warnings.filters().split(",")}
    modules = {name for name in sys.modules if name.split(".")[0] == own_warnings.PACKAGE}
    assert named >= modules | {
        "airflow_aitronos",
        "airflow_aitronos.client.api_call",
        "airflow_aitronos._compat",
    }
    files = list((REPOSITORY / own_warnings.PACKAGE).rglob("*.py"))
    assert len(named) == len(files)
