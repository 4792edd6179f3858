"""What happens before the first byte of a request leaves."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_aitronos.client import adapter
from airflow_aitronos.exceptions import (
    AitronosCancelledError,
    AitronosConfigurationError,
    AitronosError,
    AitronosNetworkError,
    AitronosUnsafeToRepeatError,
)
from airflow_aitronos.hooks.aitronos import AitronosHook
from tests.support.addresses import blackhole, closed_port, tls_context
from tests.support.airflow_versions import needs_unchecked_extra
from tests.support.connection import Connection
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer, Unread
from tests.support.replies import http
from tests.wire.runner import connect
from tests.wire.wire_case import ASSISTANT, GOOD, KEY


@pytest.fixture
def hook() -> Iterator[AitronosHook]:
    with AitronosHook() as hook:
        yield hook


@pytest.fixture
def on_connected(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Let something happen when a connection has just been made."""
    real = adapter._HTTPConnection.connect

    def arrange(happen: Callable[[], None]) -> None:
        def connect_then(connection: Any) -> None:
            real(connection)
            happen()

        monkeypatch.setattr(adapter._HTTPConnection, "connect", connect_then)

    return arrange


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let a name that only the test knows have these addresses."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "many.test":
            return real(host, port, *args, **kwargs)
        return [one for address in addresses for one in real(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_all_addresses_of_a_name_share_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, *["127.0.0.1"] * 8)
    with blackhole() as port:
        connect(monkeypatch, f"https://many.test:{port}", total_timeout=1, connect_timeout=30)
        started = time.monotonic()
        with AitronosHook() as hook, pytest.raises(AitronosNetworkError, match="total_timeout"):
            hook.detach_assistant_workflow(ASSISTANT)
        assert time.monotonic() - started < 2


def test_a_handshake_gets_what_connecting_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with late_listener(0.5) as port:  # the kernel asks again after a second
        connect(monkeypatch, f"https://127.0.0.1:{port}", total_timeout=2, connect_timeout=30)
        started = time.monotonic()
        with AitronosHook() as hook, pytest.raises(AitronosNetworkError, match="total_timeout"):
            hook.detach_assistant_workflow(ASSISTANT)
        assert time.monotonic() - started < 2.6


@contextmanager
def late_listener(seconds: float) -> Iterator[int]:
    """Give a port where nobody is let in for some seconds, and nobody is spoken to after that."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        stack.enter_context(socket.create_connection(listener.getsockname()))
        timer = threading.Timer(seconds, lambda: stack.enter_context(listener.accept()[0]))
        timer.start()
        yield listener.getsockname()[1]
        timer.join()


SLOW_READERS = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
BIG: dict[str, Any] = {"name": "x", "definition": {"a": "y" * 12_000_000}}


@SLOW_READERS
def test_an_upload_may_take_longer_than_connecting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tls: bool
) -> None:
    def read_late(connection: Connection) -> None:
        threading.Event().wait(1)
        while not connection.buffer.endswith(b'"}}'):
            connection.receive()
        connection.send(http(201, {"id": "flow_1"}))

    with (
        slow_reader(monkeypatch, tmp_path, read_late, tls=tls, connect_timeout=0.4, read_timeout=20),
        AitronosHook() as hook,
    ):
        assert hook.request("POST", "/v1/workflows", json=BIG) == {"id": "flow_1"}


@SLOW_READERS
def test_an_upload_that_goes_on_may_take_longer_than_the_read_timeout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tls: bool
) -> None:
    def read_slowly_at_first(connection: Connection) -> None:
        slow, clock = threading.Event(), time.monotonic
        end = clock() + 1.6
        while not connection.buffer.endswith(b'"}}'):
            if clock() < end:
                slow.wait(0.02)
            connection.receive()
        connection.send(http(201, {"id": "flow_1"}))

    with (
        slow_reader(monkeypatch, tmp_path, read_slowly_at_first, tls=tls, read_timeout=0.8),
        AitronosHook() as hook,
    ):
        assert hook.request("POST", "/v1/workflows", json=BIG) == {"id": "flow_1"}


@SLOW_READERS
@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ({"total_timeout": 1, "read_timeout": 20}, "total_timeout"),
        ({"total_timeout": 20, "read_timeout": 0.5, "connect_timeout": 20}, "read_timeout"),
    ],
    ids=["total", "read"],
)
def test_an_upload_that_is_not_taken_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tls: bool, extra: dict[str, Any], says: str
) -> None:
    gone = threading.Event()

    def read_nothing(connection: Connection) -> None:
        gone.wait(20)

    with slow_reader(monkeypatch, tmp_path, read_nothing, tls=tls, **extra):
        started = time.monotonic()
        with AitronosHook() as hook, pytest.raises(AitronosUnsafeToRepeatError, match=says):
            hook.request("POST", "/v1/workflows", json=BIG)
        seconds = time.monotonic() - started
        gone.set()
    assert seconds < 2.5


@SLOW_READERS
def test_an_upload_that_is_taken_in_drops_ends_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tls: bool
) -> None:
    gone = threading.Event()

    def read_slowly(connection: Connection) -> None:
        while not gone.wait(0.05) and connection.receive():
            pass

    with slow_reader(monkeypatch, tmp_path, read_slowly, tls=tls, total_timeout=1):
        started = time.monotonic()
        with AitronosHook() as hook, pytest.raises(AitronosUnsafeToRepeatError, match="total_timeout"):
            hook.request("POST", "/v1/workflows", json=BIG)
        seconds = time.monotonic() - started
        gone.set()
    assert seconds < 2


@contextmanager
def slow_reader(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    step: Callable[[Connection], None],
    *,
    tls: bool,
    **extra: Any,
) -> Iterator[None]:
    """Serve with a step that reads the request itself, and define a connection with a single attempt."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    with FaultServer([Unread(step)], tls_context(ca) if tls else None) as server:
        connect(monkeypatch, server.url, max_attempts=1, verify=str(folder / "ca.pem"), **extra)
        yield


def test_the_next_address_is_tried_when_one_refuses(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, "::1", "127.0.0.1")
    with FaultServer([GOOD]) as server:
        connect(monkeypatch, f"http://many.test:{server.port}", allow_http=True, max_attempts=1)
        hook.detach_assistant_workflow(ASSISTANT)
    assert server.requests[0].values("Host") == [f"many.test:{server.port}"]


def test_a_request_is_not_sent_when_the_task_is_stopped_while_connecting(
    hook: AitronosHook,
    monkeypatch: pytest.MonkeyPatch,
    on_connected: Callable[[Callable[[], None]], None],
) -> None:
    on_connected(hook.cancel)
    with FaultServer([GOOD]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosCancelledError):
            hook.detach_assistant_workflow(ASSISTANT)
        hook.close()
    assert server.requests == []


def test_a_request_is_not_sent_when_connecting_has_used_up_the_time(
    monkeypatch: pytest.MonkeyPatch, on_connected: Callable[[Callable[[], None]], None]
) -> None:
    clock = FakeClock()
    monkeypatch.setattr(AitronosHook, "clock", clock)
    on_connected(lambda: clock.advance(200))
    with FaultServer([GOOD]) as server:
        connect(monkeypatch, server.url)
        with (
            AitronosHook() as hook,
            pytest.raises(AitronosNetworkError, match="before the request") as caught,
        ):
            hook.request("POST", "/v1/workflows", json={"name": "x"})
    assert server.requests == []
    assert "may have taken effect" not in str(caught.value)
    assert " If connecting takes that long, raise total_timeout. (" in str(caught.value)


def test_a_name_that_is_unknown_is_looked_for_in_host_and_dns(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "in the words of the system")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    connect(monkeypatch, "https://many.test", max_attempts=1)
    with pytest.raises(AitronosNetworkError) as caught:
        hook.detach_assistant_workflow(ASSISTANT)
    assert ": could not resolve the host name many.test; max_attempts is 1. Trying" in str(caught.value)
    assert " Check Host of the connection, and DNS. (" in str(caught.value)


def test_a_proxy_that_is_not_there_is_looked_for_in_the_environment(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    connect(monkeypatch, "https://many.test", max_attempts=1)
    with pytest.raises(AitronosNetworkError) as caught:
        hook.detach_assistant_workflow(ASSISTANT)
    assert ": the proxy did not connect to many.test (Connection refused); max_att" in str(caught.value)
    assert " Check the proxy that HTTPS_PROXY or HTTP_PROXY names, and NO_PROXY. (" in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_on_this_machine_is_not_asked_through_a_proxy(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    with FaultServer() as proxy, FaultServer([GOOD]) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        connect(monkeypatch, f"http://{host}:{server.port}")
        hook.detach_assistant_workflow(ASSISTANT)
        hook.close()
    assert proxy.connections == 0
    assert len(server.requests) == 1


@pytest.mark.parametrize("is_exempt", [False, True])
def test_a_host_in_no_proxy_is_not_asked_through_a_proxy(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, is_exempt: bool
) -> None:
    resolve_to(monkeypatch, "127.0.0.1")
    with FaultServer([GOOD]) as proxy, FaultServer([GOOD]) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "other.test,many.test" if is_exempt else "other.test")
        connect(monkeypatch, f"http://many.test:{server.port}", allow_http=True)
        hook.detach_assistant_workflow(ASSISTANT)
        hook.close()
    assert (len(proxy.requests), len(server.requests)) == ((0, 1) if is_exempt else (1, 0))


@pytest.mark.parametrize("in_uri", [False, True], ids=["json", "uri"])
def test_a_request_goes_over_ipv6(hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, in_uri: bool) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    with FaultServer([GOOD], address="::1") as server:
        connect(monkeypatch, server.url)
        if in_uri:
            # Airflow takes the brackets off, and puts what follows the slash into Schema.
            uri = f"aitronos://:{KEY}@[::1]:{server.port}/http"
            monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", uri)
        hook.detach_assistant_workflow(ASSISTANT)
        hook.close()
    assert server.requests[0].values("Host") == [f"[::1]:{server.port}"]


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # the child asks no thread
def test_a_forked_process_has_connections_of_its_own(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer([GOOD] * 3) as server:
        connect(monkeypatch, server.url)
        hook.detach_assistant_workflow(ASSISTANT)
        child = os.fork()
        if child == 0:  # pragma: no cover  # coverage does not follow
            try:
                hook.detach_assistant_workflow(ASSISTANT)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        hook.detach_assistant_workflow(ASSISTANT)
        hook.close()
    assert [request.connection for request in server.requests] == [1, 2, 1]


@pytest.mark.parametrize(
    "proxy",
    [
        "http://[::1",
        "http://a..b:3128",
        "http://h:notaport",
        "ftp://h:21",
        "http://",
        "http://user:hunt€r2-CANARY@h:3128",
        "gopher://user:hunter2-CANARY@h",
    ],
)
def test_a_proxy_that_cannot_be_used_is_an_error_of_the_configuration(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    connect(monkeypatch, f"https://api.test:{closed_port()}")
    with pytest.raises(AitronosConfigurationError) as caught:
        hook.request("POST", "/v1/workflows", json={"name": "x"})
    assert "CANARY" not in f"{caught.value!r} {caught.value.__context__!r} {caught.value.__cause__!r}"
    assert_no_secret_in_frames(caught.value, "CANARY")


@pytest.mark.parametrize(
    "fields",
    [
        {"extra": {"time_out": 1}},
        pytest.param({"extra": "{"}, marks=needs_unchecked_extra),
        {"host": "ftp://x"},
        {"host": "http://user:CANARY@api.x"},
        {"password": f"{KEY}\n{KEY}"},
        {"password": f"{KEY}€"},
        {"extra": {"verify": "/nowhere"}},
    ],
)
def test_no_key_in_the_frames_of_an_error_of_the_configuration(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    connect(monkeypatch, "https://api.test")

    connection = {**json.loads(os.environ["AIRFLOW_CONN_AITRONOS_DEFAULT"]), **fields}
    monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", json.dumps(connection))
    with pytest.raises(AitronosConfigurationError) as caught:
        AitronosHook().detach_assistant_workflow(ASSISTANT)
    assert_no_secret_in_frames(caught.value, KEY)
    assert_no_secret_in_frames(caught.value, "CANARY@")


def assert_no_secret_in_frames(error: AitronosError, secret: str) -> None:
    """Error trackers show the local variables of the frames that an exception went through."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if "airflow_aitronos" in frame.f_code.co_filename:
            assert secret not in repr(frame.f_locals), frame.f_code.co_name


def test_beginnings_of_control_sequences_do_not_hold_up_the_call(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text full of the beginnings of control sequences once took minutes to make safe."""
    error = {"code": "X", "message": "\x90\x9d\x1b]" * 100_000}
    with FaultServer([http(401, {"success": False, "error": error})]) as server:
        connect(monkeypatch, server.url)
        started = time.monotonic()
        with pytest.raises(AitronosError):
            hook.detach_assistant_workflow(ASSISTANT)
        assert time.monotonic() - started < 10


def test_an_interruption_shows_no_frame_that_holds_the_key(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an alarm raises in the middle of a request goes through frames whose locals are the headers."""

    def interrupted(connection: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(adapter._HTTPConnection, "getresponse", interrupted)
    with FaultServer([GOOD]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(KeyboardInterrupt) as caught:
            hook.detach_assistant_workflow(ASSISTANT)
        hook.close()
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert [name for name in files if "urllib3" in name or "requests" in name] == []
