"""The newest result of each row as a Markdown table for the documentation."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

from dev.matrix.rows import ROWS, Row


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
    """Return a line for each row, those without a result too, and the commits that the results are of."""
    lines = ["| Airflow | Python | dependencies | tests passed |", "| --- | --- | --- | --- |"]
    commits = set()
    for row in ROWS:
        outcome = result(row)
        commits |= {outcome.commit} - {""}
        dependencies = "lowest direct" if row.lowest else "of its day"
        lines.append(f"| {row.airflow} | {row.python} | {dependencies} | {outcome.text} |")
    return "\n".join([*lines, "", f"Commit: {', '.join(sorted(commits)) or 'none'}"])


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
