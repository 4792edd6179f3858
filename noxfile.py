"""Run the tests on every supported version of Airflow and Python: ``make matrix``, or ``nox --list``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import nox

from dev.matrix import own_warnings
from dev.matrix.rows import FOLDER, PYTHONS, ROWS, Row
from dev.matrix.table import result, table

# These read the repository's files, and are the same on every Airflow.
ELSEWHERE = ("tests/docs", "tests/packaging", "tests/sandbox")

nox.needs_version = ">=2025.2"
nox.options.download_python = "never"
nox.options.default_venv_backend = "virtualenv"
nox.options.envdir = str(FOLDER)
nox.options.reuse_venv = "yes"

# pyenv's own python3.12 on PATH runs only while that version is chosen, so the real ones go first.
pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
found = [folder for version in PYTHONS for folder in sorted(pyenv.glob(f"{version}.*/bin"), reverse=True)]
os.environ["PATH"] = os.pathsep.join([*map(str, found), os.environ.get("PATH", os.defpath)])


def add_session(row: Row) -> None:
    """
    Make a session of a row.

    :param row: of the table.
    """

    @nox.session(name=row.name, python=row.python)
    def tests(session: nox.Session) -> None:
        row.report.unlink(missing_ok=True)
        incomplete = row.report.with_suffix(".incomplete")
        session.install("--no-deps", "--requirement", str(row.pins))
        session.install("--no-deps", "--no-build-isolation", "--editable", ".")
        session.run(
            *("pytest", "tests", *(f"--ignore={folder}" for folder in ELSEWHERE)),
            *("--quiet", "--numprocesses=2", "--dist=worksteal", "-p", "no:cacheprovider"),
            # Seconds for one test: the first one of a process waits for Airflow's migrations, too.
            "--timeout=600",
            *(f"--junit-xml={incomplete}", "-o", f"junit_suite_name={commit()}"),
            *session.posargs,
            env={"PYTHONWARNINGS": own_warnings.filters()},
            # With 1 all tests have run too. After anything else, such as Ctrl-C, the report is no result.
            success_codes=[0] if session.posargs else [0, 1],
        )
        if session.posargs:  # a part of the tests
            return
        incomplete.rename(row.report)
        if (outcome := result(row)).failed:
            session.error(outcome.text)


def commit() -> str:
    """Return a name of what is tested; it says when there are changes beside the commit."""
    return subprocess.check_output(["git", "describe", "--always", "--dirty"], text=True).strip()


for row in ROWS:
    add_session(row)


@nox.session(name="table", venv_backend="none")
def show_table(session: nox.Session) -> None:
    """Print the newest result of each row as a table."""
    session.log("The newest results:\n%s", table())
