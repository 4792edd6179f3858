"""The fixtures ``aitronos_sandbox`` and ``aitronos_no_waits``, with the hook as their caller."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest
import requests
from airflow.sdk import BaseHook, Connection

from airflow_aitronos.exceptions import AitronosNetworkError, AitronosServerError
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.sandbox.server import SandboxServer
from airflow_aitronos.testing.clock import SkippingClock
from airflow_aitronos.testing.sandbox import Sandbox

ASSISTANT = "asst_support01"
WORKFLOW = "flow_support01"
VARIABLE = "AIRFLOW_CONN_AITRONOS_DEFAULT"


def statuses(sandbox: Sandbox) -> list[int]:
    return [one.status_code for one in sandbox.requests]


def detach(sandbox: Sandbox, **arguments: float) -> None:
    with AitronosHook(**arguments) as hook:  # type: ignore[arg-type]  # numbers, whichever
        assert hook.detach_assistant_workflow(ASSISTANT)["assistant_id"] == ASSISTANT
    sandbox.assert_detached_once(ASSISTANT, WORKFLOW)


def raw_reply(sandbox: Sandbox) -> bytes:
    """Send a detach through a bare socket, and return all that comes back."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            f"DELETE /v1/assistants/{ASSISTANT}/workflow HTTP/1.1\r\nHost: x\r\n"
            "X-API-Key: sandbox-key\r\n\r\n".encode()
        )
        received = b""
        while part := connection.recv(4096):
            received += part
        return received


@pytest.mark.parametrize("after_commit", [False, True])
def test_a_reset_is_one_on_the_wire(aitronos_sandbox: Sandbox, after_commit: bool) -> None:
    aitronos_sandbox.reset_connection(after_commit=after_commit)
    with pytest.raises(ConnectionResetError):
        raw_reply(aitronos_sandbox)
    assert statuses(aitronos_sandbox) == [0]
    assert aitronos_sandbox.links[ASSISTANT] == (None if after_commit else WORKFLOW)


@pytest.mark.parametrize("after_commit", [False, True])
def test_a_truncated_body_is_shorter_than_promised(aitronos_sandbox: Sandbox, after_commit: bool) -> None:
    aitronos_sandbox.truncate(after_commit=after_commit)
    head, _, body = raw_reply(aitronos_sandbox).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert f"content-length: {len(body) + 64}".encode() in head
    assert body
    assert (WORKFLOW.encode() in body) == after_commit
    assert aitronos_sandbox.links[ASSISTANT] == (None if after_commit else WORKFLOW)


@pytest.mark.parametrize("after_commit", [False, True])
def test_a_status_has_envelope_code_and_retry_after(aitronos_sandbox: Sandbox, after_commit: bool) -> None:
    aitronos_sandbox.fail(429, "SLOW_DOWN", retry_after=7, after_commit=after_commit)
    head, _, body = raw_reply_of_one(aitronos_sandbox)
    assert b"retry-after: 7" in head
    error = json.loads(body)["error"]
    assert (error["status"], error["code"], error["type"]) == (429, "SLOW_DOWN", "rate_limit_error")
    assert aitronos_sandbox.links[ASSISTANT] == (None if after_commit else WORKFLOW)


def raw_reply_of_one(sandbox: Sandbox) -> tuple[bytes, bytes, bytes]:
    reply = requests.delete(
        f"{sandbox.url}/v1/assistants/{ASSISTANT}/workflow", headers={"X-API-Key": "sandbox-key"}, timeout=10
    )
    head = "\n".join(f"{name.lower()}: {value}" for name, value in reply.headers.items()).encode()
    return head, b"", reply.content


@pytest.mark.parametrize("fault", ["reset_connection", "truncate"])
@pytest.mark.parametrize("after_commit", [False, True])
def test_the_hook_comes_through(
    aitronos_sandbox: Sandbox, aitronos_no_waits: SkippingClock, fault: str, after_commit: bool
) -> None:
    getattr(aitronos_sandbox, fault)(after_commit=after_commit)
    detach(aitronos_sandbox)
    assert len(aitronos_sandbox.requests) == 2
    assert len(aitronos_no_waits.waits) == 1


