"""One connection of the fault server, as the steps of a reply see it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

LIMIT = 60.0  # seconds after which the server gives up any single wait for a client


class Left(Exception):
    """The client or the server went away: a connection ends quietly."""


class Connection:
    """One accepted connection, as steps see it."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else small pieces melt into one
        self.sock, self.number, self.buffer = sock, number, b""

    def send(self, data: bytes) -> None:
        """Send every byte of `data`."""
        with leaving():
            self.sock.settimeout(LIMIT)
            self.sock.sendall(data)

    def receive(self, within: float = LIMIT) -> bool:
        """Add what arrives next to the buffer; tell whether it came within that many seconds."""
        with leaving():
            self.sock.settimeout(max(within, 0.001))  # zero would mean non-blocking
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                return False
        if not data:
            raise Left
        self.buffer += data
        return True

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than the client and the server stay."""
        while self.receive(seconds):
            pass

    def read_request(self) -> Request:
        """Read one request, and its body as far as Content-Length says."""
        while b"\r\n\r\n" not in self.buffer:
            self._receive_more()
        head = self.buffer.partition(b"\r\n\r\n")[0]
        line, *fields = head.decode("latin-1").split("\r\n")
        method, target = line.rsplit(" ", 1)[0].split(" ", 1)
        pairs = [(name, value.strip()) for name, _, value in (field.partition(":") for field in fields)]
        length = next((int(value) for name, value in pairs if name.lower() == "content-length"), 0)
        end = len(head) + 4 + length
        while len(self.buffer) < end:
            self._receive_more()
        raw, self.buffer = self.buffer[:end], self.buffer[end:]
        return Request(raw, method, target, pairs, raw[len(head) + 4 :], self.number)

    def _receive_more(self) -> None:
        if not self.receive():
            raise Left

    def play(self, steps: Steps) -> None:
        """Take the steps in order."""
        for step in [steps] if isinstance(steps, bytes) or callable(steps) else steps:
            if isinstance(step, bytes):
                self.send(step)
            else:
                step(self)


@contextmanager
def leaving() -> Iterator[None]:
    try:
        yield
    except OSError as error:  # only around socket calls, so that an OSError in a `Call` still surfaces
        raise Left from error


Step: TypeAlias = bytes | Callable[[Connection], object]
Steps: TypeAlias = Step | Sequence[Step]


@dataclass(frozen=True)
class Request:
    """A request as it was on the wire; `path` is the raw target, `connection` counts from 1."""

    raw: bytes
    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int

    def values(self, name: str) -> list[str]:
        """Return every value of a header, whatever its case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]
