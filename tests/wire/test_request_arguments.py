"""What ``hook.request`` takes, and what it refuses before anything is sent."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from airflow_aitronos.exceptions import AitronosInputError
from airflow_aitronos.hooks.aitronos import AitronosHook
from tests.support.fault_server import FaultServer
from tests.support.replies import http
from tests.wire.runner import check_error, connect
from tests.wire.wire_case import NOTHING_SENT

DEEP: Any = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "call",
    [
        {"method": "GET\r\nX: y"},
        {"path": "//evil.example/v1"},
        {"path": "/v1/%2e%2e/admin"},
        {"path": "/v1/workflows?limit=1"},
        {"path": "/v1/workflows/{workflow_id}"},
        {"path": "/v1/workflows/{workflow_id}", "path_params": {"other": "x"}},
        {"path": "/v1/workflows/{workflow_id}", "path_params": {"workflow_id": "a/b"}},
        {"path_params": {"workflow_id": "x"}},
        {"method": "POST", "json": object()},
        {"method": "POST", "json": {"number": math.nan}},
        {"method": "POST", "json": DEEP},
    ],
    ids=lambda call: next(iter(call)),
)
def test_a_call_that_cannot_be_sent_is_refused(monkeypatch: pytest.MonkeyPatch, call: dict[str, Any]) -> None:
    arguments = {"method": "GET", "path": "/v1/workflows", **call}
    with FaultServer() as server:
        connect(monkeypatch, server.url)
        with AitronosHook() as hook, pytest.raises(AitronosInputError, match=NOTHING_SENT) as caught:
            hook.request(arguments.pop("method"), arguments.pop("path"), **arguments)
    check_error(caught.value)
    assert server.connections == 0


def test_query_and_body_arrive_as_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([http(200, {"total": 0}), http(201, {"id": "flow_1"})]) as server:
        connect(monkeypatch, f"{server.url}/gateway/v1/")
        with AitronosHook() as hook:
            assert hook.request("get", "/v1/workflows", params={"external_id": "a&b", "limit": 5}) == {
                "total": 0
            }
            assert hook.request("POST", "/v1/workflows", json={"name": "x"}) == {"id": "flow_1"}
    first, second = server.requests
    assert (first.method, first.path) == ("GET", "/gateway/v1/workflows?external_id=a%26b&limit=5")
    assert (second.method, second.path) == ("POST", "/gateway/v1/workflows")
    assert second.body == b'{"name": "x"}'
    assert second.values("Content-Type") == ["application/json"]


@pytest.mark.parametrize(
    ("method", "idempotent", "requests"),
    [("DELETE", None, 3), ("DELETE", False, 1), ("PUT", None, 1), ("PATCH", None, 1), ("POST", True, 3)],
)
def test_a_call_is_repeated_only_if_it_may_be(
    monkeypatch: pytest.MonkeyPatch, method: str, idempotent: bool | None, requests: int
) -> None:
    with FaultServer(itertools.repeat(http(503))) as server:
        connect(monkeypatch, server.url, max_attempts=3, max_backoff=0)
        with AitronosHook() as hook, pytest.raises(Exception, match="HTTP 503"):
            hook.request(method, "/v1/workflows", idempotent=idempotent)
    assert [request.method for request in server.requests] == [method] * requests
