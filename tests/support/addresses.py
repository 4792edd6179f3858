"""Where a client may end up: a port nobody listens on, one that never answers, a certificate of any kind."""

from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import trustme


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
