"""What the fault server says it does is what happens on the wire."""

from __future__ import annotations

import gc
import itertools
import select
import socket
import ssl
import threading
import time
import tracemalloc
import warnings
import zlib
from collections.abc import Iterator
from http.client import RemoteDisconnected
from pathlib import Path

import pytest
import requests
import trustme

from tests.support import fault_server
from tests.support.addresses import blackhole, closed_port, tls_context
from tests.support.connection import Connection, Steps
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer, Reply, Unread
from tests.support.faults import Call, Close, Drip, Endless, Hang, Reset
from tests.support.replies import BROKEN_GZIP, CHUNKED, GZIP, chunked, gzip_bomb, http

ASK = b"DELETE /v1/assistants/..%2f/workflow?x=%7E HTTP/1.1\r\nHost: x\r\nX-API-Key: a\r\nx-api-key:b\r\n\r\n"
JSON = b"Content-Type: application/json\r\n"
PATIENCE = 20.0  # seconds; only a broken test waits that long


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """Give a session that ignores proxies and CA bundles of the environment."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


def ask(server: FaultServer, data: bytes = ASK, timeout: float = PATIENCE) -> socket.socket:
    """Send bytes on a connection of their own, whose waits end after `timeout` seconds."""
    client = socket.create_connection(("127.0.0.1", server.port), timeout)
    client.sendall(data)
    return client


def read_all(client: socket.socket) -> bytes:
    """Read from the wire until the server closes; a TLS socket's own `recv` may show a reset as an end."""
    return b"".join(iter(lambda: socket.socket.recv(client, 65536), b""))


# Recording


def test_request_is_recorded_as_it_was_on_the_wire() -> None:
    with FaultServer([Close(http(200))]) as server, ask(server) as client:
        read_all(client)
    (request,) = server.requests
    assert request.raw == ASK
    assert (request.method, request.path) == ("DELETE", "/v1/assistants/..%2f/workflow?x=%7E")
    assert request.headers == [("Host", "x"), ("X-API-Key", "a"), ("x-api-key", "b")]
    assert request.values("X-Api-Key") == ["a", "b"]
    assert (request.body, request.connection) == (b"", 1)


def test_body_is_read_as_far_as_its_length_says_and_the_next_request_is_kept() -> None:
    first = b"POST /a HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody"
    with FaultServer([http(200), Close(http(200))]) as server, ask(server, first[:-2]) as client:
        client.sendall(first[-2:] + ASK)
        assert read_all(client).count(b"200 OK") == 2
    assert [(r.method, r.body, r.connection) for r in server.requests] == [
        ("POST", b"body", 1),
        ("DELETE", b"", 1),
    ]
    assert server.requests[0].raw == first


def test_one_connection_carries_several_requests(session: requests.Session) -> None:
    with FaultServer([http(429), http(200, {"a": 1})]) as server:
        assert session.delete(server.url).status_code == 429
        assert session.delete(server.url).json() == {"a": 1}
    assert [r.connection for r in server.requests] == [1, 1]
    assert server.connections == 1


def test_request_beyond_the_script_gets_500_and_is_recorded(session: requests.Session) -> None:
    with FaultServer() as server:
        answer = session.get(server.url + "/more")
    assert (answer.status_code, answer.text) == (500, "unscripted request")
    assert [r.path for r in server.requests] == ["/more"]


def test_replies_may_never_end(session: requests.Session) -> None:
    with FaultServer(itertools.repeat(http(429))) as server:
        assert {session.get(server.url).status_code for _ in range(5)} == {429}
    assert len(server.requests) == 5


def test_a_connection_that_asks_nothing_is_counted() -> None:
    with FaultServer() as server, socket.create_connection(("127.0.0.1", server.port)):
        pass
    assert (server.connections, server.requests) == (1, [])


