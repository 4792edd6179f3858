"""What is supported, as the rows of a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
FOLDER = REPOSITORY / ".venv-matrix"
"""Where the environments and the results are; git ignores it."""

RELEASES = {
    "3.1.0": "2025-10-09",
    "3.1.8": "2026-03-25",
    "3.2.0": "2026-04-21",
    "3.2.2": "2026-06-12",
    "3.3.0": "2026-07-20",
    "3.3.2": "2026-10-01",
    "3.4.0b2": "2026-11-20",
}
"""
Lowest and highest release of each supported Airflow, each with the day of its pins.

A release has no upper bounds for most of what it needs, and does not start with what came out a year after
it; nobody who runs it has that. So it is pinned to what there was two weeks after it. When 3.4.0 is there, it
takes the place of its pre-release here and nowhere else.
"""

PYTHONS = ("3.11", "3.12", "3.13")


@dataclass(frozen=True)
class Row:
    """
    One environment to test in.

    :param airflow: release.
    :param python: minor version.
    :param lowest: with the oldest direct dependencies that ``pyproject.toml`` allows.
    """

    airflow: str
    python: str
    lowest: bool = False

    @property
    def name(self) -> str:
        """What the row is called on the command line and in file names."""
        return f"{self.pins.stem.removeprefix('constraints-airflow-')}-py{self.python}"

    @property
    def pins(self) -> Path:
        """The file that pins what the environment holds."""
        suffix = "-lowest" if self.lowest else ""
        return Path(__file__).parent / f"constraints-airflow-{self.airflow}{suffix}.txt"

    @property
    def report(self) -> Path:
        """The file for the result of its newest run, in JUnit's format."""
        return FOLDER / f"{self.name}.xml"


ROWS = (
    Row(next(iter(RELEASES)), PYTHONS[0], lowest=True),
    *(Row(airflow, python) for airflow in RELEASES for python in PYTHONS),
)
