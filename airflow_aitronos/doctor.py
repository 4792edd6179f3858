"""
Check an Airflow connection to Aitronos, step by step, without changing anything.

Usage: ``python -m airflow_aitronos.doctor [conn_id]``. Prints a line for each step: a tick, or a cross with
what to do about it; a step that an earlier cross leaves open has a dash. Ends with exit code 0 if all is
well, 1 if not. Never prints the API key.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from io import BytesIO, TextIOWrapper
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from airflow_aitronos.client.call import Client
    from airflow_aitronos.client.reply import Failure, Reply

DEFAULT_CONN_ID = "aitronos_default"
LARGEST_SKEW = 60.0
"""Seconds between the server's clock and ours that do no harm."""

_EXAMPLE = '{"conn_type": "aitronos", "password": "your-api-key"}'
_TLS_HINT = "If this port speaks TLS, write https:// in Host."
_EXPORTABLE = re.compile(r"[A-Z0-9_]+")
_WRONG_TIME = re.compile("expired|not yet")
_NO_URI = ("'", '"', "[", "\ufeff")
"""What quotes kept around JSON, lost braces and a byte order mark begin with."""

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
        with _airflows_database():
            return self._take_steps()

    def _take_steps(self) -> bool:
        checks: tuple[Callable[[], str], ...] = (
            self._find_connection,
            self._read_settings,
            self._resolve,
            self._ask,
            self._read_version,
            self._compare_clocks,
            self._try_key,
        )
        is_well = is_open = True
        for step, check in zip(STEPS, checks, strict=True):
            if not is_open:
                self._show(f"- {step}: not checked")
                continue
            try:
                self._show(f"✓ {step}: {check()}")
            except Exception as error:
                is_well = False
                # No traceback in any case: its frames could show the key.
                problem = error if isinstance(error, Problem) else f"{type(error).__name__} broke this check"
                # Once the server has answered, no cross keeps the key from being tried.
                is_open = self._reply is not None
                self._show(f"✗ {step}: {problem}")
        return is_well

    def _find_connection(self) -> str:
        variable = f"AIRFLOW_CONN_{self._conn_id.upper()}"
        value, found = os.environ.get(variable), None
        try:
            found = self._hook.get_connection(self._conn_id)
        except Exception as error:
            if value is None:
                raise Problem(_unknown(self._conn_id, variable, error)) from None
        # A secrets backend is asked before the environment.
        is_by_variable = value is not None and not _has_secrets_backend()
        if found is None or (is_by_variable and _is_no_connection(value or "")):
            raise Problem(
                f"the environment variable {variable} is set, but Airflow cannot read it. Write one JSON "
                f"object without quotes around it, such as {_EXAMPLE}."
            )
        where = f" in the environment variable {variable}" if is_by_variable else ""
        return f"'{self._conn_id}' found{where}{_note_on_type(found.conn_type)}"

    def _read_settings(self) -> str:
        with _as_problem():
            self._client = self._hook.quick_client()
        settings = self._client.settings
        warnings = "".join(f" {line}" for line in settings.warnings())
        return f"valid; the API is {settings.base_url}" + (f".{warnings}" if warnings else "")

    def _resolve(self) -> str:
        from airflow_aitronos.exceptions import AitronosConfigurationError

        url = self._client.settings.base_url
        try:
            if self._client.transport.uses_proxy():
                return f"{url.host} is left to the proxy"
        except AitronosConfigurationError as error:
            if "CA bundle" not in str(error):
                raise Problem(str(error)) from None
            return "not looked up: see the next step"
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
            raise Problem(f"{url.origin}: {self._told(answer)}")
        self._reply = answer
        if url.scheme == "http":
            # nginx and Go answer so where they speak TLS, others redirect to https://.
            if answer.status == 400 or 300 <= answer.status < 400:
                raise Problem(f"{url.origin} answers without TLS, with HTTP {answer.status}. {_TLS_HINT}")
            return f"{url.origin} answers without TLS"
        if client.settings.verify is False:
            raise Problem(
                f"{url.origin} answers over TLS, its certificate NOT checked: verify is false. Set verify in "
                "Extra to the path of a CA bundle, or leave it out."
            )
        return f"{url.origin} answers over TLS, its certificate accepted"

    def _told(self, failure: Failure) -> str:
        """Return what a failure says to somebody who waits for this check only."""
        from airflow_aitronos.exceptions import AitronosNetworkError

        limit = self._client.settings.total_timeout
        if failure.what.startswith("total_timeout of") and limit < self._hook.settings.total_timeout:
            return (
                f"no complete answer within {limit:g} s, which is all that this check waits. Look at the "
                "server and the network."
            )
        hint = ""
        if _WRONG_TIME.search(failure.what):
            hint = " Or this machine's clock is wrong."
        # Not where nobody took the request: that is no matter of TLS.
        elif failure.error is AitronosNetworkError and failure.maybe_done and not self._speaks_tls():
            hint = f" {_TLS_HINT}"
        return f"{failure.what}. {failure.advice}{hint}"

    def _speaks_tls(self) -> bool:
        return self._client.settings.base_url.scheme == "https"

    def _read_version(self) -> str:
        version = self._header("freddy-api-version")
        if version is not None:
            return version
        status = self._reply.status if self._reply else 0
        if status == 429 or status >= 500:  # from whatever stands before the API
            return f"not told with HTTP {status}"
        raise Problem("the server names no API version. Check that Host of the connection is the API.")

    def _compare_clocks(self) -> str:
        try:
            date = parsedate_to_datetime(self._header("Date") or "")
            # Without a zone, and with "-0000", it means UTC and not this machine's zone.
            theirs = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
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
def _airflows_database() -> Iterator[None]:
    """
    Let Airflow look for connections as its own commands do.

    Else it asks only the environment and secrets backends, and not the database that the connection form
    writes to.
    """
    import airflow.secrets

    variable = "_AIRFLOW_PROCESS_CONTEXT"
    before = os.environ.get(variable)
    os.environ[variable] = "server"
    # Airflow 3.1 does not know the variable and looks at this list, which later versions keep elsewhere.
    places = vars(airflow.secrets).get("DEFAULT_SECRETS_SEARCH_PATH_WORKERS", [])
    places_before = list(places)
    places[:] = airflow.secrets.DEFAULT_SECRETS_SEARCH_PATH
    try:
        yield
    finally:
        places[:] = places_before
        os.environ.pop(variable)
        if before is not None:
            os.environ[variable] = before


