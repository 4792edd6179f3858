"""
Make the virtual environment of the deployment: everything pinned, and this package from its built wheel.

Runs on the bare ``python3`` of the machine, like ``dev/bootstrap.py``. The pins are installed once; the wheel
is built and installed anew by every run.

Usage: python3 -m dev.e2e.install FOLDER [CONSTRAINTS]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dev.bootstrap import install_pins, pip

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PINS = (
    REPOSITORY / "constraints.txt",
    Path(__file__).with_name("playwright-constraints.txt"),
    Path(__file__).with_name("celery-constraints.txt"),
)


def main(folder: Path, pins: Sequence[Path] = PINS) -> None:
    """
    Make the environment, or say in one line what is missing.

    :param folder: where.
    :param pins: files that pin everything.
    """
    wanted = "\n".join([sys.version, *(path.read_text(encoding="utf-8") for path in pins)])
    stamp = folder / ".ready"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        install_pins(folder, *pins)
        stamp.write_text(wanted, encoding="utf-8")
    with tempfile.TemporaryDirectory() as built:
        python = str(folder / "bin" / "python")
        command = [sys.executable, "-m", "pip", "--python", python, "wheel", "--quiet", "--wheel-dir", built]
        options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
        subprocess.run([*command, *options, str(REPOSITORY)], check=True)
        (wheel,) = Path(built).glob("*.whl")
        pip(folder, "--force-reinstall", str(wheel))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), [Path(one) for one in sys.argv[2:]] or PINS)
