"""Each precaution on the way to the wire, by name: what breaks when it is gone."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from airflow_aitronos.exceptions import (
    AitronosCancelledError,
    AitronosConfigurationError,
    AitronosError,
    AitronosRedirectError,
)
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from tests.support.airflow_versions import AirflowTaskTimeout
from tests.support.connection import Connection
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer, Reply
from tests.support.faults import Call, Close, Endless
from tests.support.recording_log import RecordingLog
from tests.support.replies import http
from tests.wire.runner import check_error, check_request, connect
from tests.wire.wire_case import ASSISTANT, DETACH, GOOD, KEY, MANY, WORKFLOW

SOME_PATH = "/v1/assistants"
UNAVAILABLE = http(503)


@pytest.fixture
def elsewhere() -> Iterator[FaultServer]:
    """Give a server to which nobody may connect."""
    with FaultServer() as server:
        yield server
    assert server.connections == 0


def request_lines(server: FaultServer) -> list[str]:
    return [f"{request.method} {request.path}" for request in server.requests]


def detach_from(hook: AitronosHook) -> AitronosError:
    """Return the error that a detach ends with."""
    with pytest.raises(AitronosError) as caught:
        hook.detach_assistant_workflow(ASSISTANT)
    check_error(caught.value)
    return caught.value


# Redirects


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_redirects_are_never_followed(
    hook: AitronosHook, elsewhere: FaultServer, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    away = http(307, headers=[("Location", f"{elsewhere.url}/stolen")])
    with FaultServer([away, away]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosRedirectError):
            hook.request(method, SOME_PATH)
        assert hook.get_conn().get(server.url + SOME_PATH, allow_redirects=True).status_code == 307
    assert request_lines(server) == [f"{method} {SOME_PATH}", f"GET {SOME_PATH}"]


@pytest.mark.parametrize("head", [http(302, None, [("Location", "/x")]), http(200, None)])
def test_an_endless_body_is_not_read_to_its_end(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    sent = 0

    def pour(connection: Connection) -> None:
        nonlocal sent
        while True:  # until the client leaves
            connection.send(b"x" * 65536)
            sent += 65536

    with FaultServer([[head, pour]]) as server:
        connect(monkeypatch, server.url)
        detach_from(hook)
    assert len(server.requests) == 1
    # What the kernel keeps between the two ends comes on top of what was read.
    assert sent < MANY + 16 * 1024 * 1024


# The key


def test_netrc_is_ignored(hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\ndefault login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with FaultServer([GOOD]) as server:
        connect(monkeypatch, server.url)
        hook.detach_assistant_workflow(ASSISTANT)
    check_request(server.requests[0])


def test_the_key_goes_to_its_own_origin_only(
    hook: AitronosHook, elsewhere: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer([GOOD]) as server:
        connect(monkeypatch, server.url)
        session = hook.get_conn()
        assert session.get(server.url).status_code == 200
        begins_alike = f"{server.url}@127.0.0.1:{elsewhere.port}/"
        https = server.url.replace("http:", "https:")
        for address in (elsewhere.url, https, "http://127.0.0.1/", begins_alike):
            with pytest.raises(AitronosConfigurationError) as caught:
                session.get(address)
            assert KEY not in str(caught.value)
    assert server.connections == 1
    check_request(server.requests[0])


def test_the_session_shows_no_key(hook: AitronosHook, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "https://api.aitronos.example")
    session = hook.get_conn()
    assert KEY not in f"{session!r} {session.auth!r} {dict(session.headers)!r} {hook.settings!r}"


# What is retried


@pytest.mark.parametrize(
    "interruption",
    [AirflowTaskTimeout("time is up"), KeyboardInterrupt(), SystemExit(1), RuntimeError("a bug")],
    ids=lambda interruption: type(interruption).__name__,
)
def test_an_interruption_ends_the_call_after_one_attempt(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, clock: FakeClock, interruption: BaseException
) -> None:
    attempts: list[object] = []

    def interrupted(*args: object, **kwargs: object) -> None:
        attempts.append(args)
        raise interruption

    monkeypatch.setattr(requests.Session, "send", interrupted)
    connect(monkeypatch, "https://api.aitronos.example")
    with pytest.raises(type(interruption)) as caught:
        hook.detach_assistant_workflow(ASSISTANT)
    assert caught.value is interruption
    assert len(attempts) == 1
    assert clock.sleeps == []


def test_an_interruption_shows_no_frame_that_holds_the_key(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an alarm raises in the middle of a request goes through frames whose locals are the headers."""

    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("http.client.HTTPConnection.getresponse", interrupted)
    with FaultServer([GOOD]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(KeyboardInterrupt) as caught:
            hook.detach_assistant_workflow(ASSISTANT)
        hook.close()
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert [name for name in files if "urllib3" in name or "requests" in name] == []


# Cancellation


def test_a_wait_ends_with_the_signal(
    hook: AitronosHook, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleep = clock.sleep

    def sleep_until_the_signal(seconds: float) -> None:
        sleep(seconds)
        if len(clock.sleeps) == 3:
            hook.cancel()

    monkeypatch.setattr(clock, "sleep", sleep_until_the_signal)
    with FaultServer([http(503, headers=[("Retry-After", "30")]), GOOD]) as server:
        connect(monkeypatch, server.url)
        error = detach_from(hook)
    assert type(error) is AitronosCancelledError
    assert (error.attempts, error.maybe_done) == (1, True)
    assert request_lines(server) == [DETACH]
    assert clock.sleeps == [0.5] * 3


def test_killing_the_operator_ends_its_call(log: RecordingLog, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id=ASSISTANT)
    with FaultServer([[Call(operator.on_kill), UNAVAILABLE], GOOD]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosCancelledError):
            operator.execute({})
    assert request_lines(server) == [DETACH]


# Connections


def test_a_hook_keeps_its_connection_between_calls_until_it_is_closed(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer([GOOD, http(429), GOOD, GOOD]) as server:
        connect(monkeypatch, server.url)
        for _ in range(2):
            hook.detach_assistant_workflow(ASSISTANT)
        hook.close()
        hook.detach_assistant_workflow(ASSISTANT)
    assert [request.connection for request in server.requests] == [1, 1, 1, 2]


@pytest.mark.parametrize(
    "first",
    [
        # The final reply may still come: the next request must not take it for its own.
        http(103, None),
        [http(200, None), Endless()],
        [http(200, "x" * 99)[:-9], Close()],
        http(200, b"{}" * 5_000_000),
    ],
    ids=["interim", "endless", "cut", "too-large"],
)
def test_a_reply_that_was_not_read_to_its_end_closes_its_connection(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, first: Reply
) -> None:
    with FaultServer([first, GOOD]) as server:
        connect(monkeypatch, server.url, max_attempts=1)
        detach_from(hook)
        assert hook.detach_assistant_workflow(ASSISTANT)["workflow_id"] == WORKFLOW
    assert [request.connection for request in server.requests] == [1, 2]