# Responses


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (http(200, {"a": 1}), b"HTTP/1.1 200 OK\r\n" + JSON + b'Content-Length: 8\r\n\r\n{"a": 1}'),
        (http(200, []), b"HTTP/1.1 200 OK\r\n" + JSON + b"Content-Length: 2\r\n\r\n[]"),
        (http(404, "ü"), "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nü".encode()),
        (http(1000), b"HTTP/1.1 1000 Unknown\r\nContent-Length: 0\r\n\r\n"),
        (http(200, reason=""), b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"),
        (http(103, None), b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        (http(200, b"a", [("content-length", "5")]), b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\na"),
        (http(200, keep_alive=False), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        (http(200, None, [("Retry-After", "é")]), "HTTP/1.1 200 OK\r\nRetry-After: é\r\n\r\n".encode()),
    ],
)
def test_http_builds_exactly(response: bytes, expected: bytes) -> None:
    with FaultServer([Close(response)]) as server, ask(server) as client:
        assert read_all(client) == expected


def test_chunked_body_is_whole_or_broken(session: requests.Session) -> None:
    whole, cut, garbage = (
        http(200, chunked([b"ab", b"c" * 20], end), [CHUNKED]) for end in (b"0\r\n\r\n", b"", b"zz\r\n")
    )
    with FaultServer([whole, Close(cut), Close(garbage)]) as server:
        assert session.get(server.url).content == b"ab" + b"c" * 20
        for _ in range(2):
            with pytest.raises(requests.exceptions.ChunkedEncodingError):
                session.get(server.url)


def test_truncated_body_is_a_cut_response(session: requests.Session) -> None:
    with (
        FaultServer([Close(http(200, "abcdef")[:-3])]) as server,
        pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"),
    ):
        session.get(server.url)


def test_broken_gzip(session: requests.Session) -> None:
    with (
        FaultServer([http(200, BROKEN_GZIP, [GZIP])]) as server,
        pytest.raises(requests.exceptions.ContentDecodingError),
    ):
        session.get(server.url)


def test_gzip_bomb_is_small_decodes_to_its_size_and_is_built_in_little_memory(
    session: requests.Session,
) -> None:
    tracemalloc.start()
    try:
        bomb = gzip_bomb(20_000_001)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(bomb) < 25_000
    assert peak < 2_000_000
    assert zlib.decompress(bomb, wbits=31) == bytes(20_000_001)
    with FaultServer([http(200, bomb, [GZIP])]) as server:
        assert len(session.get(server.url).content) == 20_000_001


# Slow and silent


def test_drip_arrives_in_pieces() -> None:
    started = time.monotonic()
    with FaultServer([[Drip(b"abcdefg", 2, 0.05), Close()]]) as server, ask(server) as client:
        assert read_all(client) == b"abcdefg"
    assert time.monotonic() - started >= 0.15


def test_drip_sends_the_first_piece_alone_and_stops_with_the_client() -> None:
    with FaultServer([Drip(b"abcd", 1, 60)]) as server:
        with ask(server) as client:
            assert client.recv(10) == b"a"
        started = time.monotonic()
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("step", [Drip(b"ab", 1, 60), [b"a", Hang()], [b"a", Endless()]])
def test_closing_the_server_ends_every_wait_at_once(step: Reply) -> None:
    with FaultServer([step]) as server:
        client = ask(server)
        assert client.recv(1)
        started = time.monotonic()
    assert time.monotonic() - started < 5
    client.close()


def test_hang_sends_nothing() -> None:
    arrived = threading.Event()
    with FaultServer([[Call(arrived.set), Hang()]]) as server, ask(server) as client:
        assert arrived.wait(PATIENCE)
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
    assert len(server.requests) == 1


def test_hang_may_be_short() -> None:
    started = time.monotonic()
    with FaultServer([[Hang(0.1), Close(b"at last")]]) as server, ask(server) as client:
        assert read_all(client) == b"at last"
    assert time.monotonic() - started >= 0.1


def test_endless_body_goes_on_until_the_client_leaves() -> None:
    with FaultServer([[http(200, None), Endless()]]) as server, ask(server) as client:
        received = 0
        while received < 3_000_000:
            received += len(client.recv(65536))


def test_endless_body_is_bounded() -> None:
    with FaultServer([Endless(b"ab", 10)]) as server, ask(server) as client:
        assert read_all(client) == b"ab" * 5


# Closing


def test_close_after_the_request(session: requests.Session) -> None:
    with FaultServer([Close()]) as server, pytest.raises(requests.exceptions.ConnectionError) as caught:
        session.get(server.url)
    assert isinstance(caught.value.args[0].args[1], RemoteDisconnected)
    assert len(server.requests) == 1


def test_close_before_the_request_is_read() -> None:
    with FaultServer([Unread(Close())]) as server, ask(server) as client:
        assert client.recv(10) == b""
    assert (server.connections, server.requests) == (1, [])


def test_close_of_an_idle_connection_is_seen_together_with_the_reply(session: requests.Session) -> None:
    with FaultServer([Close(http(503)), http(200)] * 4) as server:
        answers = [session.get(server.url).status_code for _ in range(8)]
    assert answers == [503, 200] * 4
    # The client has seen the end of the old connection each time, and never tries it.
    assert [r.connection for r in server.requests] == [1, 2, 2, 3, 3, 4, 4, 5]


def test_close_reaches_the_client_in_the_packet_of_the_last_bytes() -> None:
    with FaultServer([Close(b"end")]) as server, ask(server) as client:
        assert client.recv(10) == b"end"
        client.setblocking(False)
        assert client.recv(10) == b""


def test_reset_after_the_request() -> None:
    with FaultServer([Reset()]) as server, ask(server) as client, pytest.raises(ConnectionResetError):
        client.recv(10)
    assert len(server.requests) == 1


def test_reset_before_the_request_is_read(session: requests.Session) -> None:
    with FaultServer([Unread(Reset()), http(200)]) as server:
        with ask(server) as client, pytest.raises(ConnectionResetError):
            client.recv(10)
        assert session.get(server.url).status_code == 200
    assert (server.connections, len(server.requests)) == (2, 1)


def test_reset_in_mid_body_leaves_what_was_sent(session: requests.Session) -> None:
    gone = threading.Event()
    torn: Reply = [http(200, "abcdef")[:-3], Reset(), Call(gone.set)]
    with FaultServer([torn, torn]) as server:
        with ask(server) as client:
            assert gone.wait(PATIENCE)
            assert client.recv(1000).endswith(b"abc")
            with pytest.raises(ConnectionResetError):
                client.recv(10)
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="Connection reset by peer"):
            session.get(server.url)


# Hooks


def test_call_runs_after_the_request_arrived_and_before_the_answer() -> None:
    seen: list[object] = []

    def look() -> None:
        seen.append(len(server.requests))
        seen.append(select.select([client], [], [], 0)[0])

    ready = threading.Event()
    steps: Reply = [Call(lambda: ready.wait(PATIENCE)), Call(look), Close(http(200))]
    with FaultServer([steps]) as server, ask(server) as client:
        ready.set()
        assert b"200 OK" in read_all(client)
    assert seen == [1, []]


def test_an_answer_may_come_after_the_client_gave_up(session: requests.Session) -> None:
    arrived, asked_again = threading.Event(), threading.Event()
    late: Reply = [Call(arrived.set), Call(lambda: asked_again.wait(PATIENCE)), http(200, "late")]
    with FaultServer([late, [Call(asked_again.set), http(200, "good")]]) as server:
        with ask(server):
            assert arrived.wait(PATIENCE)
        assert session.get(server.url).text == "good"
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "error", [AssertionError("seen"), ConnectionResetError("seen"), KeyboardInterrupt("seen")]
)
def test_what_a_call_raises_surfaces(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error), match="seen"), FaultServer([Call(fail)]) as server, ask(server) as client:
        assert client.recv(10) == b""


