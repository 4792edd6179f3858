"""What every request gets: an id, the kind of its key, reply headers, and a line in the record."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_aitronos.sandbox.auth import KEY_HEADER, KeyKind, Keyring
from airflow_aitronos.sandbox.faults import NO_REPLY

_KEY_HEADER = KEY_HEADER.lower().encode()


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """
    Say what was asked and how it was answered.

    :param method: HTTP method
    :param path: path as it came, still percent-encoded
    :param query: query string as it came, empty without one
    :param status_code: status of the reply, 0 when the connection was reset instead
    :param key: which key it had, never the key itself
    :param fault: what was made to go wrong, in words; empty for nothing
    """

    method: str
    path: str
    query: str
    status_code: int
    key: KeyKind
    fault: str = ""


class Recorder:
    """
    Stand before the application and see every request and reply.

    Plain ASGI: the framework's base class for middleware costs a task per request.

    :param app: the application behind it
    :param keyring: tells the keys apart
    :param record: takes each request, before its reply is sent
    """

    def __init__(self, app: ASGIApp, *, keyring: Keyring, record: Callable[[RecordedRequest], None]) -> None:
        self._app = app
        self._keyring = keyring
        self._record = record

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Serve one request.

        :param scope: what is asked, as ASGI has it
        :param receive: gives the body
        :param send: takes the reply
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = f"req_{secrets.token_hex(8)}"
        kind = self._keyring.kind(dict(scope["headers"]).get(_KEY_HEADER))
        scope.setdefault("state", {}).update(request_id=request_id, key=kind)

        async def send_recorded(message: Message) -> None:
            if message["type"] == NO_REPLY:
                self._record(_recorded(scope, 0, kind))
                return
            if message["type"] == "http.response.start":
                # Before the reply leaves, so that a caller who has it also finds it in the record.
                self._record(_recorded(scope, message["status"], kind))
                message["headers"] = [*message["headers"], *_reply_headers(request_id, started)]
            await send(message)

        await self._app(scope, receive, send_recorded)


def _recorded(scope: Scope, status_code: int, kind: KeyKind) -> RecordedRequest:
    return RecordedRequest(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        status_code=status_code,
        key=kind,
        fault=scope["state"].get("fault", ""),
    )


def _reply_headers(request_id: str, started: float) -> list[tuple[bytes, bytes]]:
    milliseconds = int((time.perf_counter() - started) * 1000)
    return [
        (b"x-request-id", request_id.encode()),
        (b"freddy-processing-ms", str(milliseconds).encode()),
        (b"freddy-api-version", b"v1"),
    ]
