"""A scripted HTTP server on loopback that does what a well-behaved server never does.

A *reply* is one step or a list of steps, and answers one request. A step is the bytes to send, or something
to call with the `Connection`: `Drip`, `Hang`, `Close`, `Reset`, `Endless`, `Call`, a function of your own.
"""

from __future__ import annotations

import datetime
import json
import select
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import responses
from types import TracebackType
from typing import Any, TypeAlias

import trustme

LIMIT = 60.0  # seconds after which the server gives up any single wait for a client
JOIN_LIMIT = 10.0  # seconds that a thread may take to end when the server closes
CHUNKED, GZIP = ("Transfer-Encoding", "chunked"), ("Content-Encoding", "gzip")
BROKEN_GZIP = b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + b"\xff" * 32


class Left(Exception):
    """The client or the server went away: a connection ends quietly."""


class Connection:
    """One accepted connection, as steps see it."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else small pieces melt into one
        self.sock, self.number, self.buffer = sock, number, b""

    def send(self, data: bytes) -> None:
        """Send every byte of `data`."""
        with _leaving():
            self.sock.settimeout(LIMIT)
            self.sock.sendall(data)

    def receive(self, within: float = LIMIT) -> bool:
        """Add what arrives next to the buffer; tell whether it came within that many seconds."""
        with _leaving():
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
def _leaving() -> Iterator[None]:
    try:
        yield
    except OSError as error:  # only around socket calls, so that an OSError in a `Call` still surfaces
        raise Left from error


Step: TypeAlias = bytes | Callable[[Connection], object]
Steps: TypeAlias = Step | Sequence[Step]
Body: TypeAlias = bytes | str | dict[str, Any] | list[Any] | None
Pairs: TypeAlias = Iterable[tuple[str, str]]


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


@dataclass(frozen=True)
class Unread:
    """A reply played at the first bytes of a request, which is neither read nor recorded.

    On a server without `tls` the first bytes may be a TLS handshake. The connection ends after the steps.
    """

    steps: Steps


Reply: TypeAlias = Steps | Unread


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
        with _leaving():
            if hasattr(socket, "TCP_CORK"):
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        connection.send(self.last)
        connection.sock.close()


@dataclass(frozen=True)
class Reset:
    """Tear the connection down (RST)."""

    def __call__(self, connection: Connection) -> None:
        with _leaving():
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


def http(
    status: int, body: Body = b"", headers: Pairs = (), *, reason: str | None = None, keep_alive: bool = True
) -> bytes:
    """Build a correct response, to send, cut or join as a test needs.

    :param status: any number; known ones bring their reason phrase.
    :param body: a dict or a list is sent as JSON; None gives a head without Content-Length.
    :param headers: sent as they are (UTF-8); a length or Transfer-Encoding among them replaces ours.
    :param reason: reason phrase.
    :param keep_alive: False announces `Connection: close`; `Close(http(...))` does it.
    """
    pairs = list(headers)
    if isinstance(body, dict | list):
        body, pairs = json.dumps(body), [("Content-Type", "application/json"), *pairs]
    content = body.encode() if isinstance(body, str) else body
    framed = {name.lower() for name, _ in pairs} & {"content-length", "transfer-encoding"}
    if content is not None and not framed:
        pairs.append(("Content-Length", str(len(content))))
    if not keep_alive:
        pairs.append(("Connection", "close"))
    phrase = responses.get(status, "Unknown") if reason is None else reason
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in pairs), "", ""]
    return "\r\n".join(lines).encode() + (content or b"")


def chunked(pieces: Iterable[bytes], terminator: bytes = b"0\r\n\r\n") -> bytes:
    """Build a chunked body, for `http(200, chunked(...), [CHUNKED])`; another terminator breaks it."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + terminator


def gzip_bomb(decoded_bytes: int) -> bytes:
    """Build a gzip body of zeros about a thousandth of the size it decodes to, without holding them all."""
    packer, piece = zlib.compressobj(9, wbits=31), bytes(65536)
    parts = [packer.compress(piece) for _ in range(decoded_bytes // len(piece))]
    return b"".join([*parts, packer.compress(bytes(decoded_bytes % len(piece))), packer.flush()])


def tls_context(ca: trustme.CA, hostname: str = "127.0.0.1", *, expired: bool = False) -> ssl.SSLContext:
    """Make the server side of TLS, with a certificate for `hostname` that may be out of date."""
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(hostname, not_after=yesterday if expired else None).configure_cert(context)
    return context


def closed_port() -> int:
    """Return a loopback port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def blackhole() -> Iterator[int]:
    """Give a port where connecting times out: its backlog is full, and Linux drops further SYNs."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = int(listener.getsockname()[1])
        with socket.create_connection(("127.0.0.1", port)):
            yield port


@dataclass
class FaultServer:
    """Answer one request after the other, over all connections, with the next reply.

    :param replies: any iterable, `itertools.repeat(http(429))` too; beyond it every request gets a 500.
    :param tls: makes it an https server.
    """

    replies: Iterable[Reply] = ()
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list, init=False)
    connections: int = field(default=0, init=False)  # exact once the server is closed
    port: int = field(default=0, init=False)

    @property
    def url(self) -> str:
        """Base URL without a slash at the end."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> FaultServer:
        self._script, self._lock = iter(self.replies), threading.Lock()
        self._errors: list[BaseException] = []
        self._open: list[Connection] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._bell, self._bell_rope = socket.socketpair()
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bell_rope.close()
        self._threads[0].join(JOIN_LIMIT)  # from here on no connection is added
        for connection in self._open:
            with suppress(OSError):  # SSLSocket.shutdown would pull the TLS object from under its thread
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(JOIN_LIMIT)
            if thread.is_alive():
                self._errors.append(TimeoutError(f"{thread.name} did not end"))
        self._listener.close()
        self._bell.close()
        for failure in self._errors:
            if error is None:
                raise failure
            error.add_note(f"in the fault server: {failure!r}")

    def _start(self, work: Callable[..., None], *args: Connection) -> None:
        def guarded() -> None:
            try:
                with suppress(Left):
                    work(*args)
            except BaseException as error:
                self._errors.append(error)

        thread = threading.Thread(target=guarded, daemon=True, name=f"fault-server-{len(self._threads)}")
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        # The listener comes first: whoever connected before the bell rang is still counted.
        while self._listener in select.select([self._listener, self._bell], [], [])[0]:
            sock, _ = self._listener.accept()
            self.connections += 1
            with suppress(OSError):  # a client may leave so early that wrapping its socket fails
                if self.tls:
                    sock = self.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                self._open.append(Connection(sock, self.connections))
                self._start(self._serve, self._open[-1])

    def _serve(self, connection: Connection) -> None:
        with closing(connection.sock):
            if isinstance(connection.sock, ssl.SSLSocket):
                connection.sock.settimeout(LIMIT)
                with _leaving():
                    connection.sock.do_handshake()
            while connection.buffer or connection.receive():
                with self._lock:
                    reply = next(self._script, UNSCRIPTED)
                if isinstance(reply, Unread):
                    return connection.play(reply.steps)
                request = connection.read_request()
                with self._lock:
                    self.requests.append(request)
                connection.play(reply)


UNSCRIPTED = http(500, "unscripted request")
