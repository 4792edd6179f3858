"""One virtual environment for each row, made with that row's Python and pins."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from dev.matrix.rows import FOLDER, REPOSITORY, Row

BOOTSTRAP = REPOSITORY / "dev" / "bootstrap.py"


def find_python(version: str) -> Path | None:
    """
    Return a Python that runs, from ``PATH`` or else from pyenv; None if there is none.

    :param version: its minor version, such as ``3.12``.
    """
    for candidate in _candidates(version):
        said = subprocess.run(
            [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # pyenv's shim of a version that is not chosen says so at length
            text=True,
        )
        if said.stdout.strip() == version:
            return candidate
    return None


def _candidates(version: str) -> Iterator[Path]:
    if on_path := shutil.which(f"python{version}"):
        yield Path(on_path)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"), reverse=True)


def prepare(row: Row, python: Path) -> tuple[Path, str | None]:
    """
    Make the environment of a row, unless it is there and as new as what it is made from.

    :param row: of the table.
    :param python: that shall run it.
    :return: the environment's Python, and the installation's last lines if it failed.
    """
    folder = FOLDER / row.name
    made, sources = folder / ".ready", (row.pins, REPOSITORY / "pyproject.toml", BOOTSTRAP)
    if not made.exists() or any(made.stat().st_mtime < source.stat().st_mtime for source in sources):
        finished = subprocess.run(
            [python, BOOTSTRAP, folder, row.pins],
            check=False,
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if finished.returncode != 0:
            return folder, finished.stdout[-2000:]
    return folder / "bin" / "python", None
