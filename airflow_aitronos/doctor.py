"""
Check an Airflow connection to Aitronos, step by step, without changing anything.

Usage: ``python -m airflow_aitronos.doctor [conn_id]``. Prints a line for each step: a tick, or a cross with
what to do about it; a step that an earlier cross leaves open has a dash. Ends with exit code 0 if all is
well, 1 if not. Never prints the API key.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from email.utils import parsedate_to_datetime
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from airflow_aitronos.client.call import Client
    from airflow_aitronos.client.reply import Reply

DEFAULT_CONN_ID = "aitronos_default"
LARGEST_SKEW = 60.0
"""Seconds between the server's clock and ours that do no harm."""

STEPS = ("connection", "settings", "name", "server", "API version", "clock", "API key")


class Problem(Exception):
    """A step that failed; its text says what happened and what to do."""


class Doctor:
    """
    Check one connection.

    :param conn_id: id of the Airflow connection.
    :param show: takes each line.
    """

    def __init__(self, conn_id: str, show: Callable[[str], None]) -> None:
        from airflow_aitronos.hooks.aitronos import AitronosHook

        self._conn_id = conn_id
        self._show = show
        self._hook = AitronosHook(conn_id)
        self._client: Client
        self._reply: Reply | None = None

    def run(self) -> bool:
        """Take all steps, show a line for each, and return whether all is well."""
        checks: tuple[Callable[[], str], ...] = (
            self._find_connection,
            self._read_settings,
            self._resolve,
            self._ask,
            self._read_version,
            self._compare_clocks,
            self._try_key,
        )
        is_well = is_reached = True
        for number, (step, check) in enumerate(zip(STEPS, checks, strict=True), 1):
            if not is_reached:
                self._show(f"- {step}: not checked")
                continue
            try:
                self._show(f"✓ {step}: {check()}")
            except Exception as error:
                is_well = False
                # No traceback in any case: its frames could show the key.
                problem = error if isinstance(error, Problem) else f"{type(error).__name__} broke this check"
                # What the server said of version and clock does not keep the key from being tried.
                is_reached = number > STEPS.index("server") + 1
                self._show(f"✗ {step}: {problem}")
        return is_well

    def _find_connection(self) -> str:
        # As Airflow's own commands do: else only the environment and secrets backends are asked, and not
        # the database that the connection form writes to.
        os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
        variable = f"AIRFLOW_CONN_{self._conn_id.upper()}"
        problem = ""
        try:
            self._hook.get_connection(self._conn_id)
        except Exception as error:
            problem = type(error).__name__
        if not problem:
            where = f"the environment variable {variable}" if variable in os.environ else "Airflow"
            return f"'{self._conn_id}' found in {where}"
        if variable in os.environ:
            raise Problem(
                f"the environment variable {variable} is set, but Airflow cannot read it. Write one JSON "
                'object, such as {"conn_type": "aitronos", "password": "your-api-key"}.'
            )
        raise Problem(
            f"Airflow does not know '{self._conn_id}' ({problem}). Save it in the connection form, set "
            f"{variable}, or see whether your secrets backend and Airflow's database can be reached."
        )

    def _read_settings(self) -> str:
        with _as_problem():
            self._client = self._hook.quick_client()
        return f"valid; the API is {self._client.settings.base_url}"

    def _resolve(self) -> str:
        url = self._client.settings.base_url
        with _as_problem():
            if self._client.transport.uses_proxy():
                return f"{url.host} is left to the proxy"
        try:
            found = socket.getaddrinfo(url.host.strip("[]"), url.port, type=socket.SOCK_STREAM)
        except OSError:
            found = []
        if not found:
            raise Problem(
                f"{url.host} does not resolve. Check Host of the connection, and this machine's name server."
            )
        return f"{url.host} is {', '.join(sorted({str(address[0]) for *_, address in found}))}"

    def _ask(self) -> str:
        from airflow_aitronos.client.clock import Deadline
        from airflow_aitronos.client.key_check import validate_key
        from airflow_aitronos.client.reply import Failure

        client, url = self._client, self._client.settings.base_url
        deadline = Deadline(client.settings.total_timeout, client.clock)
        with _as_problem():
            answer = client.transport.send(validate_key().request, deadline)
        if isinstance(answer, Failure):
            hint = " If this port speaks TLS, write https:// in Host." if url.scheme == "http" else ""
            raise Problem(f"{url.origin}: {answer.what}. {answer.advice}{hint}")
        self._reply = answer
        tls = "over TLS, its certificate accepted" if url.scheme == "https" else "without TLS"
        return f"{url.origin} answers {tls}"

    def _read_version(self) -> str:
        version = self._header("freddy-api-version")
        if version is None:
            raise Problem("the server names no API version. Check that Host of the connection is the API.")
        return version

    def _compare_clocks(self) -> str:
        try:
            theirs = parsedate_to_datetime(self._header("Date") or "").timestamp()
        except (ValueError, OverflowError):
            return "not compared: the server names no time"
        skew = theirs - time.time()
        if abs(skew) > LARGEST_SKEW:
            raise Problem(
                f"this machine is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} the server. "
                "Set its clock: certificates and a Retry-After that is a date are judged by it."
            )
        return f"{abs(skew):.0f} s apart from the server's"

    def _try_key(self) -> str:
        is_accepted, text = self._hook.test_connection()
        if not is_accepted:
            raise Problem(text)
        return text

    def _header(self, name: str) -> str | None:
        from airflow_aitronos.client.safe_text import optional_text

        return optional_text(self._reply.headers.get(name), limit=100) if self._reply else None


@contextmanager
def _as_problem() -> Iterator[None]:
    """Show a connection that cannot be used as a problem of the step."""
    from airflow_aitronos.exceptions import AitronosConfigurationError

    try:
        yield
    except AitronosConfigurationError as error:
        raise Problem(str(error)) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Check the connection that the command line names.

    :param arguments: of the command line; None for the program's own.
    :return: the exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m airflow_aitronos.doctor", description="Check an Airflow connection to Aitronos."
    )
    parser.add_argument("conn_id", nargs="?", default=DEFAULT_CONN_ID, help=f"default {DEFAULT_CONN_ID}")
    conn_id = parser.parse_args(arguments).conn_id
    out = sys.stdout
    if isinstance(out, TextIOWrapper):
        out.reconfigure(errors="replace")  # a terminal without ticks still gets the texts
    # What Airflow logs while it starts is not part of the report.
    with redirect_stdout(sys.stderr):
        is_well = Doctor(conn_id, lambda line: _write(line, out)).run()
    return 0 if is_well else 1


def _write(line: str, out: TextIO) -> None:
    # Whoever reads the first lines only, as `head` does, misses nothing by the others.
    with suppress(BrokenPipeError):
        print(line, file=out, flush=True)


if __name__ == "__main__":
    sys.exit(main())
