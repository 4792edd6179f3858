"""
Check an Airflow connection to Aitronos, step by step, without changing anything.

Usage: ``python -m airflow_aitronos.doctor [conn_id]``. Prints a line for each step: a tick, or a cross with
what to do about it; a step that an earlier cross leaves open has a dash. Ends with exit code 0 if all is
well, 1 if not. Never prints the API key.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from io import BytesIO, TextIOWrapper
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_aitronos.client.http import Response
    from airflow_aitronos.client.settings import Settings
    from airflow_aitronos.exceptions import AitronosError

# Nothing of Airflow is imported up here: it does not start where a secrets backend cannot be loaded.

DEFAULT_CONN_ID = "aitronos_default"
LARGEST_SKEW = 60.0
"""Seconds between the server's clock and ours that do no harm."""

_EXAMPLE = '{"conn_type": "aitronos", "password": "your-api-key"}'
_TLS_HINT = "If this port speaks TLS, write https:// in Host."
_EXPORTABLE = re.compile(r"[A-Z0-9_]+")
_WRONG_TIME = re.compile("expired|not yet")
_BACKEND = re.compile(r'Current value: "([\w.]+)"')
_VARIABLE = re.compile(r"\$\{?\w+\}?|\$\(\w+\)|%\w+%|\{\{.*\}\}")
_ENVIRONMENT, _DATABASE, _NOWHERE = "EnvironmentVariablesBackend", "MetastoreBackend", "nowhere"
_PLACES = {_ENVIRONMENT: "in the environment", _DATABASE: "in Airflow's database"}
_PLACEHOLDER = re.compile(r"<.*>|.*\byour[-_ ]?(api[-_ ]?)?key\b.*", re.IGNORECASE)

STEPS = ("secrets backends", "connection", "settings", "name", "server", "API version", "clock", "API key")


class Problem(Exception):
    """A step that failed; each argument says what happened and what to do, and is a line of its own."""


@dataclass
class _Fields:
    """The fields of a connection, valid where they are not given."""

    password: str | None = "some-key"  # noqa: S105  # stands for one
    host: str | None = "127.0.0.1"
    port: int | None = None
    schema: str | None = None
    extra: str | None = None


