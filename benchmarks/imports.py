"""What importing the operators adds to a DAG file that has imported ``airflow.sdk``."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.result import REPOSITORY, Bar, Result, Verdict, clean_environment

LIMIT = 0.01
PROCESSES = 9
OURS, THEIRS = "airflow_aitronos.operators.assistants", "airflow.providers.http.operators.http"

PROBE = """
import importlib, sys, time
from airflow.sdk import DAG, BaseHook, BaseOperator, task  # what a DAG file has loaded by then
started = time.perf_counter()
importlib.import_module(sys.argv[1])
print(time.perf_counter() - started)
"""


def run(home: Path) -> Result:
    """
    Import both modules in fresh processes, in turn.

    :param home: an empty folder.
    """
    seconds: dict[str, list[float]] = {OURS: [], THEIRS: []}
    for module in seconds:  # compiles what is not compiled yet, and is not counted
        _import(module, home)
    for _ in range(PROCESSES):
        for module, measured in seconds.items():
            measured.append(_import(module, home))
    ours, theirs = (statistics.median(measured) for measured in seconds.values())
    return Result(
        f"Import in a DAG file, on top of airflow.sdk (median of {PROCESSES} processes)",
        [
            Bar("DetachAssistantWorkflowOperator", ours, f"{ours * 1e3:.2f} ms", True),
            Bar("HttpOperator", theirs, f"{theirs * 1e3:.1f} ms", False),
        ],
        [Verdict("importing the operator, relative to importing HttpOperator", ours / theirs, LIMIT)],
    )


def _import(module: str, home: Path) -> float:
    command = [sys.executable, "-c", PROBE, module]
    printed = subprocess.check_output(
        command, cwd=REPOSITORY, env=clean_environment(home), text=True, timeout=120
    )
    return float(printed.splitlines()[-1])
