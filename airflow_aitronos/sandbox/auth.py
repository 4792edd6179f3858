"""Who calls: the two keys, and the route that asks for one."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from fastapi import Request, Response
from fastapi.routing import APIRoute

from airflow_aitronos.sandbox import errors

KEY_HEADER = "X-API-Key"

KeyKind = Literal["api_key", "read_only_key", "none", "wrong"]


class Keyring:
    """
    Know the two keys apart.

    :param api_key: the key that may do everything
    :param read_only_key: the key that may only read
    :raises ValueError: when both are the same
    """

    def __init__(self, api_key: str, read_only_key: str) -> None:
        if api_key == read_only_key:
            raise ValueError("The two keys must differ.")
        self._api_key = api_key.encode("latin-1")
        self._read_only_key = read_only_key.encode("latin-1")

    def kind(self, key: bytes | None) -> KeyKind:
        """
        Tell which key this is.

        :param key: the header as it came, None without one
        """
        if not key:
            return "none"
        if hmac.compare_digest(key, self._api_key):
            return "api_key"
        if hmac.compare_digest(key, self._read_only_key):
            return "read_only_key"
        return "wrong"


class GuardedRoute(APIRoute):
    """Check the key of a call before its body is read; a dependency would come after that."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the framework with the check before it."""
        handler = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            _require_permission(request)
            return await handler(request)

        return guarded


def _require_permission(request: Request) -> None:
    kind: KeyKind = request.state.key
    if kind == "none":
        raise errors.authentication_required()
    if kind == "wrong":
        raise errors.invalid_api_key()
    if kind == "read_only_key" and request.method != "GET":
        raise errors.insufficient_permissions()
