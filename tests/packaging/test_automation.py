"""What runs the checks elsewhere: the workflow, the hooks before a commit, the rows of versions."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from packaging.requirements import Requirement
from packaging.version import Version

from dev.matrix.rows import PYTHONS, RELEASES, ROWS, Row
from tests.packaging.project import PYPROJECT, REPOSITORY, pins_in

WORKFLOW = REPOSITORY / ".github" / "workflows" / "ci.yml"
HOOKS = REPOSITORY / ".pre-commit-config.yaml"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_the_workflow_fits_its_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    checked = subprocess.run([*command, str(WORKFLOW)], check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_the_workflow_runs_all_tests_on_every_python_and_every_row() -> None:
    jobs = read(WORKFLOW)["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == list(PYTHONS)
    assert jobs["test"]["steps"][-1]["run"] == "make test"
    matrix = jobs["airflow"]["strategy"]["matrix"]
    cells = [*product(matrix["airflow"], matrix["python"])]
    cells += [(one["airflow"], one["python"]) for one in matrix["include"]]
    assert sorted(f"{airflow}-py{python}" for airflow, python in cells) == sorted(row.name for row in ROWS)


def test_the_hooks_are_local_and_run_what_make_check_runs() -> None:
    (repository,) = read(HOOKS)["repos"]
    assert repository["repo"] == "local"
    recipe = (
        (REPOSITORY / "Makefile").read_text(encoding="utf-8").partition("\ncheck: ")[2].partition("\n\n")[0]
    )
    commands = [line.strip().replace("$(RUN)", ".venv/bin/python") for line in recipe.splitlines()[1:]]
    assert [hook["entry"] for hook in repository["hooks"]] == commands
    assert [hook["pass_filenames"] for hook in repository["hooks"]] == [False] * 3


@pytest.mark.parametrize("row", {row.pins: row for row in ROWS}.values(), ids=lambda row: row.pins.stem)
def test_a_row_pins_what_it_says(row: Row) -> None:
    pinned = {name: version for name, version, _ in pins_in(row.pins)}
    assert pinned["apache-airflow"] == pinned["apache-airflow-core"] == row.airflow
    project = PYPROJECT["project"]
    for requirement in map(Requirement, project["dependencies"]):
        version = pinned[requirement.name]
        assert requirement.specifier.contains(version, prereleases=True)
        if row.lowest and requirement.name != "apache-airflow":
            lowest = min(Version(one.version) for one in requirement.specifier if one.operator == ">=")
            assert Version(version).release[:2] == lowest.release[:2]


def test_every_supported_airflow_has_its_lowest_and_highest_on_every_python() -> None:
    minors = [Version(one).release[:2] for one in RELEASES]
    assert minors == [(3, 1), (3, 1), (3, 2), (3, 2), (3, 3), (3, 3), (3, 4)]
    assert {(row.airflow, row.python) for row in ROWS} == {(one, py) for one in RELEASES for py in PYTHONS}
    assert len({row.name for row in ROWS}) == len(ROWS)