def test_a_delay_outlasts_the_read_timeout(
    aitronos_sandbox: Sandbox, aitronos_no_waits: SkippingClock
) -> None:
    aitronos_sandbox.delay(30)
    with pytest.raises(AitronosNetworkError), AitronosHook(read_timeout=0.2, max_attempts=1) as hook:
        hook.detach_assistant_workflow(ASSISTANT)
    assert aitronos_no_waits.waits == []


@pytest.mark.parametrize("after_commit", [False, True])
def test_a_delay_ends_with_the_sandbox_and_leaves_no_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, after_commit: bool
) -> None:
    with SandboxServer() as server:
        sandbox = Sandbox(server, monkeypatch)
        sandbox.connect()
        sandbox.delay(30, after_commit=after_commit)
        with pytest.raises(AitronosNetworkError), AitronosHook(read_timeout=0.2, max_attempts=1) as hook:
            hook.detach_assistant_workflow(ASSISTANT)
    errors = [one for one in caplog.records if one.levelname == "ERROR" and one.name.startswith("uvicorn")]
    assert errors == []
    assert sandbox.links[ASSISTANT] == (None if after_commit else WORKFLOW)


def test_a_sandbox_that_is_started_again_waits_again() -> None:
    server = SandboxServer()
    for _ in range(2):
        with server:
            assert not server.faults.is_stopped
        assert server.faults.is_stopped


def test_waits_are_recorded_whole_and_use_up_the_time(
    aitronos_sandbox: Sandbox, aitronos_no_waits: SkippingClock
) -> None:
    for seconds in (7, 1, 2):
        aitronos_sandbox.fail(503, retry_after=seconds)
    detach(aitronos_sandbox)
    first, second, third = aitronos_no_waits.waits
    assert 7 <= first < 9
    assert 1 <= second < 3
    assert 2 <= third < 4
    aitronos_sandbox.fail(503, retry_after=7, times=9)
    with pytest.raises(AitronosServerError, match="total_timeout"), AitronosHook(total_timeout=10) as hook:
        hook.detach_assistant_workflow(ASSISTANT)
    assert len(aitronos_no_waits.waits) == 4
    assert sum(one.times for one in aitronos_sandbox.pending_faults) == 7


def test_faults_wait_for_the_requests_that_they_are_for(aitronos_sandbox: Sandbox) -> None:
    aitronos_sandbox.fail(403, method="delete", path=r"/v1/workflows/.*")
    aitronos_sandbox.fail(503, path=f"/v1/assistants/{ASSISTANT}/workflow")
    detach(aitronos_sandbox, max_backoff=0)
    assert statuses(aitronos_sandbox) == [503, 200]
    assert [one.status for one in aitronos_sandbox.pending_faults] == [403]


@pytest.mark.parametrize(
    "wrong",
    [
        {"times": 0},
        {"times": True},
        {"times": 1.5},
        {"delay": -1},
        {"delay": float("nan")},
        {"delay": float("inf")},
        {"status": 200},
        {"status": 600},
        {"status": 503.0},
        {"retry_after": "1\r\nX-Other: 2"},
        {"retry_after": "später"},
        {"path": "/v1/assistants/(.*/workflow"},
    ],
    ids=str,
)
def test_a_fault_that_makes_no_sense_is_refused(aitronos_sandbox: Sandbox, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} is "):
        aitronos_sandbox.fail(**{"status": 503, **wrong})
    assert aitronos_sandbox.pending_faults == []


@pytest.mark.parametrize(
    ("status", "code", "error_type"),
    [
        (400, "BAD_REQUEST", "request_error"),
        (401, "INVALID_API_KEY", "authentication_error"),
        (403, "INSUFFICIENT_PERMISSIONS", "authorization_error"),
        (404, "RESOURCE_NOT_FOUND", "not_found_error"),
        (409, "CONFLICT", "conflict_error"),
        (422, "VALIDATION_ERROR", "validation_error"),
        (429, "RATE_LIMIT_EXCEEDED", "rate_limit_error"),
        (503, "SERVICE_UNAVAILABLE", "server_error"),
        (520, "HTTP_520", "server_error"),
    ],
)
def test_a_status_without_a_code_gets_one_that_fits(
    aitronos_sandbox: Sandbox, status: int, code: str, error_type: str
) -> None:
    aitronos_sandbox.fail(status)
    error = json.loads(raw_reply_of_one(aitronos_sandbox)[2])["error"]
    assert (error["status"], error["code"], error["type"]) == (status, code, error_type)