class Doctor:
    """
    Check one connection.

    :param conn_id: id of the Airflow connection.
    :param show: takes the mark, the step and a text for each line.
    """

    def __init__(self, conn_id: str, show: Callable[[str, str, str], None]) -> None:
        self._conn_id = conn_id
        self._show = show
        self._variable = f"AIRFLOW_CONN_{conn_id.upper()}"
        self._fields = _Fields()
        self._conn_type: str | None = None
        self._place = ""
        self._failures: dict[str, str] = {}
        self._settings: Settings
        self._response: Response | None = None

    def run(self) -> bool:
        """Take all steps, show a line for each, and return whether all is well."""
        checks: tuple[Callable[[], str], ...] = (
            self._ask_backends,
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
                self._show("-", step, "not checked")
                continue
            try:
                lines, mark = (check(),), "✓"
            except Exception as error:
                is_well, mark = False, "✗"
                # No traceback in any case: its frames could show the key.
                lines = error.args if isinstance(error, Problem) else (f"{_name(error)} broke this check",)
                # With a connection from elsewhere, or once the server has answered, the other steps go on.
                is_open = self._response is not None or (step == STEPS[0] and bool(self._place))
            for line in lines:
                self._show(mark, step, self._redacted(line))
        return is_well

    def _redacted(self, text: str) -> str:
        key = (self._fields.password or "").strip()
        return text.replace(key, "***") if len(key) > 4 else text

    def _ask_backends(self) -> str:
        """Ask in turn, as Airflow does, but do not pass over an exception."""
        try:
            from airflow.configuration import ensure_secrets_loaded, get_custom_secret_backend

            backends: list[Any] = list(ensure_secrets_loaded())
            for_workers = get_custom_secret_backend(worker_mode=True)
        except Exception as error:
            raise Problem(_not_loaded(error)) from None
        if for_workers is not None and type(for_workers) not in map(type, backends):
            backends.insert(0, for_workers)
        for backend in backends:
            try:
                if found := backend.get_connection(self._conn_id):
                    # Decrypted here, where it can be told whose Fernet key differs.
                    self._fields = _Fields(found.password, found.host, found.port, found.schema, found.extra)
                    self._conn_type, self._place = found.conn_type, _name(backend)
                    break
            except Exception as error:
                self._failures[_name(backend)] = _name(error)
        self._place = self._place or _NOWHERE
        custom = [name for name in map(_name, backends) if name not in _PLACES]
        if failed := [name for name in custom if name in self._failures]:
            fix = "Airflow goes on without it. Check its package, its kwargs and its permissions."
            raise Problem(*(f"{name} raised {self._failures[name]}. {fix}" for name in failed))
        return ", ".join(custom) or "none beside the environment and Airflow's database"

    def _find_connection(self) -> str:
        value, failure = os.environ.get(self._variable), self._failures.get(_ENVIRONMENT)
        # Where a secrets backend has the connection, the variable is not read.
        is_read = value is not None and self._place in (*_PLACES, _NOWHERE)
        if is_read and (problem := _problem_of_variable(value or "", failure)):
            raise Problem(f"the environment variable {self._variable} {problem}")
        if self._place == _NOWHERE:
            is_exportable = _EXPORTABLE.fullmatch(self._variable)
            hint = "" if is_exportable else " (which a shell cannot export: choose another id)"
            database = self._failures.get(_DATABASE)
            raise Problem(
                f"Airflow does not know '{self._conn_id}'. Save it in the connection form, or set "
                f"{self._variable}{hint}."
                + (
                    f" Its database cannot be read ({database}): is it there, and has it the same Fernet key?"
                    if database
                    else ""
                )
            )
        where = _PLACES.get(self._place, f"by {self._place}")
        return f"'{self._conn_id}' found {where}{_note_on_type(self._conn_type)}"

    def _read_settings(self) -> str:
        from airflow.sdk.log import mask_secret

        from airflow_aitronos.client.settings import OPTIONS, SettingsLoader
        from airflow_aitronos.exceptions import AitronosConfigurationError

        def load(fields: _Fields) -> str:
            try:
                self._settings = SettingsLoader(self._conn_id, fields, mask_secret).load({})
            except AitronosConfigurationError as error:
                return _told(error)
            return ""

        # Each field and key alone, the others valid: a load stops at the first that is not.
        fields, extra = self._fields, self._fields.extra
        parts = [_Fields(password=fields.password), _Fields(port=fields.port), _Fields(schema=fields.schema)]
        with suppress(ValueError, RecursionError, AttributeError):
            options = json.loads(extra or "{}")
            unknown = {name: value for name, value in options.items() if name not in OPTIONS}
            known = ({name: value} for name, value in options.items() if name in OPTIONS)
            parts += [_Fields(extra=json.dumps(part)) for part in (unknown, *known)]
            extra = json.dumps({"allow_http": options.get("allow_http")})
        parts.append(replace(fields, password=_Fields.password, extra=extra))
        problems = dict.fromkeys(filter(None, map(load, parts)))
        # What is wrong whatever the fields are is told once, of the whole connection.
        problems.pop(load(_Fields()), None)
        if problem := _problem_of_key((fields.password or "").strip()):
            problems[problem] = None
        if problems or (whole := load(fields)):
            raise Problem(*(problems or [whole]))
        warnings = "".join(f" {line}" for line in self._settings.warnings())
        return f"valid; the API is {self._settings.base_url}" + (f".{warnings}" if warnings else "")

    def _resolve(self) -> str:
        from requests.utils import select_proxy

        url = self._settings.base_url
        if select_proxy(str(url), self._settings.proxies):
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
        from airflow_aitronos.client.deadline import Deadline
        from airflow_aitronos.client.http import NO_RESPONSE, Http
        from airflow_aitronos.client.network_errors import network_error
        from airflow_aitronos.hooks.aitronos import TEST_TIMEOUT

        limit = min(self._settings.total_timeout, TEST_TIMEOUT)
        read_timeout = min(self._settings.read_timeout, limit)
        settings = replace(self._settings, total_timeout=limit, read_timeout=read_timeout)
        http, url, problem = Http(settings), settings.base_url, ""
        try:
            deadline = Deadline(limit, time)
            request = http.prepare("GET", "/v1/auth/validate", None, None)
            self._response = http.send(request, deadline)
        except NO_RESPONSE as raised:
            error = network_error(raised, settings, is_late=False)
            problem = f"{url.origin}: {_told(error)}"
            if _WRONG_TIME.search(error.cause):
                problem += " Or this machine's clock is wrong."
            # Not where nobody took the request: that is no matter of TLS.
            elif error.maybe_done and url.scheme == "http":
                problem += f" {_TLS_HINT}"
        finally:
            http.close()
        if self._response is None:
            raise Problem(problem)
        status = self._response.status
        if url.scheme == "http":
            # nginx and Go answer so where they speak TLS, others redirect to https://.
            if status == 400 or 300 <= status < 400:
                raise Problem(f"{url.origin} answers without TLS, with HTTP {status}. {_TLS_HINT}")
            return f"{url.origin} answers without TLS"
        if settings.verify is False:
            raise Problem(
                f"{url.origin} answers over TLS, its certificate NOT checked: verify is false. Set verify in "
                "Extra to the path of a CA bundle, or leave it out."
            )
        return f"{url.origin} answers over TLS, its certificate accepted"

    def _read_version(self) -> str:
        if version := self._header("freddy-api-version"):
            return version
        status = self._response.status if self._response else 0
        if status == 429 or status >= 500:  # from whatever stands before the API
            return f"not told with HTTP {status}"
        raise Problem("the server names no API version. Check that Host of the connection is the API.")

    def _compare_clocks(self) -> str:
        try:
            theirs = parsedate_to_datetime(self._header("Date")).timestamp()
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
        from airflow_aitronos.hooks.aitronos import AitronosHook

        hook = AitronosHook(self._conn_id)
        hook.settings = self._settings
        is_accepted, text = hook.test_connection()
        if not is_accepted:
            raise Problem(text)
        return f"{text} Only a detach shows whether it may detach."

    def _header(self, name: str) -> str:
        from airflow_aitronos.client.sanitize import safe_text

        return safe_text(self._response.headers.get(name, "") if self._response else "", limit=100).strip()


def _name(one: object) -> str:
    return type(one).__name__


def _told(error: AitronosError) -> str:
    """Return cause and fix, without what an error of a task says after them."""
    return f"{error.cause} {error.fix}"


def _not_loaded(error: Exception) -> str:
    """Return what to do about a secrets backend that Airflow cannot load."""
    named = _BACKEND.search(str(error))
    frames = (frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__))
    maker = next((code.co_qualname for code in frames if code.co_name == "__init__"), "a secrets backend")
    which = named[1] if named else maker.removesuffix(".__init__")
    missing = error.__context__.name if isinstance(error.__context__, ImportError) else None
    reason = f"no module {missing}" if missing else _name(error)
    return f"{which} cannot be loaded ({reason}). Install its package, or correct its name and its kwargs."


