"""Run the tests in the environment of a row, and say what came of it."""

from __future__ import annotations

import os
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from dev.matrix import own_warnings
from dev.matrix.rows import FOLDER, REPOSITORY, Row

TESTS = ("tests/unit", "tests/wire", "tests/task_runs", "tests/testing", "tests/doctor")
OPTIONS = (
    *("--quiet", "--numprocesses", "2", "--dist", "worksteal", "-p", "no:cacheprovider"),
    # Seconds for one test: the first one of a process waits for Airflow's migrations, too.
    *("--timeout", "600"),
)
LIMIT = 3600
"""Seconds for the tests of one row."""


@dataclass
class Outcome:
    """
    What came of a row.

    :param problem: empty if all is well; otherwise in a few words what is not.
    :param passed: number of tests that passed.
    :param skipped: how many tests were skipped, by reason.
    :param seconds: that the tests took.
    :param is_absent: whether it could not be tried, because the Python is not on this machine.
    """

    problem: str = ""
    passed: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    seconds: int = 0
    is_absent: bool = False


def run(row: Row, python: Path) -> tuple[Outcome, Path]:
    """
    Run the tests, and return what came of them and the file with all that they printed.

    :param row: of the table.
    :param python: the environment's.
    """
    log, report = FOLDER / f"{row.name}.log", FOLDER / f"{row.name}.xml"
    report.unlink(missing_ok=True)
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as output:
        try:
            code = subprocess.run(
                [python, "-m", "pytest", *TESTS, *OPTIONS, f"--junit-xml={report}"],
                check=False,
                cwd=REPOSITORY,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=LIMIT,
                env={
                    **os.environ,
                    "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", os.defpath)]),
                    "PYTHONWARNINGS": own_warnings.filters(),
                },
            ).returncode
        except subprocess.TimeoutExpired:
            return Outcome(f"not done after {LIMIT} s", seconds=LIMIT), log
    return outcome_of(code, report, round(time.monotonic() - started)), log


def outcome_of(code: int, report: Path, seconds: int) -> Outcome:
    """
    Return what pytest's report says.

    :param code: that pytest ended with.
    :param report: in JUnit's format.
    :param seconds: that it took.
    """
    if not report.exists():
        return Outcome(f"pytest ended with {code}", seconds=seconds)
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for case in ElementTree.parse(report).iter("testcase"):
        ends = [end for end in case if end.tag in ("failure", "error", "skipped")]
        counts.update([end.tag for end in ends] or ["passed"])
        reasons.update(end.get("message", "") for end in ends if end.tag == "skipped")
    bad = [
        f"{counts[tag]} {word}" for tag, word in (("failure", "failed"), ("error", "broken")) if counts[tag]
    ]
    if not bad and (code != 0 or not counts["passed"]):
        bad = [f"pytest ended with {code}"]
    return Outcome(", ".join(bad), counts["passed"], dict(reasons), seconds)
