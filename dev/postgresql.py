"""A PostgreSQL of one's own on loopback, from the programs that Debian installs."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

LIMIT = 60
"""Seconds for one command of PostgreSQL."""

REMEDY = "PostgreSQL is not installed: apt-get install postgresql"


def programs() -> Path | None:
    """Return the folder with PostgreSQL's programs, wherever Debian put it; None if there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[4])
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


def free_port() -> int:
    """Return a port on loopback that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def running() -> Iterator[str]:
    """
    Start an empty server, and end it and remove its files afterwards.

    :return: its URL for Airflow.
    :raises RuntimeError: if PostgreSQL is not installed.
    :raises subprocess.SubprocessError: if it does not start or does not end.
    """
    bin_folder = programs()
    if bin_folder is None:
        raise RuntimeError(REMEDY)
    # Short, since the path of a socket is limited, and where another user may look.
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    port = free_port()
    data = folder / "data"
    control = bin_folder / "pg_ctl"
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
    try:
        _as_its_own_user(bin_folder / "initdb", "-D", data, "-U", "airflow", "-A", "trust", "-E", "UTF8")
        _as_its_own_user(control, "-D", data, "-l", folder / "server.log", "-o", options, "-w", "start")
        yield f"postgresql+psycopg2://airflow@127.0.0.1:{port}/postgres"
    finally:
        if (data / "postmaster.pid").exists():
            _as_its_own_user(control, "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def _as_its_own_user(*command: str | Path) -> None:
    """Run a command of PostgreSQL, which refuses to be root."""
    is_root = os.geteuid() == 0
    user = pwd.getpwnam("postgres") if is_root else None
    # Its output goes to a file of the server's own: a pipe would be kept open by the server.
    # A session of its own: Ctrl-C at the terminal is for whoever started the server, who ends it last.
    subprocess.run(
        [str(part) for part in command],
        check=True,
        timeout=LIMIT,
        stdout=subprocess.DEVNULL,
        user=user.pw_uid if user else None,
        group=user.pw_gid if user else None,
        extra_groups=[] if user else None,
        cwd="/",
        start_new_session=True,
    )
