"""Each guard of the way to the wire, by name: what breaks when it is gone."""

from __future__ import annotations

import gzip
import itertools
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager

from airflow_aitronos._compat import AirflowFailException
from airflow_aitronos.client import ids
from airflow_aitronos.client.adapter import DeadlineAdapter
from airflow_aitronos.client.body import BODY_LIMIT
from airflow_aitronos.client.clock import SystemClock
from airflow_aitronos.client.transport import Transport
from airflow_aitronos.exceptions import (
    AitronosCancelledError,
    AitronosConfigurationError,
    AitronosError,
    AitronosInputError,
    AitronosNetworkError,
    AitronosOutcomeUnknownError,
    AitronosRedirectError,
    AitronosResponseError,
    AitronosServerError,
)
from airflow_aitronos.hooks import aitronos
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from tests.support.addresses import tls_context
from tests.support.connection import Connection
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer, Reply
from tests.support.faults import Call, Close, Drip, Endless, Reset
from tests.support.replies import GZIP, http
from tests.wire.network_cases import PROXY_PASSWORD
from tests.wire.runner import RecordingLog, check_error, check_request, connect
from tests.wire.wire_case import ASSISTANT, DETACH, GOOD, KEY, NOTHING_LINKED, WORKFLOW, detached, envelope

try:
    from airflow.sdk.exceptions import AirflowTaskTimeout
except ImportError:  # Airflow 3.1
    from airflow.exceptions import AirflowTaskTimeout  # type: ignore[no-redef]

