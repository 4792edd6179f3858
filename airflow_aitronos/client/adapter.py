"""
A ``requests`` adapter whose connections know the call's deadline.

A read timeout starts anew with every byte, so a server that drips its status line, its headers or its body
holds a plain ``requests`` call for as long as it likes. Here every read of a reply, that of a proxy to
``CONNECT`` included, asks the deadline how long it may take. That needs no thread and no timer. Connecting
shares the deadline among all addresses of a name; a TLS handshake is bounded by the connect timeout.

The connections count what they read, too, so that a reply without an end is given up however it is framed,
and they know whether a request has left: what fails before that was surely not carried out.

Name resolution cannot be interrupted and is not covered; neither are SOCKS proxies, which bring connection
pools of their own.
"""

from __future__ import annotations

import http.client
import io
import math
import socket
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from airflow_aitronos.client.exchange import current_exchange

_MOMENT = 0.001
"""Seconds: the shortest timeout, since a socket takes zero for "do not block"."""


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

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        exchange = current_exchange.get()
        if exchange is None:
            return self._raw.readinto(buffer)
        remaining = exchange.deadline.remaining()
        if remaining <= 0:
            raise TimeoutError("the call's deadline has passed")
        self._socket.settimeout(min(remaining, self._read_timeout))
        count = self._raw.readinto(buffer)
        exchange.read(count or 0)
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
        self._socket = sock

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002  # always "rb"
        return io.BufferedReader(_DeadlineReader(self._socket))


class _DeadlineResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(_DeadlineSocket(sock), *args, **kwargs)  # type: ignore[arg-type]  # all that it uses


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
        if exchange is not None and not self._is_connecting:
            if self.sock is None:
                self.connect()
            exchange.begin()
        super().send(data)

    def _new_conn(self) -> socket.socket:
        """Connect to the first address that answers, all of them together bounded by the deadline."""
        exchange = current_exchange.get()
        if exchange is None:
            return super()._new_conn()
        exchange.connect()
        # urllib3 gives each address of a name the whole connect timeout; a name may have many.
        name, timeout = self._dns_host, self.timeout
        try:
            found = socket.getaddrinfo(name.strip("[]"), self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NewConnectionError(self, "the host name did not resolve") from error
        try:
            for *_, address in found:
                self.host = str(address[0])
                self.timeout = max(_MOMENT, min(timeout or math.inf, exchange.deadline.remaining()))
                try:
                    return super()._new_conn()
                except ConnectTimeoutError as error:  # a refused connection is one of these too
                    failed = error
            raise failed
        finally:
            self.host, self.timeout = name, timeout


class _HTTPSConnection(_HTTPConnection, HTTPSConnection):
    pass


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
