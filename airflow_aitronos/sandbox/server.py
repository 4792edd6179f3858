"""The sandbox as a running server, in a thread of this process."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import threading
from collections import deque
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from airflow_aitronos.sandbox.app import create_app
from airflow_aitronos.sandbox.faults import TRANSPORT, FaultPlan
from airflow_aitronos.sandbox.recorder import RecordedRequest
from airflow_aitronos.sandbox.seed import ORGANIZATION_ID, seed
from airflow_aitronos.sandbox.store import Store

DEFAULT_HOST = "127.0.0.1"
DEFAULT_API_KEY = "sandbox-key"
DEFAULT_READ_ONLY_KEY = "sandbox-read-only-key"

# Seconds that calls still running get to end, and that starting and stopping may take in all.
_GRACE = 2
_BOUND = 15
# A sandbox that runs for days must not grow with every request.
_REQUESTS_KEPT = 10_000


class SandboxServer:
    """
    Serve a seeded sandbox inside a ``with`` block.

    Installs no signal handlers and leaves the logging of the process alone. After the block the port is
    closed; the state stays readable, and another block serves it again.

    :param host: address to listen on
    :param port: port to listen on, 0 for a free one
    :param api_key: the key that may do everything
    :param read_only_key: the key that may only read
    :raises ValueError: when both keys are the same
    """

    def __init__(
        self,
        *,
        host: str = DEFAULT_HOST,
        port: int = 0,
        api_key: str = DEFAULT_API_KEY,
        read_only_key: str = DEFAULT_READ_ONLY_KEY,
    ) -> None:
        self.host = host
        self.api_key = api_key
        self.read_only_key = read_only_key
        self.store = Store(ORGANIZATION_ID)
        seed(self.store)
        self.faults = FaultPlan()
        self._requests: deque[RecordedRequest] = deque(maxlen=_REQUESTS_KEPT)
        self._app = create_app(
            self.store,
            api_key=api_key,
            read_only_key=read_only_key,
            record=self._requests.append,
            faults=self.faults,
        )
        self._wanted_port = port
        self._port: int | None = None

    def __enter__(self) -> Self:
        """
        Start to serve.

        :return: this server, ready to be called
        :raises OSError: when the address cannot be listened on
        :raises RuntimeError: when the server does not start
        """
        self.faults.is_stopped = False
        self._socket = _listen(self.host, self._wanted_port)
        self._port = self._socket.getsockname()[1]
        self._server = _ThreadServer(self._app)
        self._thread = threading.Thread(
            target=self._server.serve_on, args=(self._socket,), name="aitronos-sandbox", daemon=True
        )
        self._thread.start()
        if not self._server.wait_until_started(_BOUND):
            self._stop()
            raise RuntimeError("The sandbox did not start; its thread has reported why.")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """
        Stop to serve and close the port.

        :param exc_type: class of the exception that ends the block
        :param exc: the exception that ends the block
        :param traceback: where it was raised
        :raises RuntimeError: when the server does not stop
        """
        self._stop()

    @property
    def port(self) -> int:
        """
        Return the port that is listened on.

        :raises RuntimeError: before the first start
        """
        if self._port is None:
            raise RuntimeError("The sandbox was not started yet.")
        return self._port

    @property
    def url(self) -> str:
        """
        Return the base URL, as it is reached from this machine.

        :raises RuntimeError: before the first start
        """
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Tell whether only this machine can reach the sandbox."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def requests(self) -> list[RecordedRequest]:
        """Return the requests so far, the last 10,000 at most, oldest first."""
        return list(self._requests)

    def connection_json(self) -> str:
        """
        Return the Airflow connection to this sandbox, as ``AIRFLOW_CONN_AITRONOS_DEFAULT`` takes it.

        :raises RuntimeError: before the first start
        """
        connection: dict[str, object] = {"conn_type": "aitronos", "host": self.url, "password": self.api_key}
        if not self.is_loopback:
            # The provider speaks plain HTTP to another machine only when told so.
            connection["extra"] = {"allow_http": True}
        return json.dumps(connection)

    def reset(self) -> None:
        """Put the seeded state back, and forget the requests and the faults to come."""
        self.faults.clear()
        self.store.clear()
        seed(self.store)
        self._requests.clear()

    def _stop(self) -> None:
        self.faults.is_stopped = True
        self._server.should_exit = True
        self._thread.join(_BOUND)
        self._socket.close()
        if self._thread.is_alive():
            raise RuntimeError(f"The sandbox did not stop within {_BOUND} seconds.")


class _OpenProtocol(H11Protocol):
    """Hand the connection itself to the application, which may have to break it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        app = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[TRANSPORT] = transport
            await app(scope, receive, send)

        self.app = with_transport


class _ThreadServer(uvicorn.Server):
    def __init__(self, app: object) -> None:
        config = uvicorn.Config(
            app,  # type: ignore[arg-type]  # uvicorn spells ASGI types its own way
            http=_OpenProtocol,
            lifespan="off",
            ws="none",
            # The handlers and levels of logging belong to the process, not to its sandbox.
            log_config=None,
            timeout_graceful_shutdown=_GRACE,
        )
        super().__init__(config)
        self._settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._settled.set()

    def serve_on(self, listener: socket.socket) -> None:
        try:
            self.run(sockets=[listener])
        finally:
            self._settled.set()

    def wait_until_started(self, timeout: float) -> bool:
        return self._settled.wait(timeout) and self.started


def _listen(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.create_server(address[:2], family=family)
    # Handed on to every connection. asyncio sets it only where the socket names its protocol, which this one
    # does not, and without it each reply to a kept connection waits 40 milliseconds for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
