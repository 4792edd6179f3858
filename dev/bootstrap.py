"""
Make a virtual environment with everything pinned, this package included.

Runs on the bare ``python3`` of the machine, which may be too old, so it keeps to syntax that every Python
since 3.6 reads. Needs neither ``ensurepip`` nor a resolver, and writes nothing but the environment.

Usage: python3 dev/bootstrap.py FOLDER CONSTRAINTS
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST_PYTHON = (3, 11)


def main(folder: Path, constraints: Path) -> None:
    """
    Make the environment, or say in one line what is missing.

    :param folder: where.
    :param constraints: file that pins every package.
    """
    install_pins(folder, constraints)
    pip(folder, "--no-build-isolation", "--editable", ".")
    # Last, so that an interrupted installation is made anew.
    (folder / ".ready").touch()


def install_pins(folder: Path, *constraints: Path) -> None:
    """
    Make an empty environment and install what is pinned, or say in one line what is missing.

    :param folder: where; what is there is removed.
    :param constraints: files that pin every package.
    """
    version = "{}.{}".format(*sys.version_info)
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(
            f"This needs Python 3.11 or newer, and {sys.executable} is {version}. "
            "Name a newer one: make PYTHON=python3.12 ..."
        )
    if importlib.util.find_spec("pip") is None:
        sys.exit(f"This needs pip for {sys.executable}: install it (Debian: apt-get install python3-pip).")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    for file in constraints:
        print(f"Installing {file.name} into {folder} with Python {version} ...", flush=True)
        pip(folder, "--requirement", str(file))


def pip(folder: Path, *arguments: str) -> None:
    """
    Install into the environment without looking for dependencies, and without a word unless it fails.

    :param folder: of the environment.
    :param arguments: for ``pip install``.
    """
    python = str(folder / "bin" / "python")
    command = [sys.executable, "-m", "pip", "--python", python, "install", "-qq", "--no-deps", *arguments]
    finished = subprocess.run(command, check=False, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    if finished.returncode != 0:
        sys.exit("pip could not install; the lines above say why.")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
