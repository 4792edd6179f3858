"""The venv of the vendor's client: its pins would downgrade Airflow's own environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from benchmarks.environment import REPOSITORY

_FOLDER = REPOSITORY / ".venv-aitronos-sdk"
_CONSTRAINTS = Path(__file__).with_name("aitronos-sdk-constraints.txt")
_STAMP = _FOLDER / ".ready"
_LONGEST_INSTALL = 300.0


class SdkUnavailableError(Exception):
    """The vendor's client could not be installed."""


def sdk_python() -> str:
    """
    Return the Python of the venv, which is made on first use and when the pins change.

    :raises SdkUnavailableError: if that does not work, as on a machine without a network.
    """
    python = str(_FOLDER / "bin" / "python")
    wanted = f"{sys.version}\n{_CONSTRAINTS.read_text()}"
    if Path(python).exists() and _STAMP.exists() and _STAMP.read_text() == wanted:
        return python
    print("Installing aitronos-sdk into .venv-aitronos-sdk ...", flush=True)
    # The venv that runs this may be without pip; the Python that it was made from has it.
    base = str(Path(sys.executable).resolve())
    _run([base, "-m", "venv", "--clear", "--without-pip", str(_FOLDER)])
    _run([base, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "-r", str(_CONSTRAINTS)])
    _STAMP.write_text(wanted)
    return python


def _run(command: list[str]) -> None:
    what = " ".join(command[1:3])
    try:
        status, errors = _finish(command)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SdkUnavailableError(f"{type(error).__name__} from {what}") from error
    if status:
        lines = errors.strip().splitlines() or ["no message"]
        raise SdkUnavailableError(f"{what} failed: {lines[-1]}")


def _finish(command: list[str]) -> tuple[int, str]:
    """Return the exit status and the standard error of a program; leave none of its processes behind."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            _, errors = process.communicate(timeout=_LONGEST_INSTALL)
            return process.returncode, errors
        finally:
            if process.poll() is None:
                # pip --python works in a process of its own.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
