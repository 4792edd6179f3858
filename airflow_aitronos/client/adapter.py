"""
A ``requests`` adapter whose reads end at the call's deadline.

A read timeout starts anew with every byte, so a server that drips its status line, its headers or its body
holds a plain ``requests`` call for as long as it likes. Here every read from the socket asks the deadline
how long it may take. That needs no thread and no timer, and covers headers, chunk sizes and body, TLS and
``CONNECT`` replies alike. Connecting shares the deadline among all addresses of a name.

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
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError

from airflow_aitronos.client.clock import current_deadline

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
        self._read_timeout = sock.gettimeout()
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if (deadline := current_deadline.get()) is not None:
            remaining = deadline.remaining()
            if remaining <= 0:
                raise TimeoutError("the call's deadline has passed")
            timeout = remaining if self._read_timeout is None else min(remaining, self._read_timeout)
            self._socket.settimeout(timeout)
        return self._raw.readinto(buffer)

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

    def _new_conn(self) -> socket.socket:
        """Connect to the first address that answers, all of them together bounded by the deadline."""
        deadline = current_deadline.get()
        if deadline is None:
            return super()._new_conn()
        # urllib3 gives each address of a name the whole connect timeout; a name may have many.
        name, timeout = self.host, self.timeout
        try:
            found = socket.getaddrinfo(name.strip("[]"), self.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(name, self, error) from error
        try:
            for *_, address in found:
                self.host = str(address[0])
                self.timeout = max(_MOMENT, min(timeout or math.inf, deadline.remaining()))
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


def _teach_deadlines(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
