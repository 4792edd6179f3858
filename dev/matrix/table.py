"""The newest result of each row as a Markdown table for the documentation."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from dev.matrix.rows import ROWS, Row


def table() -> str:
    """Return a line for each row, those without a result too, and the commits that the results are of."""
    lines = ["| Airflow | Python | dependencies | tests passed |", "| --- | --- | --- | --- |"]
    commits = set()
    for row in ROWS:
        result, commit = _result(row)
        commits |= {commit} - {""}
        dependencies = "lowest direct" if row.lowest else "of its day"
        lines.append(f"| {row.airflow} | {row.python} | {dependencies} | {result} |")
    return "\n".join([*lines, "", f"Commit: {', '.join(sorted(commits)) or 'none'}"])


def _result(row: Row) -> tuple[str, str]:
    """Return the counts of a row's newest run, and the commit, after which the run is named."""
    if not row.report.exists():
        return "not run", ""
    suite = next(ElementTree.parse(row.report).iter("testsuite"))
    number = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    failed = number["failures"] + number["errors"]
    counts = [f"**{failed} failed**"] if failed else []
    counts.append(str(number["tests"] - failed - number["skipped"]))
    if number["skipped"]:
        counts.append(f"{number['skipped']} skipped")
    return ", ".join(counts), suite.get("name", "")
