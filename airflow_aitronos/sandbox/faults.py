"""Faults on request: the wrong answers and broken connections that a caller has to bear."""

from __future__ import annotations

import asyncio
import math
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_aitronos.sandbox.errors import ApiError, error_response

TRANSPORT = "aitronos.sandbox.transport"
"""Name of the ASGI extension that holds the connection of a request."""
NO_REPLY = "aitronos.sandbox.no_reply"
"""Type of the message that stands for a reply that never comes."""

FaultKind = Literal["status", "reset", "truncate", "delay"]

# Those that the vendor documents; another status has its own name for a code.
_CODES = {
    401: "INVALID_API_KEY",
    403: "INSUFFICIENT_PERMISSIONS",
    404: "RESOURCE_NOT_FOUND",
    422: "VALIDATION_ERROR",
    429: "RATE_LIMIT_EXCEEDED",
}
# What a truncated reply lacks, in bytes.
_MISSING = 64
# Seconds after which a delay sees that the server is about to stop.
_SLICE = 0.05


@dataclass(frozen=True)
class Fault:
    """
    Say what shall happen to which requests.

    :param kind: ``status`` answers with an error envelope, ``reset`` closes the connection with a TCP reset,
        ``truncate`` closes it in the middle of the body, ``delay`` only keeps the caller waiting
    :param status: HTTP status for ``status``
    :param code: code in the envelope, one that fits the status unless given
    :param retry_after: value of the ``Retry-After`` header, as it goes on the wire
    :param delay: seconds to wait before anything is answered
    :param method: HTTP method of the requests that are meant, any unless given
    :param path: regular expression that the whole path of the requests matches, any unless given
    :param times: number of requests
    :param after_commit: whether the request is carried out before its answer is spoilt
    """

    kind: FaultKind
    status: int = 500
    code: str | None = None
    retry_after: str | None = None
    delay: float = 0.0
    method: str | None = None
    path: str | None = None
    times: int = 1
    after_commit: bool = False

    def __post_init__(self) -> None:
        # Now, where it was scripted: later it would only be an error of the server's.
        if type(self.times) is not int or self.times < 1:
            raise ValueError(f"times is a whole number from 1; this is {self.times!r}")
        if not 0 <= self.delay < math.inf:
            raise ValueError(f"delay is in seconds, from 0; this is {self.delay!r}")
        if type(self.status) is not int or not 400 <= self.status <= 599:
            raise ValueError(f"status is from 400 to 599; this is {self.status!r}")
        if self.retry_after is not None and not re.fullmatch(r"[ -~]*", self.retry_after):
            raise ValueError(f"retry_after is printable ASCII; this is {self.retry_after!r}")
        try:
            re.compile(self.path or "")
        except re.error as error:
            raise ValueError(f"path is a regular expression; in {self.path!r}: {error}") from None

    def __str__(self) -> str:
        """Return it in words, for the record."""
        words = {"status": f"status {self.status}", "reset": "connection reset", "truncate": "truncated body"}
        parts = [words[self.kind]] if self.kind in words else []
        parts += [f"{self.delay:g} s late"] if self.delay else []
        parts += ["after it was carried out"] if self.after_commit else []
        return ", ".join(parts)

    def is_for(self, method: str, path: str) -> bool:
        """
        Tell whether a request is meant.

        :param method: HTTP method
        :param path: path as it came
        """
        if self.method is not None and self.method.upper() != method:
            return False
        return self.path is None or re.fullmatch(self.path, path) is not None


class FaultPlan:
    """Hold the faults that are still to come; for each request the first that is meant for it."""

    def __init__(self) -> None:
        self.is_stopped = False
        """Whether the server is about to stop, so that nobody waits for an answer any more."""
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """
        Put a fault behind the others.

        :param fault: what shall happen
        """
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._faults.clear()

    @property
    def pending(self) -> list[Fault]:
        """Return the faults that are still to come, each with the ``times`` that are left."""
        with self._lock:
            return list(self._faults)

    def take(self, method: str, path: str) -> Fault | None:
        """
        Use up one fault for a request.

        :param method: HTTP method
        :param path: path as it came
        :return: the fault, None if none is meant for this request
        """
        with self._lock:
            for number, fault in enumerate(self._faults):
                if fault.is_for(method, path):
                    left = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                    self._faults[number : number + 1] = left
                    return fault
        return None


class FaultInjector:
    """
    Stand before the application and spoil what the plan says.

    :param app: the application behind it
    :param plan: the faults to come
    """

    def __init__(self, app: ASGIApp, *, plan: FaultPlan) -> None:
        self._app = app
        self._plan = plan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Serve one request.

        :param scope: what is asked, as ASGI has it
        :param receive: gives the body
        :param send: takes the reply
        """
        fault = None
        if scope["type"] == "http":
            fault = self._plan.take(scope["method"], scope["raw_path"].decode("latin-1"))
        if fault is None:
            await self._app(scope, receive, send)
            return
        scope["state"]["fault"] = str(fault)
        reply: list[Message] = []
        if fault.after_commit:
            reply = await self._carry_out(scope, receive)
        await self._wait(fault.delay)
        if fault.kind == "reset" or self._plan.is_stopped:
            await send({"type": NO_REPLY})
            _reset(scope["extensions"][TRANSPORT])
            await _gone(receive)
        elif fault.kind == "status":
            await _refuse(fault, scope, receive, send)
        elif fault.kind == "truncate":
            await _truncate(reply, send)
            scope["extensions"][TRANSPORT].close()
            await _gone(receive)
        elif reply:
            for message in reply:
                await send(message)
        else:
            await self._app(scope, receive, send)

    async def _wait(self, seconds: float) -> None:
        """Wait, but no longer than the server: it would end this with an error in the log."""
        until = time.monotonic() + seconds
        while not self._plan.is_stopped and (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, _SLICE))

    async def _carry_out(self, scope: Scope, receive: Receive) -> list[Message]:
        """Let the application answer, and keep the answer back."""
        reply: list[Message] = []

        async def keep(message: Message) -> None:
            reply.append(message)

        await self._app(scope, receive, keep)
        return reply


async def _refuse(fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
    error = ApiError(
        fault.status,
        fault.code or _code(fault.status),
        "The sandbox was told to answer this.",
        "Scripted fault",
    )
    response = error_response(error, scope["state"]["request_id"])
    if fault.retry_after is not None:
        response.headers["Retry-After"] = fault.retry_after
    await response(scope, receive, send)


def _code(status: int) -> str:
    try:
        return _CODES.get(status) or HTTPStatus(status).name
    except ValueError:  # such as a gateway's 520
        return f"HTTP_{status}"


async def _truncate(reply: list[Message], send: Send) -> None:
    """Send the beginning of a reply, the real one if there is one, and promise more."""
    status = reply[0]["status"] if reply else 200
    body = b"".join(message.get("body", b"") for message in reply[1:]) or b'{"message": "Operation'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % (len(body) + _MISSING))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _reset(transport: asyncio.Transport) -> None:
    # The caller may have given up while it was kept waiting.
    if transport.is_closing():
        return
    # Without lingering the kernel answers with RST instead of an orderly end.
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _gone(receive: Receive) -> None:
    """Wait until the server has noticed that the connection is gone; it would report a missing reply else."""
    while (await receive())["type"] != "http.disconnect":
        pass
