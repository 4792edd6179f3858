"""Where the matrix runs, a warning that our own code causes is an error, whatever Airflow does to filters."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dev.matrix import own_warnings

# A library's deprecated function, called by a module of the name that the command line gives.
PROGRAM = """
import sys, warnings
import airflow.configuration

def old_function():
    warnings.warn("use the new one", eval(sys.argv[2]), stacklevel=2)

exec("old_function()", {"__name__": sys.argv[1], "old_function": old_function})
"""


@pytest.mark.parametrize(
    ("module", "exit_code"), [("airflow_aitronos.hooks.aitronos", 1), ("airflow_aitronos_of_others", 0)]
)
def test_a_warning_that_our_own_code_causes_is_an_error(module: str, exit_code: int) -> None:
    command = [sys.executable, "-c", PROGRAM, module, "DeprecationWarning"]
    env = {**os.environ, "PYTHONWARNINGS": own_warnings.filters()}
    ran = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True, timeout=100, env=env)
    assert ran.returncode == exit_code
    assert (ran.stderr.splitlines()[-1:] == ["DeprecationWarning: use the new one"]) is bool(exit_code)
