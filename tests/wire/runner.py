"""Run a wire case on real sockets, and check the seven invariants of every call."""

from __future__ import annotations

import gc
import itertools
import json
import logging
import pickle
import re
import socket
import time
import tracemalloc
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
import trustme

from airflow_aitronos.exceptions import AitronosError
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from tests.support.addresses import tls_context
from tests.support.airflow_versions import AirflowFailException
from tests.support.connection import Request
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer
from tests.support.recording_log import Line, RecordingLog
from tests.wire import wire_case as words
from tests.wire.wire_case import (
    ASSISTANT,
    CONN_ID,
    DEFINITION,
    KEY,
    TRACE,
    Certificate,
    Scene,
    WireCase,
    detach,
)

MEMORY_LIMIT = 48 * 1024 * 1024
SLACK = 1.0  # seconds of real time that a busy machine may add
REAL_LIMIT = 10.0  # seconds of real time: with a fake clock only short timeouts pass
TEXT_LIMIT = 3000  # characters of a log line or an error's text
# What urllib3 says of a header line that it cannot read. It may, but without the key.
UNREADABLE_HEADERS = "Some header lines of a response are unreadable"

_JSON_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


class WatchedServer(FaultServer):
    """A fault server that can tell whether its clients are gone."""

    def clients_left(self) -> bool:
        """Wait for the clients of all connections to leave; tell whether they did."""
        for thread in self._threads[1:]:
            thread.join(5)
        return not any(thread.is_alive() for thread in self._threads[1:])


@dataclass
class Outcome:
    """All that could be seen of a call."""

    lines: list[Line]
    value: Any = None
    error: BaseException | None = None
    operator_lines: list[Line] = field(default_factory=list)
    other_logs: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)  # what the libraries below would tell a person
    is_fake: bool = True
    started: float = 0.0
    ended: float = 0.0
    real_seconds: float = 0.0
    slept: float = 0.0
    peak: int = 0
    sockets: list[tuple[Any, socket.socket]] = field(default_factory=list)
    clients_left: bool = False
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    elsewhere: int = 0
    replies: list[Any] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def run(case: WireCase, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Outcome:
    """Run a case, check the invariants and the case's own expectations."""
    with monkeypatch.context() as patch, warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        outcome = _play(case, patch, folder)
        check_leaks(outcome, case.never)
        # The frames hold sockets, and what they hold is not lost yet.
        if outcome.error is not None:
            outcome.error.__traceback__ = None
        gc.collect()
    outcome.warnings = [str(warning.message) for warning in seen]
    _check_requests(case, outcome)
    _check_elsewhere(case, outcome)
    _check_time(case, outcome)
    _check_lines(case, outcome)
    _check_waits(case, outcome)
    _check_end(case, outcome)
    _check_nothing_is_open(outcome)
    return outcome


def _play(case: WireCase, patch: pytest.MonkeyPatch, folder: Path) -> Outcome:
    with ExitStack() as stack:
        elsewhere = stack.enter_context(WatchedServer())
        scene = Scene(WatchedServer(), elsewhere, patch, folder, case.clock(), stack, extra={**case.extra})
        if case.tls is not None:
            scene.server.tls = _certificate(case.tls, scene)
        scene.server.replies = case.replies(scene) if callable(case.replies) else case.replies
        server = stack.enter_context(scene.server)
        scene.host = server.url
        scene.ports.add(server.port)
        case.prepare(scene)
        outcome = _call(case, scene)
    outcome.requests, outcome.connections = server.requests, server.connections
    outcome.elsewhere = elsewhere.connections
    if isinstance(scene.server.replies, list | itertools.repeat):
        outcome.replies = list(itertools.islice(scene.server.replies, 10))
    for address, _ in outcome.sockets:
        assert address[0] == "127.0.0.1"
        assert address[1] in scene.ports
    return outcome


def _certificate(certificate: Certificate, scene: Scene) -> Any:
    ca = trustme.CA()
    if certificate.known:
        bundle = scene.folder / "ca.pem"
        ca.cert_pem.write_to_path(str(bundle))
        scene.extra["verify"] = str(bundle)
    return tls_context(ca, certificate.hostname, expired=certificate.expired)


def _call(case: WireCase, scene: Scene) -> Outcome:
    log = RecordingLog(scene.clock)
    outcome = Outcome(log.lines, is_fake=isinstance(scene.clock, FakeClock))
    connect(scene.patch, scene.host, **scene.extra)
    scene.patch.setattr(AitronosHook, "clock", scene.clock)
    scene.patch.setattr(AitronosHook, "log", log)
    operator_log = RecordingLog(scene.clock, outcome.operator_lines)
    scene.patch.setattr(DetachAssistantWorkflowOperator, "log", operator_log)
    # The longest wait that the draw may give, so that one of no time at all does not pass for it.
    scene.patch.setattr("random.uniform", lambda low, high: high)
    with _other_logs(outcome), _connects(scene.patch, outcome.sockets):
        if case.memory:
            tracemalloc.start()
        outcome.started, real_start = scene.clock.monotonic(), time.monotonic()
        try:
            outcome.value = case.call()
        except BaseException as error:
            outcome.error = error
        outcome.ended = scene.clock.monotonic()
        if isinstance(scene.clock, FakeClock):
            outcome.slept = sum(scene.clock.sleeps)
        outcome.real_seconds = time.monotonic() - real_start
        if case.memory:
            outcome.peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert isinstance(scene.server, WatchedServer)
    outcome.clients_left = scene.server.clients_left()
    return outcome


def connect(patch: pytest.MonkeyPatch, host: str, **extra: Any) -> None:
    """Define the Airflow connection; on Airflow 3.4 an operator would hand back a wait over 10 s."""
    extra = {"max_retry_after": 60, **extra}
    fields = {"conn_type": "aitronos", "host": host, "password": KEY, "extra": extra}
    patch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(fields))


