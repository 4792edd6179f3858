"""What the wire tests rely on: the fault server does what its script says, and tells what it saw."""

from __future__ import annotations

import gc
import socket
import ssl
import threading
import time
import warnings
import zlib

import pytest
import trustme

from tests.support.addresses import blackhole, closed_port, tls_context
from tests.support.fault_server import FaultServer, Reply, Unread
from tests.support.faults import Call, Close, Drip, Endless, Hang, Reset
from tests.support.replies import gzip_bomb, http

ASK = b"DELETE /v1/assistants/..%2f/workflow?x=%7E HTTP/1.1\r\nHost: x\r\nX-API-Key: a\r\nx-api-key:b\r\n\r\n"
LONGEST = 20.0  # seconds; only a broken test waits that long


def ask(server: FaultServer, data: bytes = ASK) -> socket.socket:
    """Send bytes on a connection of their own."""
    client = socket.create_connection(("127.0.0.1", server.port), LONGEST)
    client.sendall(data)
    return client


def read_all(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(65536), b""))


def test_requests_are_recorded_as_they_were_on_the_wire() -> None:
    first = b"POST /a HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody"
    with FaultServer([http(200)]) as server, ask(server, first[:-2]) as client:
        client.sendall(first[-2:] + ASK)
        assert client.recv(10)
        client.shutdown(socket.SHUT_WR)
        assert b"unscripted request" in read_all(client)
    one, two = server.requests
    assert (one.raw, one.method, one.path, one.body) == (first, "POST", "/a", b"body")
    assert (two.raw, two.method, two.path) == (ASK, "DELETE", "/v1/assistants/..%2f/workflow?x=%7E")
    assert (two.values("X-Api-Key"), two.connection, server.connections) == (["a", "b"], 1, 1)


def test_a_close_reaches_the_client_in_the_packet_of_the_last_bytes() -> None:
    with FaultServer([Close(b"end")]) as server, ask(server) as client:
        assert client.recv(10) == b"end"
        client.setblocking(False)
        assert client.recv(10) == b""


def test_a_reset_in_mid_body_leaves_what_was_sent() -> None:
    gone = threading.Event()
    with FaultServer([[b"abc", Reset(), Call(gone.set)]]) as server, ask(server) as client:
        assert gone.wait(LONGEST)
        assert client.recv(1000) == b"abc"
        with pytest.raises(ConnectionResetError):
            client.recv(10)


def test_what_is_not_read_is_not_recorded() -> None:
    with FaultServer([Unread(Reset())]) as server, ask(server) as client, pytest.raises(ConnectionResetError):
        client.recv(10)
    assert (server.connections, server.requests) == (1, [])


def test_slow_bytes_arrive_in_pieces() -> None:
    started = time.monotonic()
    with FaultServer([[Drip(b"abcdefg", 2, 0.05), Close()]]) as server, ask(server) as client:
        assert client.recv(10) == b"ab"
        assert read_all(client) == b"cdefg"
    assert time.monotonic() - started >= 0.15


@pytest.mark.parametrize("step", [Drip(b"ab", 1, 60), [b"a", Hang()], [b"a", Endless()]])
def test_closing_the_server_ends_every_wait_at_once(step: Reply) -> None:
    with FaultServer([step]) as server:
        client = ask(server)
        assert client.recv(1)
        started = time.monotonic()
    assert time.monotonic() - started < 5
    client.close()


def test_what_a_call_raises_surfaces() -> None:
    with (
        pytest.raises(ZeroDivisionError),
        FaultServer([Call(lambda: 1 / 0)]) as server,
        ask(server) as client,
    ):
        assert client.recv(10) == b""


def test_a_gzip_bomb_decodes_to_its_size() -> None:
    bomb = gzip_bomb(20_000_001)
    assert len(bomb) < 25_000
    assert zlib.decompress(bomb, wbits=31) == bytes(20_000_001)


def test_nobody_gets_through_where_nobody_listens_or_answers() -> None:
    with blackhole() as port, pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", port), timeout=0.1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", closed_port()), timeout=LONGEST)


def test_nothing_is_left_behind_of_tls_either() -> None:
    before, ca, context = set(threading.enumerate()), trustme.CA(), ssl.create_default_context()
    ca.configure_trust(context)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with FaultServer([Hang()] * 2, tls_context(ca)) as server, ask(server, b"") as client:
            context.wrap_socket(client, server_hostname="127.0.0.1").close()
        gc.collect()
    assert [str(warning.message) for warning in seen] == []
    assert set(threading.enumerate()) <= before
