"""The sandbox as a running server, in threads of this process."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from functools import partial
from typing import Self

from airflow_aitronos.sandbox.api import Request, Response, answer
from airflow_aitronos.sandbox.clock import Clock
from airflow_aitronos.sandbox.faults import FaultPlan
from airflow_aitronos.sandbox.http_server import HttpServer
from airflow_aitronos.sandbox.rate_limit import RateLimits
from airflow_aitronos.sandbox.recorder import KeyKind, RecordedRequest
from airflow_aitronos.sandbox.seed import seed
from airflow_aitronos.sandbox.store import Store

DEFAULT_HOST = "127.0.0.1"
DEFAULT_API_KEY = "sandbox-key"
DEFAULT_READ_ONLY_KEY = "sandbox-read-only-key"

# Seconds between two checks whether to stop.
_POLL = 0.02
# A sandbox that runs for days must not grow with every request.
_REQUESTS_KEPT = 10_000


class SandboxServer:
    """
    Serve a seeded sandbox inside a ``with`` block.

    After the block the port is closed; the state stays readable, and another block serves it again.

    :param host: IPv4 address or name to listen on
    :param port: port to listen on, 0 for a free one; then ``port`` is 0 before the first start
    :param api_key: the key that may do everything
    :param read_only_key: the key that may only read
    :param fleet: number of additional assistants with a workflow each, from ``asst_fleet00001``
    :param requests_per_minute: rate that is allowed, any unless given
    :param requests_per_day: quota that is allowed, any unless given
    :param send_retry_after: whether a 429 of these limits has the header ``Retry-After``
    :param clock: tells the time for limits, timestamps and the record, not for scripted delays
    :raises ValueError: if both keys are the same, or a limit is below 1
    """

    def __init__(
        self,
        *,
        host: str = DEFAULT_HOST,
        port: int = 0,
        api_key: str = DEFAULT_API_KEY,
        read_only_key: str = DEFAULT_READ_ONLY_KEY,
        fleet: int = 0,
        requests_per_minute: int | None = None,
        requests_per_day: int | None = None,
        send_retry_after: bool = True,
        clock: Clock = time,
    ) -> None:
        if api_key == read_only_key:
            raise ValueError("The two keys must differ.")
        self.host = host
        self.api_key = api_key
        self.read_only_key = read_only_key
        self.store = Store(clock)
        self.faults = FaultPlan()
        self.port = port
        self._fleet = fleet
        self._clock = clock
        self._new_limits = partial(
            RateLimits, requests_per_minute, requests_per_day, send_retry_after=send_retry_after, clock=clock
        )
        self._requests: deque[RecordedRequest] = deque(maxlen=_REQUESTS_KEPT)
        self.reset()

    def __enter__(self) -> Self:
        """
        Start to serve.

        :return: this server, ready to be called
        :raises OSError: if the address cannot be listened on
        """
        self.faults.is_stopped = False
        self._server = HttpServer(self, self.host, self.port)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL,), name="aitronos-sandbox", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_exc_info: object) -> None:
        """Stop to serve, and close the port and all connections."""
        self.faults.is_stopped = True
        self._server.stop()
        self._thread.join()

    @property
    def url(self) -> str:
        """Return the base URL, as it is reached from this machine."""
        return f"http://{'127.0.0.1' if self.host == '0.0.0.0' else self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Tell whether only this machine can reach the sandbox."""
        return self.host == "localhost" or self.host.startswith("127.")

    @property
    def requests(self) -> list[RecordedRequest]:
        """Return the requests so far, the last 10,000 at most, oldest first."""
        return list(self._requests)

    def connection_json(self) -> str:
        """Return the Airflow connection to this sandbox, as ``AIRFLOW_CONN_AITRONOS_DEFAULT`` takes it."""
        connection: dict[str, object] = {"conn_type": "aitronos", "host": self.url, "password": self.api_key}
        if not self.is_loopback:
            # The provider speaks plain HTTP to another machine only if allow_http says so.
            connection["extra"] = {"allow_http": True}
        return json.dumps(connection)

    def reset(self) -> None:
        """Go back to the seeded state: no requests, no faults to come, no requests counted by the limits."""
        with self.store.lock:
            self.faults.clear()
            self.store.clear()
            seed(self.store, self._fleet)
            self._limits = self._new_limits()
            self._requests.clear()

    # --- for the HTTP server ---

    def kind_of_key(self, key: str) -> KeyKind:
        """
        Tell which key this is.

        :param key: the key that was sent, empty for none
        """
        kinds: dict[str, KeyKind] = {"": "none", self.api_key: "api_key", self.read_only_key: "read_only_key"}
        return kinds.get(key, "wrong")

    def answer(self, request: Request) -> Response:
        """
        Carry out a request.

        :param request: the request
        """
        return answer(request, self.store, self._limits)

    def record(self, request: Request, status: int, fault: str) -> None:
        """
        Record a request.

        :param request: the request
        :param status: status of the response, 0 if the connection is reset instead
        :param fault: the scripted fault in words, empty for none
        """
        of_request = (request.method, request.path, request.query, status, request.key, fault)
        self._requests.append(RecordedRequest(*of_request, received_at=self._clock.monotonic()))