@contextmanager
def _other_logs(outcome: Outcome) -> Iterator[None]:
    """Collect what the libraries below log, down to DEBUG, tracebacks included."""
    formatter = logging.Formatter()

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = formatter.format(record)
            outcome.other_logs.append(text)
            if record.levelno >= logging.WARNING:
                outcome.complaints.append(text)

    root, collector = logging.getLogger(), Collector()
    level = root.level
    root.addHandler(collector)
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.removeHandler(collector)
        root.setLevel(level)


@contextmanager
def _connects(patch: pytest.MonkeyPatch, sockets: list[tuple[Any, socket.socket]]) -> Iterator[None]:
    """Note every address that is connected to, and the socket."""
    connect_really = socket.socket.connect

    def noting(sock: socket.socket, address: Any) -> None:
        sockets.append((address, sock))
        connect_really(sock, address)

    with patch.context() as inner:
        inner.setattr(socket.socket, "connect", noting)
        yield


# 1. The requests, and where the key stands in them


def _check_requests(case: WireCase, outcome: Outcome) -> None:
    assert [f"{request.method} {request.path}" for request in outcome.requests] == case.request_lines
    for request in outcome.requests:
        check_request(request)
    if case.connections is not None:
        assert outcome.connections == case.connections
    # No library below may try again by itself.
    assert len(outcome.sockets) <= case.all_attempts


def check_request(request: Request) -> None:
    """Check that a request carries the key once, in its header, and neither query nor unexpected body."""
    count = 0 if request.method == "CONNECT" else 1  # a proxy is told nothing of the key
    assert request.raw.count(KEY.encode()) == count
    assert request.values("X-API-Key") == [KEY] * count
    assert request.values("Authorization") == []
    if request.method == "POST":
        assert json.loads(request.body) == DEFINITION
    else:
        assert request.body == b""
        assert request.values("Content-Length") in ([], ["0"])
        assert request.values("Transfer-Encoding") == []
    assert "?" not in request.path


# 2. Nobody else


def _check_elsewhere(case: WireCase, outcome: Outcome) -> None:
    assert outcome.elsewhere == 0


# 3. The key, and whatever else may stand nowhere


def check_leaks(outcome: Outcome, never: tuple[str, ...] = ()) -> None:
    """Check that neither the key nor any of the words stand in log, error, value or the package's frames."""
    for where, text in _texts(outcome):
        assert not shows_key(text), f"the key stands in {where}: {text}"
        for word in never:
            assert word not in text, f"{word!r} stands in {where}"


def shows_key(text: str) -> bool:
    """Return whether the key stands in a text: as it is, percent-encoded or JSON-escaped."""
    json_decoded = _JSON_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    return any(KEY in form for form in (text, unquote(text), json_decoded))


def _texts(outcome: Outcome) -> Iterator[tuple[str, str]]:
    for line in outcome.lines:
        yield "the log", line.text
    for line in outcome.operator_lines:
        yield "the operator's log", line.text
    for text in outcome.other_logs:
        yield "the log of a library", text
    yield "the value", repr(outcome.value)
    if (error := outcome.error) is not None:
        yield "the error's str", str(error)
        yield "the error's repr", repr(error)
        yield "the error's args", repr(error.args)
        yield "the error's attributes", repr(vars(error))
        yield "the pickle", pickle.dumps(error).decode("latin-1")
        for one in (error.__cause__, error.__context__):
            yield "the error's cause or context", "" if one is None else f"{one!r} {vars(one)!r}"
        yield from _locals(error.__traceback__)


def _locals(trace: TracebackType | None) -> Iterator[tuple[str, str]]:
    while trace is not None:
        code = trace.tb_frame.f_code
        if "airflow_aitronos" in Path(code.co_filename).parts:
            yield f"the local variables of {code.co_qualname}", repr(trace.tb_frame.f_locals)
        trace = trace.tb_next


# 4. Time and memory


def _check_time(case: WireCase, outcome: Outcome) -> None:
    total = float(case.extra.get("total_timeout", 120))
    # The last read of a body may begin just before the end; it takes no longer than one read_timeout.
    last_read = min(total, float(case.extra.get("read_timeout", 30)))
    assert outcome.ended - outcome.started <= total + (0 if outcome.is_fake else last_read + SLACK)
    assert outcome.real_seconds <= (case.within or REAL_LIMIT)
    assert outcome.peak < MEMORY_LIMIT


