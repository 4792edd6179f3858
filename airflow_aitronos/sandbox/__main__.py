"""The program ``python -m airflow_aitronos.sandbox``."""

from __future__ import annotations

import argparse
import logging
import shlex
import signal
import sys
from collections.abc import Sequence

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
    :return: the exit status, 0 after a signal and 1 when the address cannot be listened on
    :raises SystemExit: for ``--help`` and for arguments that make no sense
    """
    arguments = _parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    server = SandboxServer(
        host=arguments.host,
        port=arguments.port,
        api_key=arguments.api_key,
        read_only_key=arguments.read_only_key,
    )
    # Blocked before the thread starts, which inherits that: the signals wait for sigwait.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        with server:
            print(_greeting(server), flush=True)
            signal.sigwait(_STOP_SIGNALS)
    except OSError as error:
        print(f"Cannot listen on {arguments.host} port {arguments.port}: {error}", file=sys.stderr)
        return 1
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_aitronos.sandbox",
        description="Serve a local stand-in for the Aitronos API from memory.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default=DEFAULT_HOST, help="address to listen on")
    parser.add_argument("--port", type=_port, default=8765, help="port to listen on, 0 for a free one")
    parser.add_argument("--api-key", type=_key, default=DEFAULT_API_KEY, help="key that may do everything")
    parser.add_argument(
        "--read-only-key", type=_key, default=DEFAULT_READ_ONLY_KEY, help="key that may only read"
    )
    arguments = parser.parse_args(argv)
    if arguments.api_key == arguments.read_only_key:
        parser.error("--api-key and --read-only-key must differ")
    return arguments


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 65535")
    return port


def _key(text: str) -> str:
    # What a header cannot carry, or what loses its edges on the way, could never be matched.
    if not text or not text.isascii() or not text.isprintable() or text != text.strip():
        raise argparse.ArgumentTypeError("a key is printable ASCII without spaces at its ends")
    return text


def _greeting(server: SandboxServer) -> str:
    lines = [
        f"Aitronos sandbox on {server.url}, calls at {server.url}/docs. Ctrl-C stops it.",
        f"Key that may only read: {server.read_only_key}",
    ]
    if not server.is_loopback:
        lines.append(
            f"Warning: {server.host} is not loopback, other machines may reach this sandbox. "
            "From another machine, put the name of this one into the connection."
        )
    lines.append("Connection for Airflow:")
    lines.append(f"export AIRFLOW_CONN_AITRONOS_DEFAULT={shlex.quote(server.connection_json())}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
