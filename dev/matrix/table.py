"""The newest result of each row as a Markdown table for the documentation."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

from dev.matrix.rows import PYTHONS, RELEASES, ROWS, Row


@dataclass(frozen=True)
class Outcome:
    """
    What came of a row.

    :param text: for the table.
    :param failed: number of tests that failed.
    :param commit: that was tested.
    """

    text: str
    failed: int = 0
    commit: str = ""


def table() -> str:
    """Return a line for each Airflow, a column for each Python, and the commits that the results are of."""
    columns = " | ".join(f"Python {python}" for python in PYTHONS)
    lines = [f"| Airflow | {columns} |", f"| --- |{' --- |' * len(PYTHONS)}"]
    commits = set()
    for airflow, lowest in ((ROWS[0].airflow, True), *((release, False) for release in RELEASES)):
        cells = []
        for python in PYTHONS:
            row = Row(airflow, python, lowest)
            outcome = result(row) if row in ROWS else Outcome("")
            commits |= {outcome.commit} - {""}
            cells.append(outcome.text)
        name = f"{airflow}, lowest dependencies" if lowest else airflow
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Tests passed, at commit {', '.join(sorted(commits)) or 'none'}."])


def result(row: Row) -> Outcome:
    """
    Return what came of the newest run of a row.

    :param row: of the table.
    """
    if not row.report.exists():
        return Outcome("not run")
    suite = next(ElementTree.parse(row.report).iter("testsuite"))
    number = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    failed = number["failures"] + number["errors"]
    counts = [f"**{failed} failed**"] if failed else []
    counts.append(str(number["tests"] - failed - number["skipped"]))
    if number["skipped"]:
        counts.append(f"{number['skipped']} skipped")
    return Outcome(", ".join(counts), failed, suite.get("name", ""))
