"""Calls a sandbox as a stranger would, and reads its errors."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Self

import requests

from tests.sandbox.contract import ERROR, Call, assert_fields


class Api:
    """Calls a sandbox over a real socket, with one key."""

    def __init__(self, url: str, key: str | bytes | None) -> None:
        self.url = url
        self.session = requests.Session()
        # Neither a proxy nor a .netrc of this machine may come between.
        self.session.trust_env = False
        if key is not None:
            self.session.headers["X-API-Key"] = key

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.session.close()

    def __call__(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("timeout", 10)
        return self.session.request(method, self.url + path, **kwargs)

    def call(self, call: Call) -> requests.Response:
        return self(call.method, call.path, params=call.params, json=call.json)

    def ok(self, method: str, path: str, **kwargs: Any) -> Any:
        """Return the reply of a call that must succeed."""
        response = self(method, path, **kwargs)
        assert response.status_code in (200, 201), response.text
        return response.json()

    def refused(self, method: str, path: str, status: int, code: str, **kwargs: Any) -> Any:
        """Return the error of a call that must be refused."""
        return envelope(self(method, path, **kwargs), status, code)


def envelope(response: requests.Response, status: int, code: str) -> Any:
    """Check every field of an error envelope and return the error."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"success", "error"}
    assert body["success"] is False
    error = body["error"]
    assert_fields(error, ERROR)
    assert error["code"] == code
    assert error["status"] == status
    assert error["trace_id"] == response.headers["x-request-id"]
    assert error["message"]
    assert error["system_message"]
    assert error["type"].endswith("_error")
    assert datetime.fromisoformat(error["timestamp"]).tzinfo is not None
    return error


MakeApi = Callable[[str | bytes | None], Api]
