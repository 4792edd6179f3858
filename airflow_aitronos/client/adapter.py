"""
A ``requests`` adapter whose connections know the call's deadline.

A read timeout starts anew with every byte, so a server that drips its status line, its headers or its body
holds a plain ``requests`` call for as long as it likes. Here every read of a reply, that of a proxy to
``CONNECT`` included, asks the deadline how long it may take, and so does every piece of a request that is
sent. That needs no thread and no timer. Connecting shares the deadline among all addresses of a name, and
each TLS handshake, with a proxy or through one, gets what is left of it when it begins.

The connections count what they read, too, so that a reply without an end is given up however it is framed,
and they know whether a request has left: what fails before that was surely not carried out. Headers that
break off, or that cannot be read, make no reply: ``http.client`` takes what it has for all there is.

Name resolution cannot be interrupted and is not covered; neither are SOCKS proxies, which bring connection
pools of their own.
"""

from __future__ import annotations

import http.client
import io
import math
import re
import socket
from collections.abc import Iterator
from email.errors import MissingHeaderBodySeparatorDefect
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from airflow_aitronos.client.exchange import Exchange, current_exchange
from airflow_aitronos.client.reply import needs_body

_PIECE = 64 * 1024
"""Bytes sent at a time: a socket's timeout is for all that it is given at once."""

_LENGTHS = re.compile(r"([0-9]{1,15})(?:\s*,\s*\1)+")