@pytest.mark.parametrize(
    "add",
    [
        lambda sandbox: sandbox.add_assistant(ASSISTANT),
        lambda sandbox: sandbox.add_assistant("asst_new", workflow_id=WORKFLOW),
        lambda sandbox: sandbox.add_workflow(WORKFLOW),
        lambda sandbox: sandbox.add_workflow("flow_new", external_id="spare"),
    ],
)
def test_what_is_there_is_not_added_again(aitronos_sandbox: Sandbox, add: Callable[[Sandbox], None]) -> None:
    before = aitronos_sandbox.links
    with pytest.raises(ValueError, match="already"):
        add(aitronos_sandbox)
    assert aitronos_sandbox.links == before
    assert before[ASSISTANT] == WORKFLOW


def test_a_connection_that_leads_elsewhere_is_refused(
    monkeypatch: pytest.MonkeyPatch, aitronos_sandbox: Sandbox
) -> None:
    real = Connection(conn_id="aitronos_default", conn_type="aitronos", host="https://real.example")
    monkeypatch.setattr(BaseHook, "get_connection", lambda conn_id: real)
    with pytest.raises(pytest.UsageError, match="unset AIRFLOW__SECRETS__BACKEND"):
        aitronos_sandbox.connect()


def test_not_detached_lists_what_was_sent(aitronos_sandbox: Sandbox) -> None:
    aitronos_sandbox.fail(503, times=2)
    with pytest.raises(AitronosServerError), AitronosHook(max_attempts=2, max_backoff=0) as hook:
        hook.detach_assistant_workflow(ASSISTANT)
    with pytest.raises(AssertionError) as caught:
        aitronos_sandbox.assert_detached_once(ASSISTANT, WORKFLOW)
    line = f"  DELETE /v1/assistants/{ASSISTANT}/workflow -> 503 (scripted: status 503)"
    assert str(caught.value) == (
        f"{ASSISTANT} should have lost its workflow ({WORKFLOW}) exactly once; "
        f"taken off: nothing; linked now: {WORKFLOW}. Sent:\n{line}\n{line}"
    )


def test_another_workflow_and_a_second_detach_are_not_once(aitronos_sandbox: Sandbox) -> None:
    detach(aitronos_sandbox)
    with pytest.raises(AssertionError, match="flow_other"):
        aitronos_sandbox.assert_detached_once(ASSISTANT, "flow_other")
    aitronos_sandbox.link(ASSISTANT, WORKFLOW)
    with AitronosHook() as hook:
        hook.detach_assistant_workflow(ASSISTANT)
    with pytest.raises(AssertionError, match=f"taken off: {WORKFLOW}, {WORKFLOW}"):
        aitronos_sandbox.assert_detached_once(ASSISTANT)


def test_other_connections_and_keys(aitronos_sandbox: Sandbox) -> None:
    aitronos_sandbox.add_assistant("asst_new", workflow_id="flow_new")
    with aitronos_sandbox.connected("reader", api_key=aitronos_sandbox.read_only_key, max_attempts=2):
        with AitronosHook("reader") as hook:
            assert hook.settings.max_attempts == 2
            found = hook.request("GET", "/v1/assistants/{id}", path_params={"id": "asst_new"})
        assert found["workflow_id"] == "flow_new"
    assert "AIRFLOW_CONN_READER" not in os.environ
    assert [one.key for one in aitronos_sandbox.requests] == ["read_only_key"]


def test_all_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "before")
    clock = AitronosHook.clock
    from airflow_aitronos.testing import plugin

    with pytest.MonkeyPatch.context() as patch:
        sandboxes = plugin.aitronos_sandbox.__wrapped__(patch)  # type: ignore[attr-defined]  # the function
        sandbox = next(sandboxes)
        assert AitronosHook.clock is clock
        skipping = plugin.aitronos_no_waits.__wrapped__(patch)  # type: ignore[attr-defined]  # the function
        assert skipping is AitronosHook.clock
        assert sandbox.url in os.environ[VARIABLE]
        assert list(sandboxes) == []
    assert (os.environ[VARIABLE], AitronosHook.clock) == ("before", clock)
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection(sandbox.url.removeprefix("http://")).connect()
