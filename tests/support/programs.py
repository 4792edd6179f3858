"""Programs that a test starts."""

from __future__ import annotations

import subprocess
from typing import Any

LIMIT = 400
"""Seconds that a program may take on a busy machine."""


def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """
    Run a program to its end, and return its exit code and all that it printed.

    :param command: its name and arguments.
    :param options: of ``subprocess.run``.
    """
    output: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.run(command, check=False, **{"timeout": LIMIT, **output, **options})


def output_of(command: list[str], **options: Any) -> str:
    """
    Run a program that has to succeed, and return all that it printed.

    :param command: its name and arguments.
    :param options: of ``subprocess.run``.
    """
    finished = run(command, **options)
    assert finished.returncode == 0, finished.stdout[-6000:]
    return finished.stdout