# 5. The log


def _check_lines(case: WireCase, outcome: Outcome) -> None:
    retries, rest = _retries(case, outcome)
    of = int(case.extra.get("max_attempts", 4))
    for number, (line, match) in enumerate(retries, 1):
        assert line.level == "WARNING"
        assert (int(match["number"]), int(match["of"])) == (number, of)
    if case.end.error is None:
        (last,) = rest
        assert last.level == ("WARNING" if case.end.warns else "INFO"), last.text
        _check_says(case.end.says, last.text)
    else:
        assert rest == []
        trace_id = case.end.facts.get("trace_id")
        assert trace_id is None or trace_id in str(outcome.error)
    for (line, _), reply in zip(retries, outcome.replies, strict=False):
        assert not isinstance(reply, bytes) or TRACE.encode() not in reply or TRACE in line.text, line.text
    for line in outcome.lines:
        assert line.text.isprintable()
        assert len(line.text) <= TEXT_LIMIT
    assert [line for line in outcome.operator_lines if not _is_expected_of_the_operator(line)] == []
    assert [text for text in outcome.complaints if UNREADABLE_HEADERS not in text] == []


def _is_expected_of_the_operator(line: Line) -> bool:
    return line.level == "INFO" or line.text.endswith(words.OPERATOR_OUTSIDE_A_TASK)


def _retries(case: WireCase, outcome: Outcome) -> tuple[list[tuple[Line, re.Match[str]]], list[Line]]:
    """Return the lines about attempts that were followed by another one, and those after them."""
    lines = [line for line in outcome.lines if words.UNENCRYPTED not in line.text]
    retries = []
    for line in lines[: case.all_attempts - 1]:
        match = words.RETRIED.match(line.text)
        assert match, line.text
        retries.append((line, match))
    assert len(retries) == case.all_attempts - 1, [line.text for line in outcome.lines]
    return retries, lines[case.all_attempts - 1 :]


def _check_says(says: tuple[str, ...], text: str) -> None:
    for word in (CONN_ID, *says):
        assert word.lower() in text.lower(), text


def _check_waits(case: WireCase, outcome: Outcome) -> None:
    """Check the time between one line and the next, which is when the call waited."""
    if not outcome.is_fake:
        return  # real time holds more than waits
    retries, _ = _retries(case, outcome)
    moments = [*(line.when for line, _ in retries), outcome.ended]
    waits = [later - earlier for earlier, later in itertools.pairwise(moments)]
    expected = [None] * len(waits) if case.waits is None else list(case.waits)
    ceiling = float(case.extra.get("max_backoff", 20))
    for number, ((_, match), seconds, wait) in enumerate(zip(retries, waits, expected, strict=True), 1):
        own = min(ceiling, 2.0**number)
        lowest, highest = wait or (own, own)
        assert lowest - 1e-6 <= seconds <= highest + 1e-6
        assert float(match["wait"]) == pytest.approx(seconds, abs=0.051)
    # After the last attempt nobody waits any more.
    assert outcome.slept == pytest.approx(sum(waits))


# 6. The end


def _check_end(case: WireCase, outcome: Outcome) -> None:
    end, error = case.end, outcome.error
    if end.error is None:
        if error is not None:
            raise error
        assert outcome.value == end.value
        check_json(outcome.value)
        return
    assert type(error) is end.error, repr(error)
    assert isinstance(error, AitronosError)
    assert isinstance(error, AirflowFailException) == end.permanent
    expected = dict.fromkeys(("status_code", "code", "trace_id", "retry_after")) | {
        "attempts": case.all_attempts,
        "maybe_done": end.maybe_done,
        "outcome": words.PERMANENT if end.permanent else words.RETRYABLE,
        **end.facts,
    }
    assert {name: getattr(error, name) for name in expected} == expected
    text = str(error)
    _check_says(end.says, text)
    assert (words.MAYBE_DONE in text) == end.maybe_done, text
    assert (words.SAYS_PERMANENT in text, words.SAYS_RETRYABLE in text) == (end.permanent, not end.permanent)
    assert case.call is not detach or ASSISTANT in text
    check_error(error)


def check_error(error: BaseException) -> None:
    """Check that an error is one plain line, holds plain data only, and survives pickle."""
    assert isinstance(error, AitronosError)
    assert error.args == (str(error),)
    assert str(error).isprintable()
    assert len(str(error)) <= TEXT_LIMIT
    assert (error.__cause__, error.__context__) == (None, None)
    json.dumps(vars(error), allow_nan=False).encode()
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (again.args, vars(again), str(again)) == (error.args, vars(error), str(error))


def check_json(value: Any) -> None:
    """Check that every database takes a value as JSON."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    text.encode()  # which lone surrogates do not allow
    assert "\\u0000" not in text
    # How Airflow hands a value from the worker to its supervisor: numbers of 64 bits at most.
    msgspec.msgpack.encode(value)


# 7. Nothing stays open


def _check_nothing_is_open(outcome: Outcome) -> None:
    assert outcome.clients_left
    assert [address for address, sock in outcome.sockets if sock.fileno() != -1] == []
    assert outcome.warnings == []