class _DeadlineReader(io.RawIOBase):
    """
    Read from a socket until the deadline.

    :param sock: a connected socket whose timeout is the read timeout of this reply.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._socket = sock
        self._read_timeout = sock.gettimeout() or math.inf
        self._raw = sock.makefile("rb", buffering=0)
        self.has_ended = False
        """Whether the server has closed its side."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        exchange = current_exchange.get()
        if exchange is not None:
            _check_deadline(exchange)
            self._socket.settimeout(exchange.timeout(self._read_timeout))
        count = self._raw.readinto(buffer)
        if exchange is not None:
            exchange.read(count or 0)
        self.has_ended = count == 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _DeadlineSocket:
    """
    The one thing that ``http.client.HTTPResponse`` asks of a socket: a file to read from.

    :param sock: a connected socket.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.reader = _DeadlineReader(sock)

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002  # always "rb"
        return io.BufferedReader(self.reader)


class _DeadlineResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        source = _DeadlineSocket(sock)
        self._reader = source.reader
        super().__init__(source, *args, **kwargs)  # type: ignore[arg-type]  # all that it uses

    def begin(self) -> None:
        """Read the headers; of some replies the status alone is enough."""
        super().begin()
        if (exchange := current_exchange.get()) is not None:
            exchange.status = self.status
        if self._reader.has_ended and needs_body(self.status):
            raise http.client.RemoteDisconnected("closed within the headers")
        self._read_repeated_length()
        # No cookie is wanted, and the parser of cookies logs what it cannot read as it came.
        for name in ("Set-Cookie", "Set-Cookie2"):
            del self.msg[name]
        is_cut = any(isinstance(one, MissingHeaderBodySeparatorDefect) for one in self.msg.defects)
        # A line without a colon: it and all that follow were not read. urllib3 would log them as they came.
        self.msg.defects.clear()
        self.msg.set_payload("")
        self.will_close = self.will_close or is_cut
        if is_cut and self.length is None and not self.chunked:
            # Where the body ends stood there, if anywhere.
            if needs_body(self.status):
                raise http.client.HTTPException("a line of the headers has no colon")
            self.length = 0

    def _read_repeated_length(self) -> None:
        """Take "5, 5" for 5, as urllib3 does; http.client would wait for the end of the connection."""
        repeated = _LENGTHS.fullmatch(self.msg.get("Content-Length", "").strip())
        if repeated and self.length is None and not self.chunked:
            self.length = int(repeated[1])


class _ProxySocket:
    """
    A TLS connection to a proxy, for the TLS that goes through it: each read asks the deadline.

    :param sock: the connection.
    """

    def __init__(self, sock: Any) -> None:
        self._socket = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def recv(self, size: int) -> Any:
        """
        Read what there is, which may be less than the TLS inside needs: its reads are many.

        :param size: bytes at most.
        """
        exchange = current_exchange.get()
        if exchange is not None:
            _check_deadline(exchange)
            self._socket.settimeout(exchange.timeout(self._socket.gettimeout() or math.inf))
        return self._socket.recv(size)


class _HTTPConnection(HTTPConnection):
    response_class = _DeadlineResponse
    _is_connecting = False

    def connect(self) -> None:
        self._is_connecting = True
        try:
            super().connect()
        finally:
            self._is_connecting = False

    def send(self, data: Any) -> None:
        """Send a part of the request; what is sent while connecting is for a proxy alone."""
        exchange = current_exchange.get()
        if exchange is None or self._is_connecting:
            super().send(data)
            return
        if self.sock is None:
            self.connect()
        exchange.begin()
        # Until now the connect timeout counts, which is no measure of how long an upload may take.
        for piece in _pieces(data):
            _check_deadline(exchange)
            self.sock.settimeout(exchange.timeout(exchange.read_timeout))
            super().send(piece)

    def _new_conn(self) -> socket.socket:
        """Connect to the first address that answers, all of them together bounded by the deadline."""
        exchange = current_exchange.get()
        if exchange is None:
            return super()._new_conn()
        exchange.connect(to_proxy=self.proxy is not None)
        # urllib3 gives each address of a name the whole connect timeout; a name may have many.
        name, timeout = self._dns_host, self.timeout
        longest = timeout or math.inf
        try:
            found = socket.getaddrinfo(name.strip("[]"), self.port, type=socket.SOCK_STREAM)
            if not found:
                raise socket.gaierror("no address")
        except (OSError, UnicodeError) as error:
            raise NewConnectionError(self, "the host name did not resolve") from error
        try:
            for *_, address in found:
                self.host = str(address[0])
                self.timeout = exchange.timeout(longest)
                try:
                    sock = super()._new_conn()
                except ConnectTimeoutError as error:  # a refused connection is one of these too
                    failed = error
                else:
                    # The handshake comes next, and what connecting took is gone.
                    sock.settimeout(exchange.timeout(longest))
                    return sock
            raise failed
        finally:
            self.host, self.timeout = name, timeout

    def _tunnel(self) -> None:
        """Ask a proxy to let the connection through; the handshake that follows gets what is left."""
        super()._tunnel()
        exchange = current_exchange.get()
        if exchange is not None:
            exchange.is_at_proxy = False
            _check_deadline(exchange)
            self.sock.settimeout(exchange.timeout(self.timeout or math.inf))


class _HTTPSConnection(_HTTPConnection, HTTPSConnection):
    def _connect_tls_proxy(self, hostname: str, sock: socket.socket) -> Any:
        return _ProxySocket(super()._connect_tls_proxy(hostname, sock))


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class DeadlineAdapter(HTTPAdapter):
    """Carry requests over connections that know the deadline. It repeats nothing by itself."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        _teach_deadlines(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> PoolManager:
        """
        Return the pool of connections through a proxy.

        :param proxy: URL of the proxy.
        """
        manager: PoolManager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            _teach_deadlines(manager)
        return manager

    def close(self) -> None:
        """Close all connections now; urllib3 alone leaves that to the garbage collector."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118  # the container refuses to be iterated
                if (pool := manager.pools.get(key)) is not None:
                    pool.close()
        super().close()


def _teach_deadlines(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}


def _check_deadline(exchange: Exchange) -> None:
    """Raise what a socket raises when its time is up, if that of the call is."""
    if exchange.deadline.remaining() <= 0:
        raise TimeoutError("the call's deadline has passed")


def _pieces(data: Any) -> Iterator[Any]:
    if not isinstance(data, bytes):
        yield data
        return
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]
