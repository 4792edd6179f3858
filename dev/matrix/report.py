"""The table, on the terminal and in the README."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from dev.matrix.rows import FOLDER, ROWS, Row
from dev.matrix.tests_of_row import Outcome

BEGIN, END = "<!-- matrix -->", "<!-- /matrix -->"
HEADINGS = ("Airflow", "Python", "dependencies", "tests passed", "seconds")
RESULTS = FOLDER / "results.json"


def table(outcomes: dict[str, Outcome]) -> str:
    """
    Return a row for each environment, those that were not tried too, in Markdown.

    :param outcomes: by name of the row.
    """
    lines = [HEADINGS, ("---",) * len(HEADINGS)]
    for row in ROWS:
        outcome = outcomes.get(row.name)
        seconds = str(outcome.seconds) if outcome and outcome.seconds else ""
        lines.append((row.airflow, row.python, row.dependencies, _result(row, outcome), seconds))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _result(row: Row, outcome: Outcome | None) -> str:
    if outcome is None:
        return "not run"
    if outcome.is_absent:
        return f"not run: no Python {row.python} here"
    skipped = sum(outcome.skipped.values())
    counts = f"{outcome.passed}" + (f", {skipped} skipped" if skipped else "")
    return f"**{outcome.problem}**; {counts} passed" if outcome.problem else counts


def saved() -> dict[str, Outcome]:
    """Return the newest outcome of each row, by name."""
    if not RESULTS.exists():
        return {}
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    return {name: Outcome(**fields) for name, fields in found.items()}


def save(row: Row, outcome: Outcome) -> None:
    """
    Remember what came of a row, so that rows can be run one at a time.

    :param row: of the table.
    :param outcome: of its newest run.
    """
    outcomes = {**saved(), row.name: outcome}
    content = {name: dataclasses.asdict(one) for name, one in outcomes.items()}
    RESULTS.write_text(json.dumps(content, indent=1), encoding="utf-8")


def write_into(page: Path, new: str) -> None:
    """
    Put the table between the two markers of a page.

    :param page: README.md.
    :param new: the table.
    :raises ValueError: if a marker is missing.
    """
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    page.write_text(f"{before}{BEGIN}\n{new}\n{END}{after}", encoding="utf-8")