SOME_PATH = "/v1/assistants"
UNAVAILABLE = http(503)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Let every hook wait on a clock of the test."""
    clock = FakeClock()
    monkeypatch.setattr(AitronosHook, "clock", clock)
    return clock


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> RecordingLog:
    """Record what hooks log."""
    log = RecordingLog(clock)
    monkeypatch.setattr(AitronosHook, "log", log)
    return log


@pytest.fixture
def hook(clock: FakeClock, log: RecordingLog) -> Iterator[AitronosHook]:
    with AitronosHook() as hook:
        yield hook


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


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_redirects_are_never_followed(
    hook: AitronosHook,
    elsewhere: FaultServer,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    method: str,
) -> None:
    away = http(status, headers=[("Location", f"{elsewhere.url}/stolen")])
    with FaultServer([away]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosRedirectError):
            hook.request(method, SOME_PATH)
    assert request_lines(server) == [f"{method} {SOME_PATH}"]


@pytest.mark.parametrize("location", ["{elsewhere}/stolen", "/login"])
def test_redirects_are_never_followed_by_the_session_itself(
    hook: AitronosHook, elsewhere: FaultServer, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    away = http(302, headers=[("Location", location.format(elsewhere=elsewhere.url))])
    with FaultServer([away, away]) as server:
        connect(monkeypatch, server.url)
        session = hook.get_conn()
        assert session.get(server.url + "/a").status_code == 302
        assert session.get(server.url + "/b", allow_redirects=True).status_code == 302
    assert request_lines(server) == ["GET /a", "GET /b"]


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
    assert sent < BODY_LIMIT + 16 * 1024 * 1024


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
        for address in (elsewhere.url, server.url.replace("http:", "https:"), "http://127.0.0.1/"):
            with pytest.raises(AitronosConfigurationError) as caught:
                session.get(address)
            assert KEY not in str(caught.value)
    assert server.connections == 1
    check_request(server.requests[0])


def test_the_key_does_not_go_to_a_host_that_merely_begins_alike(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, "https://api.aitronos.example")
    for address in ("https://api.aitronos.example.evil.example/", "https://api.aitronos.example@127.0.0.1/"):
        with pytest.raises(AitronosConfigurationError):
            hook.get_conn().get(address)


def test_the_session_shows_no_key(hook: AitronosHook, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "https://api.aitronos.example")
    session = hook.get_conn()
    assert KEY not in f"{session!r} {session.auth!r} {dict(session.headers)!r} {hook.settings!r}"


def test_the_password_of_a_proxy_is_masked(hook: AitronosHook, monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[str] = []
    monkeypatch.setattr(aitronos, "mask_secret", masked.append)
    with FaultServer([Close(http(407))]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:{PROXY_PASSWORD}@127.0.0.1:{proxy.port}")
        connect(monkeypatch, "https://api.aitronos.example")
        detach_from(hook)
    assert set(masked) == {KEY, PROXY_PASSWORD, b64encode(f"me:{PROXY_PASSWORD}".encode()).decode()}


# The last look at the URL


@pytest.mark.parametrize("odd", ["..", ".", "x?y=1", "x#f", "a/../../b", "%2e%2e", "a b", "a\\b", "é"])
def test_a_path_that_leads_elsewhere_is_not_sent(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    monkeypatch.setattr(ids, "check_id", lambda name, value: value)
    monkeypatch.setattr(ids, "quote", lambda value, safe: value)
    with FaultServer() as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosInputError) as caught:
            hook.request(
                "DELETE", "/v1/assistants/{assistant_id}/workflow", path_params={"assistant_id": odd}
            )
    check_error(caught.value)
    assert server.connections == 0


@pytest.mark.parametrize(
    ("odd", "segment"),
    [("..", None), (".", None), ("%2e%2e", "%252e%252e"), ("x?y=1", "x%3Fy%3D1"), ("a/../b", "a%2F..%2Fb")],
)
def test_quoting_and_the_last_look_hold_without_the_check_of_ids(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, odd: str, segment: str | None
) -> None:
    """One segment below the asked path arrives, or nothing at all."""
    monkeypatch.setattr(ids, "check_id", lambda name, value: value)
    with FaultServer([GOOD]) as server:
        connect(monkeypatch, server.url, max_attempts=1)
        with ExitStack() as stack:
            if segment is None:
                stack.enter_context(pytest.raises(AitronosInputError))
            hook.request(
                "DELETE", "/v1/assistants/{assistant_id}/workflow", path_params={"assistant_id": odd}
            )
    assert request_lines(server) == ([] if segment is None else [f"DELETE /v1/assistants/{segment}/workflow"])


# What is tried again


@pytest.mark.parametrize(
    "interruption",
    [
        AirflowTaskTimeout("time is up"),
        KeyboardInterrupt(),
        SystemExit(1),
        RuntimeError("a bug"),
        OSError("?"),
    ],
    ids=lambda interruption: type(interruption).__name__,
)
def test_an_interruption_ends_the_call_after_one_attempt(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, clock: FakeClock, interruption: BaseException
) -> None:
    attempts: list[object] = []

    def interrupted(self: Transport, *args: object) -> None:
        attempts.append(args)
        raise interruption

    monkeypatch.setattr(Transport, "send", interrupted)
    connect(monkeypatch, "https://api.aitronos.example")
    with pytest.raises(type(interruption)) as caught:
        hook.detach_assistant_workflow(ASSISTANT)
    assert caught.value is interruption
    assert len(attempts) == 1
    assert clock.sleeps == []


@pytest.mark.parametrize("interruption", [AirflowTaskTimeout, KeyboardInterrupt, SystemExit])
def test_an_interruption_of_a_wait_ends_the_call(
    hook: AitronosHook,
    monkeypatch: pytest.MonkeyPatch,
    clock: FakeClock,
    interruption: type[BaseException],
) -> None:
    def interrupted(seconds: float) -> None:
        raise interruption

    monkeypatch.setattr(clock, "sleep", interrupted)
    with FaultServer([http(429, headers=[("Retry-After", "5")]), GOOD]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(interruption):
            hook.detach_assistant_workflow(ASSISTANT)
    assert request_lines(server) == [DETACH]


def test_every_call_has_its_own_attempts(hook: AitronosHook, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer(itertools.repeat(UNAVAILABLE)) as server:
        connect(monkeypatch, server.url)
        assert [detach_from(hook).attempts for _ in range(3)] == [4, 4, 4]
    assert len(server.requests) == 12


def test_a_wait_is_cut_into_slices(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    with FaultServer([http(429, headers=[("Retry-After", "7")]), GOOD]) as server:
        connect(monkeypatch, server.url)
        hook.detach_assistant_workflow(ASSISTANT)
    assert 7 <= sum(clock.sleeps) <= 8 + 1e-6
    assert max(clock.sleeps) <= 0.5


# Bounds


def test_a_socks_proxy_keeps_the_connections_that_know_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # Ours would go past the proxy. The package that speaks SOCKS is no dependency, so it is played.
    monkeypatch.setattr(HTTPAdapter, "proxy_manager_for", lambda *args: PoolManager())
    adapter, plain = DeadlineAdapter(), PoolManager().pool_classes_by_scheme
    for scheme in ("socks5", "socks5h", "SOCKS4"):
        assert adapter.proxy_manager_for(f"{scheme}://127.0.0.1:1").pool_classes_by_scheme == plain
    assert adapter.proxy_manager_for("http://127.0.0.1:1").pool_classes_by_scheme != plain


def test_a_body_over_the_cap_is_refused(hook: AitronosHook, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([http(200, b" " * (BODY_LIMIT + 1))]) as server:
        connect(monkeypatch, server.url)
        error = detach_from(hook)
    assert type(error) is AitronosResponseError
    assert "response too large" in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_body_just_at_the_cap_is_read(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, is_packed: bool
) -> None:
    good = GOOD.partition(b"\r\n\r\n")[2]
    body = b" " * (BODY_LIMIT - len(good)) + good
    with FaultServer([http(200, gzip.compress(body), [GZIP]) if is_packed else http(200, body)]) as server:
        connect(monkeypatch, server.url)
        assert hook.detach_assistant_workflow(ASSISTANT) == detached()


@pytest.mark.parametrize(
    "drip",
    [
        [Drip(GOOD, 1, 0.05)],
        [b"HTTP/1.1 200 OK\r\n", Drip(b"X-A: b\r\n" * 99, 1, 0.05)],
        [http(200, None, [("Content-Length", "9999")]), Drip(b" " * 9999, 1, 0.05)],
    ],
    ids=["status-line", "headers", "body"],
)
def test_the_deadline_ends_a_dripping_reply(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, drip: Reply
) -> None:
    monkeypatch.setattr(AitronosHook, "clock", SystemClock())
    with FaultServer([drip]) as server:
        connect(monkeypatch, server.url, total_timeout=1, read_timeout=5)
        start = time.monotonic()
        error = detach_from(hook)
        assert time.monotonic() - start <= 2
    assert type(error) is AitronosNetworkError
    assert "total_timeout" in str(error)


def test_the_read_timeout_starts_anew_with_each_byte(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow reply is good as long as bytes come."""
    with FaultServer([Drip(GOOD, 40, 0.05)]) as server:
        connect(monkeypatch, server.url, read_timeout=5)
        assert hook.detach_assistant_workflow(ASSISTANT) == detached()


