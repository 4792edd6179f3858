"""
Make the virtual environment with everything pinned, this package included.

Runs on the bare ``python3`` of the machine, which may be too old, so it keeps to syntax that every Python
since 3.6 reads. Needs neither ``ensurepip`` nor a resolver, and writes nothing but the environment.

Usage: python3 dev/bootstrap.py FOLDER CONSTRAINTS
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST_PYTHON = (3, 11)
OLDEST_PIP = (22, 3)  # the first that can install into another environment


def main(folder: Path, constraints: Path) -> None:
    """
    Make the environment, or say in one line what is missing.

    :param folder: where.
    :param constraints: file that pins every package.
    """
    install_pins(folder, constraints)
    pip(folder, "--no-deps", "--no-build-isolation", "-e", ".", total=1)
    # Last, so that an install that was broken off is made anew.
    (folder / ".ready").touch()


def install_pins(folder: Path, *constraints: Path) -> None:
    """
    Make an empty environment and install what is pinned, or say in one line what is missing.

    :param folder: where; what is there goes.
    :param constraints: files that pin every package.
    """
    check_python()
    check_pip()
    shutil.rmtree(folder, ignore_errors=True)
    print(f"Making {folder} with Python {sys.version_info[0]}.{sys.version_info[1]}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    for file in constraints:
        total = len(file.read_text(encoding="utf-8").splitlines())
        pip(folder, "--no-deps", "-r", str(file), total=total)


def check_python() -> None:
    """Stop if this Python is too old."""
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(
            f"This needs Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer, and {sys.executable} is "
            f"{sys.version_info[0]}.{sys.version_info[1]}. Name a newer one: make PYTHON=python3.12 ..."
        )


def check_pip() -> None:
    """Stop if there is no pip that can install into another environment."""
    try:
        said = subprocess.run(
            [sys.executable, "-m", "pip", "--version"], check=True, capture_output=True, text=True
        ).stdout
        version = tuple(int(number) for number in said.split()[1].split(".")[:2])
    except (subprocess.CalledProcessError, IndexError, ValueError):
        sys.exit(f"This needs pip for {sys.executable}: install it (Debian: apt-get install python3-pip).")
    if version < OLDEST_PIP:
        sys.exit(f"This needs pip 22.3 or newer: {sys.executable} -m pip install --upgrade pip")


def pip(folder: Path, *arguments: str, total: int) -> None:
    """
    Install into the environment, with a line of progress for every tenth package.

    :param folder: of the environment.
    :param arguments: for ``pip install``.
    :param total: number of packages.
    """
    command = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install"]
    lines = []
    count = 0
    with subprocess.Popen(
        [*command, "--progress-bar", "off", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUNBUFFERED": "1"},
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            if line.startswith(("Collecting ", "Processing ", "Obtaining ")):
                count += 1
                if count in (1, total) or count % 10 == 0:
                    print(f"  {count} of {total}: {line.split()[1].rpartition('/')[2]}", flush=True)
            elif line.startswith("Installing collected"):
                print("  unpacking ...", flush=True)
    if process.returncode != 0:
        sys.exit("".join(lines[-30:]) + "pip could not install; the lines above say why.")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
