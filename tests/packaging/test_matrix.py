"""The table of versions: what it runs, and what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from dev.matrix import environments, report
from dev.matrix.rows import PYTHONS, RELEASES, ROWS, Row
from dev.matrix.tests_of_row import TESTS, Outcome, outcome_of
from tests.conftest import REPOSITORY
from tests.packaging.project import PYPROJECT
from tests.packaging.test_constraints import PIN

FIRST, SECOND, THIRD, *_ = ROWS
JUNIT = """
<testsuites><testsuite>
  <testcase name="a"/><testcase name="b"/>
  <testcase name="c"><skipped message="PostgreSQL is not installed"/></testcase>
  {more}
</testsuite></testsuites>
"""


def pins(path: Path) -> dict[str, str]:
    """Return the pins of a file, and fail if a line is none."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        match = PIN.fullmatch(line)
        assert match, line
        found[match["name"]] = match["version"]
    return found


def outcome_with(folder: Path, more: str, code: int) -> Outcome:
    (folder / "report.xml").write_text(JUNIT.format(more=more), encoding="utf-8")
    return outcome_of(code, folder / "report.xml", 7)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_pins_what_it_says(row: Row) -> None:
    pinned = pins(row.pins)
    assert pinned["apache-airflow"] == row.airflow
    project = PYPROJECT["project"]
    wanted = map(
        Requirement,
        [*project["dependencies"], *project["optional-dependencies"]["sandbox"], "urllib3>=2.0.7"],
    )
    for requirement in wanted:
        version = pinned[requirement.name]
        assert requirement.specifier.contains(version)
        if row.lowest and requirement.name != "apache-airflow":
            lowest = min(Version(one.version) for one in requirement.specifier if one.operator == ">=")
            # Airflow itself excludes 2.11.0 of pydantic.
            assert Version(version).release[:2] == lowest.release[:2]


def test_every_supported_airflow_has_its_lowest_and_highest_on_every_python() -> None:
    assert [Version(one).release[:2] for one in RELEASES] == [(3, 1), (3, 1), (3, 2), (3, 2), (3, 3), (3, 3)]
    assert {(row.airflow, row.python) for row in ROWS} == {(one, py) for one in RELEASES for py in PYTHONS}
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_a_row_runs_all_tests_that_meet_airflow() -> None:
    folders = {f"tests/{one.parent.name}" for one in (REPOSITORY / "tests").glob("*/test_*.py")}
    # The sandbox has no Airflow in it; the others look at files of the repository.
    assert folders - set(TESTS) == {f"tests/{one}" for one in ("docs", "packaging", "sandbox", "support")}


def test_an_outcome_counts_what_passed_and_what_was_skipped(tmp_path: Path) -> None:
    outcome = outcome_with(tmp_path, "", 0)
    assert outcome == Outcome("", 2, {"PostgreSQL is not installed": 1}, 7)


@pytest.mark.parametrize(
    ("more", "code", "problem"),
    [
        ("<testcase name='d'><failure message='no'/></testcase>", 1, "1 failed"),
        ("<testcase name='d'><error message='no'/></testcase>", 1, "1 broken"),
        ("", 2, "pytest ended with 2"),
    ],
)
def test_an_outcome_tells_a_problem(more: str, code: int, problem: str, tmp_path: Path) -> None:
    assert outcome_with(tmp_path, more, code).problem == problem


def test_no_report_is_a_problem(tmp_path: Path) -> None:
    assert outcome_of(4, tmp_path / "report.xml", 1).problem == "pytest ended with 4"


def test_the_table_tells_green_from_failed_from_not_run() -> None:
    outcomes = {
        FIRST.name: Outcome("", 10, {"no database": 2}, 60),
        SECOND.name: Outcome("1 failed", 9, {}, 50),
        THIRD.name: Outcome(is_absent=True),
    }
    lines = report.table(outcomes).splitlines()
    assert len(lines) == len(ROWS) + 2
    assert lines[2] == "| 3.1.0 | 3.11 | lowest direct | 10, 2 skipped | 60 |"
    assert lines[3] == "| 3.1.0 | 3.11 | of its day | **1 failed**; 9 passed | 50 |"
    assert lines[4] == "| 3.1.0 | 3.12 | of its day | not run: no Python 3.12 here |  |"
    assert lines[5] == "| 3.1.0 | 3.13 | of its day | not run |  |"


def test_the_table_goes_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    report.write_into(page, "| new |")
    assert page.read_text(encoding="utf-8") == f"before\n{report.BEGIN}\n| new |\n{report.END}\nafter\n"


def test_a_python_that_is_not_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert environments.find_python("3.12") is None


def test_a_python_is_found_on_the_path_or_with_pyenv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shims, versions = tmp_path / "shims", tmp_path / "versions" / "3.12.9" / "bin"
    for folder, script in ((shims, "echo pyenv: not chosen >&2; exit 127"), (versions, "echo 3.12")):
        folder.mkdir(parents=True)
        (folder / "python3.12").write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (folder / "python3.12").chmod(0o755)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(shims))
    assert environments.find_python("3.12") == versions / "python3.12"
    monkeypatch.setenv("PATH", str(versions))
    assert environments.find_python("3.12") == versions / "python3.12"