# What counts as success, and what is known of lost answers


@pytest.mark.parametrize("success", [False, None, 0, "", "no", []])
def test_an_envelope_on_a_200_is_no_success(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, success: object
) -> None:
    with FaultServer([http(200, detached(success=success))]) as server:
        connect(monkeypatch, server.url)
        assert type(detach_from(hook)) is AitronosResponseError
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("first", "is_ambiguous"),
    [
        (Reset(), True),
        (Close(), True),
        (http(408), True),
        (http(500), True),
        (http(503), True),
        (http(504), True),
        (http(524), True),
        (http(425), False),
        (http(429), False),
    ],
)
def test_a_lost_answer_is_remembered(
    hook: AitronosHook,
    log: RecordingLog,
    monkeypatch: pytest.MonkeyPatch,
    first: Reply,
    is_ambiguous: bool,
) -> None:
    with FaultServer([first, NOTHING_LINKED, first, http(404)]) as server:
        connect(monkeypatch, server.url)
        hook.detach_assistant_workflow(ASSISTANT)
        assert ("probably detached it" in log.lines[-1].text) == is_ambiguous
        assert (type(detach_from(hook)) is AitronosOutcomeUnknownError) == is_ambiguous
    assert request_lines(server) == [DETACH] * 4


def test_a_lost_answer_is_forgotten_with_its_call(
    hook: AitronosHook, log: RecordingLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer([Reset(), GOOD, NOTHING_LINKED]) as server:
        connect(monkeypatch, server.url)
        hook.detach_assistant_workflow(ASSISTANT)
        hook.detach_assistant_workflow(ASSISTANT)
    assert len(server.requests) == 3
    assert (log.lines[-1].level, "earlier attempt" in log.lines[-1].text) == ("INFO", False)


# Being told to stop


def test_a_good_answer_after_the_signal_is_logged_and_raised(
    hook: AitronosHook, log: RecordingLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer([[Call(hook.cancel), GOOD], GOOD]) as server:
        connect(monkeypatch, server.url)
        error = detach_from(hook)
    assert type(error) is AitronosCancelledError
    assert not isinstance(error, AirflowFailException)
    assert request_lines(server) == [DETACH]
    assert WORKFLOW in log.lines[-1].text
    assert ASSISTANT in log.lines[-1].text


@pytest.mark.parametrize("reply", [UNAVAILABLE, Reset(), http(429), http(200, "?")])
def test_a_failure_after_the_signal_is_not_tried_again(
    hook: AitronosHook, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, reply: Any
) -> None:
    with FaultServer([[Call(hook.cancel), reply], GOOD]) as server:
        connect(monkeypatch, server.url)
        assert type(detach_from(hook)) is AitronosCancelledError
    assert request_lines(server) == [DETACH]
    assert clock.sleeps == []


def test_a_wait_ends_with_the_signal(
    hook: AitronosHook, clock: FakeClock, log: RecordingLog, monkeypatch: pytest.MonkeyPatch
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
    assert error.attempts == 1
    assert "may have taken effect" in str(error)
    assert request_lines(server) == [DETACH]
    assert clock.sleeps == [0.5] * 3
    assert [line.level for line in log.lines] == ["WARNING", "ERROR"]


def test_nothing_is_sent_after_the_signal(hook: AitronosHook, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([GOOD]) as server:
        connect(monkeypatch, server.url)
        hook.cancel()
        error = detach_from(hook)
    assert (type(error), error.attempts, server.connections) == (AitronosCancelledError, 0, 0)
    assert "no request was sent" in str(error)


def test_the_look_that_settles_a_404_is_not_sent_after_the_signal(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = envelope(404, "WORKFLOW_NOT_FOUND")
    with FaultServer([Reset(), [Call(hook.cancel), missing], GOOD]) as server:
        connect(monkeypatch, server.url)
        assert type(detach_from(hook)) is AitronosCancelledError
    assert request_lines(server) == [DETACH] * 2


def test_a_refused_key_after_the_signal_still_stops_the_task(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer([[Call(hook.cancel), http(401)]]) as server:
        connect(monkeypatch, server.url)
        assert isinstance(detach_from(hook), AirflowFailException)


def test_killing_the_operator_ends_its_call(log: RecordingLog, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id=ASSISTANT)
    with FaultServer([[Call(operator.on_kill), UNAVAILABLE], GOOD]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosCancelledError):
            operator.execute({})
    assert request_lines(server) == [DETACH]


# Connections


def test_a_hook_keeps_its_connection_between_calls(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer([GOOD, http(429), GOOD]) as server:
        connect(monkeypatch, server.url)
        for _ in range(2):
            hook.detach_assistant_workflow(ASSISTANT)
        hook.close()
    assert (len(server.requests), server.connections) == (3, 1)


@pytest.mark.parametrize("status", [101, 102, 103])
def test_a_connection_with_an_unfinished_reply_is_not_used_again(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """The final reply may still come: the next request must not take it for its own."""
    with FaultServer([http(status, None), GOOD]) as server:
        connect(monkeypatch, server.url)
        detach_from(hook)
        hook.detach_assistant_workflow(ASSISTANT)
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.parametrize(
    "first", [[http(200, None), Endless()], [http(200, "x" * 99)[:-9], Close()], http(200, b"{}" * 900_000)]
)
def test_a_reply_that_was_not_read_to_its_end_closes_its_connection(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, first: Reply
) -> None:
    with FaultServer([first, GOOD]) as server:
        connect(monkeypatch, server.url, max_attempts=1)
        detach_from(hook)
        assert hook.detach_assistant_workflow(ASSISTANT) == detached()
    assert [request.connection for request in server.requests] == [1, 2]


def test_a_closed_hook_can_be_used_again(hook: AitronosHook, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([GOOD, GOOD]) as server:
        connect(monkeypatch, server.url)
        for _ in range(2):
            hook.detach_assistant_workflow(ASSISTANT)
            hook.close()
    assert server.connections == 2


def test_a_ca_bundle_makes_a_private_certificate_good(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import trustme

    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with FaultServer([UNAVAILABLE, GOOD], tls_context(ca)) as server:
        connect(monkeypatch, server.url, verify=str(tmp_path / "ca.pem"))
        assert hook.detach_assistant_workflow(ASSISTANT) == detached()
    for request in server.requests:
        check_request(request)
    assert server.connections == 1


def test_a_server_error_says_so_by_its_class(hook: AitronosHook, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer(itertools.repeat(UNAVAILABLE)) as server:
        connect(monkeypatch, server.url)
        assert type(detach_from(hook)) is AitronosServerError
    assert server.connections == 1
