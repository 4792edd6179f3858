"""The program ``python -m airflow_aitronos.sandbox``."""

from __future__ import annotations

import argparse
import logging
import shlex
import signal
import sys
from collections.abc import Sequence

from airflow_aitronos.sandbox.http_server import RESET_PATH
from airflow_aitronos.sandbox.server import (
    DEFAULT_API_KEY,
    DEFAULT_HOST,
    DEFAULT_READ_ONLY_KEY,
    SandboxServer,
)

_STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}


def main(argv: Sequence[str] | None = None) -> int:
    """
    Serve a sandbox until Ctrl-C or SIGTERM.

    :param argv: arguments, those of the process unless given
    :return: the exit status, 0 after a signal and 1 if the address cannot be listened on
    :raises SystemExit: for ``--help`` and for arguments that are not valid
    """
    server = _server(argv)
    logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(message)s")
    # Blocked before the threads start, which inherit that: the signals wait for sigwait.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        with server:
            print(_greeting(server), flush=True)
            signal.sigwait(_STOP_SIGNALS)
    except (OSError, OverflowError) as error:
        print(f"Cannot listen on {server.host} port {server.port}: {error}", file=sys.stderr)
        print("Choose another port with --port, 0 for a free one.", file=sys.stderr)
        return 1
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return 0


def _server(argv: Sequence[str] | None) -> SandboxServer:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_aitronos.sandbox",
        description="Serve a local stand-in for the Aitronos API from memory.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default=DEFAULT_HOST, help="address to listen on")
    add("--port", type=int, default=8765, help="port to listen on, 0 for a free one")
    add("--api-key", default=DEFAULT_API_KEY, help="key that may do everything")
    add("--read-only-key", default=DEFAULT_READ_ONLY_KEY, help="key that may only read")
    add("--fleet", type=int, default=0, help="number of assistants to add, from asst_fleet00001")
    add("--requests-per-minute", type=int, help="rate that is allowed; beyond it a call gets a 429")
    add("--requests-per-day", type=int, help="quota that is allowed; beyond it a call gets a 429")
    add(
        "--no-retry-after",
        dest="send_retry_after",
        action="store_false",
        default=argparse.SUPPRESS,
        help="leave Retry-After out of a 429",
    )
    try:
        return SandboxServer(**vars(parser.parse_args(argv)))
    except ValueError as error:
        parser.error(str(error))


def _greeting(server: SandboxServer) -> str:
    lines = [
        f"Aitronos sandbox on {server.url}. Ctrl-C stops it.",
        f"Reset it: curl -X POST {server.url}{RESET_PATH}",
        f"Key that may only read: {server.read_only_key}",
    ]
    if not server.is_loopback:
        lines.append(f"Warning: other machines may reach this sandbox, since {server.host} is not loopback.")
    lines.append("Connection for Airflow:")
    lines.append(f"export AIRFLOW_CONN_AITRONOS_DEFAULT={shlex.quote(server.connection_json())}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
