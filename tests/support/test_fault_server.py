"""What the wire tests rely on: the fault server does what its script says, and tells what it saw."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.support.fault_server import FaultServer
from tests.support.faults import Call, Reset
from tests.support.replies import http

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


def test_a_reset_in_mid_body_leaves_what_was_sent() -> None:
    gone = threading.Event()
    with FaultServer([[b"abc", Reset(), Call(gone.set)]]) as server, ask(server) as client:
        assert gone.wait(LONGEST)
        assert client.recv(1000) == b"abc"
        with pytest.raises(ConnectionResetError):
            client.recv(10)


def test_what_a_call_raises_surfaces() -> None:
    with (
        pytest.raises(ZeroDivisionError),
        FaultServer([Call(lambda: 1 / 0)]) as server,
        ask(server) as client,
    ):
        assert client.recv(10) == b""
