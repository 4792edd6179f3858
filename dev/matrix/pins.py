"""
Renew the pins of every Airflow release (for maintainers; needs uv, which pip installs): ``make pins``.

First Airflow alone, with what there was two weeks after its release, then everything that the tests need
beside it, as new as that allows. A pre-release is allowed only for Airflow's own distributions, which pin
each other.
"""

from __future__ import annotations

import subprocess
import tempfile
import tomllib
from pathlib import Path

from dev.matrix.rows import PYTHONS, RELEASES, REPOSITORY, ROWS, Row


def main() -> None:
    """Write one file for each release, and one for the lowest direct dependencies."""
    for row in {row.pins: row for row in ROWS}.values():
        with tempfile.TemporaryDirectory() as folder:
            tree = _airflow_alone(row, Path(folder))
            tests = ("--group", "test", "--constraint", str(tree))
            _compile("pyproject.toml", *tests, output=row.pins)
        print(row.pins.relative_to(REPOSITORY))


def _airflow_alone(row: Row, folder: Path) -> Path:
    """Return a file with the pins of Airflow and of what it needs."""
    wanted, tree = folder / "wanted.in", folder / "tree.txt"
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = project["dependencies"] if row.lowest else []
    wanted.write_text("\n".join([f"apache-airflow=={row.airflow}", *direct]), encoding="utf-8")
    resolution = "lowest-direct" if row.lowest else "highest"
    _compile(str(wanted), "--resolution", resolution, "--exclude-newer", RELEASES[row.airflow], output=tree)
    return tree


def _compile(*arguments: str, output: Path) -> None:
    subprocess.run(
        [
            *("uv", "pip", "compile", "--quiet", "--universal", "--no-header", "--no-annotate", "--upgrade"),
            *("--python-version", PYTHONS[0], "--output-file", str(output), *arguments),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=REPOSITORY,
    )


if __name__ == "__main__":
    main()