def _has_secrets_backend() -> bool:
    from airflow.configuration import conf

    options = (("secrets", "backend"), ("workers", "secrets_backend"))
    return any(conf.get(section, option, fallback="") for section, option in options)


def _is_no_connection(value: str) -> bool:
    """
    Return whether Airflow reads a variable as a URI that nobody meant to write.

    :param value: of the variable.
    """
    text = value.strip()
    if text.startswith(_NO_URI):
        return True
    return not text.startswith(("{", "//")) and "://" not in text


def _unknown(conn_id: str, variable: str, error: Exception) -> str:
    """
    Return what to do about a connection that Airflow does not find.

    :param conn_id: its id.
    :param variable: that could hold it.
    :param error: what Airflow raised.
    """
    name = type(error).__name__
    # Both are its way to say that there is none; Airflow 3.1 then misses a supervisor to ask.
    kind = "" if name in ("AirflowNotFoundException", "ImportError") else f" ({name})"
    hint = "" if _EXPORTABLE.fullmatch(variable) else " (which a shell cannot export: choose another id)"
    return (
        f"Airflow does not know '{conn_id}'{kind}. Save it in the connection form, set {variable}{hint}, or "
        "see whether your secrets backend or Airflow's database cannot be reached or has another Fernet key."
    )


def _note_on_type(conn_type: str | None) -> str:
    from airflow_aitronos.client.safe_text import safe_text

    if conn_type == "aitronos":
        return ""
    shown = safe_text(conn_type or "", limit=40)
    return f"; its type is '{shown}'. Make it 'aitronos', for the connection form and the Test button"


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
    # What Airflow logs would stand between the lines of the report, and may hold the connection as it was
    # written. All that matters of it is in the report.
    logged = TextIOWrapper(BytesIO(), encoding="utf-8")
    with redirect_stdout(logged), redirect_stderr(logged):
        is_well = Doctor(conn_id, lambda line: _write(line, out)).run()
    return 0 if is_well else 1


def _write(line: str, out: TextIO) -> None:
    # Whoever reads the first lines only, as `head` does, misses nothing by the others.
    with suppress(BrokenPipeError):
        print(line, file=out, flush=True)


if __name__ == "__main__":
    sys.exit(main())