def _problem_of_variable(value: str, failure: str | None) -> str:
    """Return what is wrong with a variable that Airflow reads not at all, or as a URI that nobody meant."""
    text = value.strip()
    if text.startswith("{"):
        try:
            json.loads(value)
        except json.JSONDecodeError as error:
            return f"is not valid JSON: line {error.lineno}, column {error.colno}: {error.msg}."
    elif text.startswith(("'", '"')):
        return "has quotes around its JSON, as docker --env-file keeps them. Leave them out."
    elif text.startswith(("[", "\ufeff")) or not (text.startswith("//") or "://" in text):
        failure = "not a connection"
    return f"cannot be read ({failure}). Write one JSON object, such as {_EXAMPLE}." if failure else ""


def _problem_of_key(key: str) -> str:
    """Return what is wrong with a password that could be sent, but is no key."""
    if len(key) > 1 and key[0] == key[-1] and key[0] in "'\"`":
        return "Password is in quotes. Leave them out."
    if _VARIABLE.fullmatch(key):
        return "Password is the name of a variable that nothing has replaced. Write the API key itself."
    return "Password is a placeholder. Write your API key." if _PLACEHOLDER.fullmatch(key) else ""


def _note_on_type(conn_type: str | None) -> str:
    from airflow_aitronos.client.sanitize import safe_text

    if conn_type == "aitronos":
        return ""
    shown = safe_text(conn_type or "", limit=40)
    return f"; its type is '{shown}'. Make it 'aitronos', for the connection form and the Test button"


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
    out, marks = sys.stdout, {}
    try:
        "✓✗".encode(getattr(out, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        marks = {"✓": "ok", "✗": "FAILED"}
    if isinstance(out, TextIOWrapper):
        out.reconfigure(errors="replace")

    def show(mark: str, step: str, text: str) -> None:
        # Whoever reads the first lines only, as `head` does, misses nothing by the others.
        with suppress(BrokenPipeError):
            print(f"{marks.get(mark, mark)} {step}: {text}", file=out, flush=True)

    # What Airflow logs would stand between the lines of the report, and may hold the connection as it was
    # written. All that matters of it is in the report.
    logged = TextIOWrapper(BytesIO(), encoding="utf-8")
    with redirect_stdout(logged), redirect_stderr(logged):
        is_well = Doctor(conn_id, show).run()
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
