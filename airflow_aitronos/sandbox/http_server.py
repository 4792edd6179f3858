"""HTTP: read a request, apply its scripted fault, record it, send the response."""

from __future__ import annotations

import json
import logging
import secrets
import socket
import struct
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from airflow_aitronos.sandbox.api import Request, Response, error_response
from airflow_aitronos.sandbox.faults import Fault

if TYPE_CHECKING:
    from airflow_aitronos.sandbox.server import SandboxServer

RESET_PATH = "/_sandbox/reset"
"""A POST here resets the sandbox; not a call of the API, so it needs no key and is not recorded."""

# What a truncated body lacks, in bytes.
_MISSING = 64
# A delay of 0 seconds.
_NO_FAULT = Fault("delay")
_log = logging.getLogger(__name__)


class HttpServer(ThreadingTCPServer):
    """
    Serve HTTP with one thread per connection.

    :param sandbox: what is served
    :param host: address to listen on
    :param port: port to listen on, 0 for a free one
    """

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, sandbox: SandboxServer, host: str, port: int) -> None:
        self.sandbox = sandbox
        self._connections: WeakSet[socket.socket] = WeakSet()
        super().__init__((host, port), RequestHandler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """
        Start the thread of a connection.

        :param request: the connection
        :param client_address: the other end of it
        """
        self._connections.add(request)
        super().process_request(request, client_address)

    def stop(self) -> None:
        """Close the port and all connections, and wait for their threads."""
        self.shutdown()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class RequestHandler(BaseHTTPRequestHandler):
    """Serve the requests of one connection."""

    server: HttpServer
    protocol_version = "HTTP/1.1"
    # Headers and body leave together, at once.
    wbufsize = -1
    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Serve until the connection ends; a caller that has gone away is not an error."""
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        """
        Log to where the process logs, at a level that only the program ``__main__`` shows.

        :param format: the message
        :param args: its arguments
        """
        _log.debug(format, *args)

    def _serve(self) -> None:
        self._started = time.perf_counter()
        sandbox = self.server.sandbox
        request = self._read()
        if (request.method, request.path) == ("POST", RESET_PATH):
            sandbox.reset()
            self._send(request, Response(204))
            return
        fault = sandbox.faults.take(request.method, request.path) or _NO_FAULT
        response = sandbox.answer(request) if fault.after_commit else None
        sandbox.faults.wait(fault.delay)
        if fault.kind == "reset" or sandbox.faults.is_stopped:
            sandbox.record(request, 0, str(fault))
            self._reset()
        elif fault.kind == "truncate":
            self._send_recorded(request, response or Response(200, {}), str(fault), missing=_MISSING)
            self.close_connection = True
        elif fault.kind == "status":
            self._send_recorded(request, error_response(request, fault.error()), str(fault))
        else:
            self._send_recorded(request, response or sandbox.answer(request), str(fault))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _read(self) -> Request:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        kind = self.server.sandbox.kind_of_key(self.headers.get("x-api-key", ""))
        return Request(f"req_{secrets.token_hex(8)}", self.command, path, query, body, kind)

    def _send_recorded(self, request: Request, response: Response, fault: str = "", missing: int = 0) -> None:
        # Recorded first, so that a caller who has the response finds its request in the record.
        self.server.sandbox.record(request, response.status, fault)
        self._send(request, response, missing)

    def _send(self, request: Request, response: Response, missing: int = 0) -> None:
        """Send a response; ``missing`` bytes are promised and not sent."""
        headers = {
            "date": self.date_time_string(),
            "x-request-id": request.id,
            "freddy-processing-ms": str(int((time.perf_counter() - self._started) * 1000)),
            "freddy-api-version": "v1",
            **response.headers,
        }
        body = b""
        if response.body is not None:
            body = json.dumps(response.body, separators=(",", ":"), ensure_ascii=False).encode()
            headers["content-type"] = "application/json"
            headers["content-length"] = str(len(body) + missing)
        self.log_request(response.status)
        self.send_response_only(response.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        # With a linger time of 0 the kernel sends RST, not FIN, once all owners of the socket have closed it.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for owner in (self.rfile, self.wfile, self.connection):
            owner.close()
        raise ConnectionAbortedError