def test_what_a_call_raises_is_a_note_on_a_failing_test() -> None:
    def fail_too(server: FaultServer) -> None:
        with server, ask(server) as client:
            assert client.recv(10) == b""
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine") as caught:
        fail_too(FaultServer([Call(lambda: 1 / 0)]))
    assert caught.value.__notes__ == ["in the fault server: ZeroDivisionError('division by zero')"]


def test_a_call_that_never_ends_surfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault_server, "JOIN_LIMIT", 0.1)
    started, release = threading.Event(), threading.Event()
    stuck = [Call(started.set), Call(lambda: release.wait(PATIENCE))]
    with pytest.raises(TimeoutError, match="did not end"), FaultServer([stuck]) as server, ask(server):
        assert started.wait(PATIENCE)
    release.set()


def test_a_step_of_your_own_sees_the_connection() -> None:
    def tell(connection: Connection) -> None:
        connection.send(b"number %d" % connection.number)

    with FaultServer([[tell, Close()]]) as server, ask(server) as client:
        assert read_all(client) == b"number 1"


# Ports


def test_blackhole_times_out_and_then_is_closed(session: requests.Session) -> None:
    with blackhole() as port:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                socket.create_connection(("127.0.0.1", port), timeout=0.1)
        with pytest.raises(requests.exceptions.ConnectTimeout):
            session.get(f"http://127.0.0.1:{port}", timeout=(0.1, PATIENCE))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def test_closed_port_refuses() -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", closed_port()), timeout=PATIENCE)


# TLS


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(ca: trustme.CA, session: requests.Session, tmp_path: Path) -> requests.Session:
    """Give a session that trusts the CA of the test."""
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    session.verify = str(tmp_path / "ca.pem")
    return session


def test_tls(ca: trustme.CA, trusting: requests.Session) -> None:
    drip, close = Drip(http(200, "b"), 30, 0.01), Close(http(200, "c"))
    replies: list[Reply] = [http(200, "a"), drip, close, http(200, "d")]
    with FaultServer(replies, tls_context(ca)) as server:
        assert server.url.startswith("https://")
        assert [trusting.get(server.url).text for _ in "abcd"] == list("abcd")
    assert [r.connection for r in server.requests] == [1, 1, 1, 2]


