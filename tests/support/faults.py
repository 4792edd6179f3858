"""What a step of a scripted reply can do to its connection, besides sending bytes."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.connection import LIMIT, Connection, leaving


@dataclass(frozen=True)
class Drip:
    """Send `data` in pieces of `size` bytes, `interval` seconds apart."""

    data: bytes
    size: int
    interval: float

    def __call__(self, connection: Connection) -> None:
        for start in range(0, len(self.data), self.size):
            if start:
                connection.pause(self.interval)
            connection.send(self.data[start : start + self.size])


@dataclass(frozen=True)
class Hang:
    """Send nothing for so many seconds, or until the client or the server goes away."""

    seconds: float = LIMIT

    def __call__(self, connection: Connection) -> None:
        connection.pause(self.seconds)


@dataclass(frozen=True)
class Close:
    """Close in order (FIN). `last` shares a packet with the end: a client that has one has the other."""

    last: bytes = b""

    def __call__(self, connection: Connection) -> None:
        with leaving():
            if hasattr(socket, "TCP_CORK"):
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        connection.send(self.last)
        connection.sock.close()


@dataclass(frozen=True)
class Reset:
    """Tear the connection down (RST)."""

    def __call__(self, connection: Connection) -> None:
        with leaving():
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sock.close()


@dataclass(frozen=True)
class Endless:
    """Send `piece` again and again until the client goes away, or `limit` bytes are out; then close."""

    piece: bytes = b"x" * 65536
    limit: int = 64 * 1024 * 1024

    def __call__(self, connection: Connection) -> None:
        for _ in range(self.limit // len(self.piece)):
            connection.send(self.piece)
        connection.sock.close()


@dataclass(frozen=True)
class Call:
    """Call `function` at this moment, in the thread of the connection; what it raises fails the test."""

    function: Callable[[], object]

    def __call__(self, connection: Connection) -> None:
        self.function()
