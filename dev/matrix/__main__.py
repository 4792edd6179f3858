"""
Run the unit, wire and task-run tests on every supported version of Airflow and Python.

Each row of the table has an environment of its own below ``.venv-matrix``, with everything pinned. A warning
that the package's own code causes is an error there. Ends with exit code 1 when a row failed; a Python that
is not on this machine is said in the table and at the end, and is no failure.
"""

from __future__ import annotations

import argparse
import sys

from dev.matrix import environments, report, tests_of_row
from dev.matrix.rows import FOLDER, REPOSITORY, ROWS, Row
from dev.matrix.tests_of_row import Outcome


def main() -> int:
    """Do what the command line says, and return the exit code."""
    options = _options()
    if options.list:
        print("\n".join(row.name for row in ROWS))
        return 0
    FOLDER.mkdir(exist_ok=True)
    if not options.table:
        # A row that was not asked for keeps the outcome that it had.
        if not options.rows:
            report.RESULTS.unlink(missing_ok=True)
        for row in [row for row in ROWS if row.name in (options.rows or [one.name for one in ROWS])]:
            report.save(row, _try(row))
    outcomes = report.saved()
    table = report.table(outcomes)
    print(f"\n{table}\n")
    if options.readme:
        report.write_into(REPOSITORY / "README.md", table)
    return _verdict(outcomes, options.rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dev.matrix", description=__doc__)
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", help="run only these; without any, all and from the beginning"
    )
    parser.add_argument("--list", action="store_true", help="print the names of the rows")
    parser.add_argument(
        "--table", action="store_true", help="run nothing; show the newest outcome of each row"
    )
    parser.add_argument("--readme", action="store_true", help="put the table into README.md, too")
    options = parser.parse_args()
    if unknown := set(options.rows) - {row.name for row in ROWS}:
        parser.error(f"no such row: {', '.join(sorted(unknown))}; --list shows them")
    return options


def _try(row: Row) -> Outcome:
    """Make the environment of a row, run the tests there, and return what came of it."""
    print(f"{row.name} ...", end=" ", flush=True)
    base = environments.find_python(row.python)
    if base is None:
        print(f"there is no Python {row.python} on this machine")
        return Outcome(is_absent=True)
    python, complaint = environments.prepare(row, base)
    if complaint:
        print(f"could not be installed\n{complaint}")
        return Outcome("could not be installed")
    outcome, log = tests_of_row.run(row, python)
    if outcome.problem:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        said = [line for line in lines if line.startswith(("E  ", "FAILED", "ERROR"))]
        print("\n".join(["", *said[-40:]]))
    print(f"{outcome.problem or 'green'}, {outcome.seconds} s; {log.relative_to(REPOSITORY)}")
    for reason, times in outcome.skipped.items():
        print(f"  SKIPPED {times}: {reason}")
    return outcome


def _verdict(outcomes: dict[str, Outcome], asked: list[str]) -> int:
    """Say in one line how it stands, and return the exit code."""
    outcomes = {name: one for name, one in outcomes.items() if not asked or name in asked}
    bad = [name for name, one in outcomes.items() if one.problem]
    green = [name for name, one in outcomes.items() if not one.problem and not one.is_absent]
    print(
        f"{len(green)} green, {len(bad)} failed, {(len(asked) or len(ROWS)) - len(green) - len(bad)} not run"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