@pytest.mark.parametrize(("fault", "recorded"), [(Reset(), 1), (Unread(Reset()), 0)])
def test_reset_inside_tls(ca: trustme.CA, fault: Reply, recorded: int) -> None:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    with (
        FaultServer([fault], tls_context(ca)) as server,
        context.wrap_socket(ask(server, b""), server_hostname="127.0.0.1") as client,
    ):
        client.sendall(ASK)
        with pytest.raises(ConnectionResetError):
            read_all(client)
    assert len(server.requests) == recorded


@pytest.mark.parametrize(
    ("hostname", "expired", "message"),
    [("127.0.0.1", True, "expired"), ("other.example", False, "doesn't match|mismatch")],
)
def test_certificate_that_is_no_good(
    ca: trustme.CA, trusting: requests.Session, hostname: str, expired: bool, message: str
) -> None:
    with (
        FaultServer(tls=tls_context(ca, hostname, expired=expired)) as server,
        pytest.raises(requests.exceptions.SSLError, match=message),
    ):
        trusting.get(server.url)
    assert (server.connections, server.requests) == (1, [])


def test_certificate_of_an_unknown_ca(trusting: requests.Session) -> None:
    with (
        FaultServer(tls=tls_context(trustme.CA())) as server,
        pytest.raises(requests.exceptions.SSLError, match="unable to get local issuer"),
    ):
        trusting.get(server.url)
    assert (server.connections, server.requests) == (1, [])


@pytest.mark.parametrize(
    ("fault", "expected", "timeout"),
    [
        (Reset(), ConnectionResetError, PATIENCE),
        (Close(), ssl.SSLEOFError, PATIENCE),
        (Hang(), TimeoutError, 0.3),
        (http(400, "this is not TLS"), ssl.SSLError, PATIENCE),
    ],
)
def test_fault_in_the_handshake(fault: Steps, expected: type[Exception], timeout: float) -> None:
    with (
        FaultServer([Unread(fault)]) as server,
        ask(server, b"", timeout) as client,
        pytest.raises(expected) as caught,
    ):
        ssl.create_default_context().wrap_socket(client, server_hostname="127.0.0.1")
    assert caught.type is expected
    assert (server.connections, server.requests) == (1, [])


def test_a_client_that_leaves_in_the_handshake_is_no_error(ca: trustme.CA) -> None:
    with FaultServer(tls=tls_context(ca)) as server:
        for data in (b"", b"GET / HTTP/1.1\r\n\r\n"):
            ask(server, data).close()
    assert (server.connections, server.requests) == (2, [])


@pytest.mark.parametrize("status", [407, 502])
def test_proxy_that_refuses_to_connect(session: requests.Session, status: int) -> None:
    with (
        FaultServer([Close(http(status))]) as proxy,
        pytest.raises(requests.exceptions.ProxyError, match=str(status)),
    ):
        session.get("https://api.example/x", proxies={"https": proxy.url})
    assert [(r.method, r.path) for r in proxy.requests] == [("CONNECT", "api.example:443")]


# Leaving nothing behind


def test_nothing_is_left_behind(ca: trustme.CA) -> None:
    before = set(threading.enumerate())
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for tls in (None, tls_context(ca)):
            with FaultServer([Hang()] * 3, tls) as server, ask(server), ask(server) as client:
                client.close()
        with blackhole():
            closed_port()
        gc.collect()
    assert [str(warning.message) for warning in seen] == []
    assert set(threading.enumerate()) <= before


# The fake clock


def test_clock_moves_by_sleeping_and_advancing_only() -> None:
    clock = FakeClock(start=10, wall=1000)
    clock.sleep(1.5)
    clock.advance(2)
    clock.sleep(0)
    assert (clock.monotonic(), clock.time()) == (13.5, 1003.5)
    assert clock.sleeps == [1.5, 0]


def test_clock_ticks_at_each_look() -> None:
    clock = FakeClock(start=10, wall=1000, tick=0.5)
    assert [clock.monotonic(), clock.time(), clock.monotonic()] == [10, 1000.5, 11]


def test_wall_clock_may_jump() -> None:
    clock = FakeClock(start=10, wall=1000)
    clock.offset -= 500
    assert (clock.monotonic(), clock.time()) == (10, 500)


@pytest.mark.parametrize("seconds", [-1, -1e-9, float("nan"), float("inf"), float("-inf")])
def test_clock_refuses_impossible_times(seconds: float) -> None:
    clock = FakeClock()
    before = clock.monotonic()
    with pytest.raises(ValueError, match="cannot let"):
        clock.sleep(seconds)
    with pytest.raises(ValueError, match="cannot let"):
        clock.advance(seconds)
    assert (clock.monotonic(), clock.sleeps) == (before, [])
