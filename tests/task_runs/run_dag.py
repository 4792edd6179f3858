"""Run one DAG in a process of its own, and print the result as JSON: ``run_dag.py MODULE.DAG_ID``."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

from tests.task_runs import airflow_runs

LOGICAL_DATE = datetime(2026, 2, 1, tzinfo=UTC)
LIMIT = 110
"""Seconds that a run may take: less than the time limit of a test, so that its output is shown."""

_MARK = "RESULT "


def start(dag: str, *, through: tuple[str, ...] = (), **environment: str) -> subprocess.Popen[str]:
    """
    Start the run of a DAG.

    :param dag: its module in ``dags`` and its name there, with a dot between.
    :param through: command that starts the program, with its arguments.
    :param environment: variables that differ from this process.
    """
    return subprocess.Popen(
        [*through, sys.executable, "-m", "tests.task_runs.run_dag", dag],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    )


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """
    Return the result of a run, and fail with its output if there is none.

    :param process: that :func:`start` returned.
    """
    output, _ = process.communicate(timeout=LIMIT)
    lines = [line for line in output.splitlines() if line.startswith(_MARK)]
    assert lines, output[-3000:]
    result: dict[str, Any] = json.loads(lines[0].removeprefix(_MARK))
    return result


def main() -> None:
    """Run the DAG that the command line names, always for the same date."""
    module, _, name = sys.argv[1].partition(".")
    dag = getattr(importlib.import_module(f"tests.task_runs.dags.{module}"), name)
    result = airflow_runs.run(dag, LOGICAL_DATE)
    print(_MARK + json.dumps({name: dataclasses.asdict(task) for name, task in result.items()}))


if __name__ == "__main__":
    main()
