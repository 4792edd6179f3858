"""A scripted HTTP server on loopback that does what a well-behaved server never does.

A *reply* is one step or a list of steps, and answers one request. A step is the bytes to send (`replies.py`
builds them), or something to call with the `Connection`: one of `faults.py`, or a function of your own.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeAlias

from tests.support.connection import LIMIT, Connection, Left, Request, Steps, leaving
from tests.support.replies import http

JOIN_LIMIT = 10.0  # seconds that a thread may take to end when the server closes


@dataclass(frozen=True)
class Unread:
    """A reply played at the first bytes of a request, which is neither read nor recorded.

    On a server without `tls` the first bytes may be a TLS handshake. The connection ends after the steps.
    """

    steps: Steps


Reply: TypeAlias = Steps | Unread


@dataclass
class FaultServer:
    """Answer one request after the other, over all connections, with the next reply.

    :param replies: any iterable, `itertools.repeat(http(429))` too; beyond it every request gets a 500.
    :param tls: makes it an https server.
    :param address: to listen on.
    """

    replies: Iterable[Reply] = ()
    tls: ssl.SSLContext | None = None
    address: str = "127.0.0.1"
    requests: list[Request] = field(default_factory=list, init=False)
    connections: int = field(default=0, init=False)  # exact once the server is closed
    port: int = field(default=0, init=False)

    @property
    def url(self) -> str:
        """Base URL without a slash at the end."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    def __enter__(self) -> FaultServer:
        self._script, self._lock = iter(self.replies), threading.Lock()
        self._errors: list[BaseException] = []
        self._open: list[Connection] = []
        self._threads: list[threading.Thread] = []
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._listener = socket.create_server((self.address, 0), family=family, backlog=128)
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
                with leaving():
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
