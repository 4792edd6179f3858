"""Run one DAG in a process of its own, and print what became of it as JSON: ``run_dag.py DAG_ID``."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

from tests.task_runs import airflow_runs
from tests.task_runs.dags import detach_dags

LOGICAL_DATE = datetime(2026, 2, 1, tzinfo=UTC)
LIMIT = 120
"""Seconds that a run may take."""

_MARK = "RESULT "


def start(dag_id: str, **environment: str) -> subprocess.Popen[str]:
    """
    Start the run of a DAG.

    :param dag_id: of the DAG.
    :param environment: what is different there.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "tests.task_runs.run_dag", dag_id],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    )


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """
    Return what became of a run, and fail with its output if nothing did.

    :param process: that :func:`start` returned.
    """
    output, _ = process.communicate(timeout=LIMIT)
    lines = [line for line in output.splitlines() if line.startswith(_MARK)]
    assert lines, output[-3000:]
    result: dict[str, Any] = json.loads(lines[0].removeprefix(_MARK))
    return result


def main() -> None:
    """Run the DAG that the command line names, always for the same date."""
    result = airflow_runs.run(getattr(detach_dags, sys.argv[1]), LOGICAL_DATE)
    print(_MARK + json.dumps({name: dataclasses.asdict(task) for name, task in result.items()}))


if __name__ == "__main__":
    main()
