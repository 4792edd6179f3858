"""
Renew the pins of every Airflow release (for maintainers; needs uv): ``python -m dev.matrix.pins``.

First Airflow alone, with what there was two weeks after its release, then everything that the tests need
beside it, as new as that allows.
"""

from __future__ import annotations

import subprocess
import tempfile
import tomllib
from pathlib import Path

from dev.matrix.rows import LOWEST_PYTHON, RELEASES, REPOSITORY, ROWS, Row

OLDEST_URLLIB3 = "urllib3>=2.0.7"
"""It comes with requests and is no direct dependency, but what the package does depends on it."""


def main() -> None:
    """Write one file for each release, and one for the lowest direct dependencies."""
    for row in {row.pins: row for row in ROWS}.values():
        with tempfile.TemporaryDirectory() as folder:
            tree = _tree(row, Path(folder))
            _compile(
                "pyproject.toml",
                "--extra",
                "sandbox",
                "--group",
                "dev",
                "--constraint",
                str(tree),
                output=row.pins,
            )
        print(row.pins.relative_to(REPOSITORY))


def _tree(row: Row, folder: Path) -> Path:
    """Return a file with the pins of Airflow and of what it needs."""
    wanted, tree = folder / "wanted.in", folder / "tree.txt"
    lines = [f"apache-airflow=={row.airflow}", *(_direct() if row.lowest else [])]
    wanted.write_text("\n".join(lines), encoding="utf-8")
    resolution = "lowest-direct" if row.lowest else "highest"
    _compile(str(wanted), "--resolution", resolution, "--exclude-newer", RELEASES[row.airflow], output=tree)
    return tree


def _direct() -> list[str]:
    """Return what the package asks for, Airflow's release aside."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["sandbox"], OLDEST_URLLIB3]


def _compile(*arguments: str, output: Path) -> None:
    subprocess.run(
        [
            *("uv", "pip", "compile", "--quiet", "--universal", "--no-header", "--no-annotate", "--upgrade"),
            *("--python-version", LOWEST_PYTHON, "--output-file", str(output), *arguments),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=REPOSITORY,
    )


if __name__ == "__main__":
    main()
