"""What is supported, as the rows of a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
FOLDER = REPOSITORY / ".venv-matrix"
"""Where the environments, the logs and the results are; git ignores it."""

RELEASES = {
    "3.1.0": "2025-10-09",
    "3.1.8": "2026-03-25",
    "3.2.0": "2026-04-21",
    "3.2.2": "2026-06-12",
    "3.3.0": "2026-07-20",
    "3.3.2": "2026-10-01",
}
"""
Lowest and highest release of each supported Airflow, each with a day two weeks later.

A release has no upper bounds for most of what it needs, and does not start with what came out a year after
it; nobody who runs it has that. So it is pinned to what there was on its day.
"""

PYTHONS = ("3.11", "3.12", "3.13")

LOWEST_PYTHON, LOWEST_RELEASE = PYTHONS[0], next(iter(RELEASES))


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
        """Return what the row is called on the command line and in file names."""
        return f"{self.pins.stem.removeprefix('constraints-airflow-')}-py{self.python}"

    @property
    def pins(self) -> Path:
        """Return the file that pins what the environment holds."""
        suffix = "-lowest" if self.lowest else ""
        return Path(__file__).parent / f"constraints-airflow-{self.airflow}{suffix}.txt"

    @property
    def dependencies(self) -> str:
        """Return in a word which dependencies the environment has."""
        return "lowest direct" if self.lowest else "of its day"


ROWS = (
    Row(LOWEST_RELEASE, LOWEST_PYTHON, lowest=True),
    *(Row(airflow, python) for airflow in RELEASES for python in PYTHONS),
)
