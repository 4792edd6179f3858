"""The fixtures ``aitronos_sandbox`` and ``aitronos_no_waits``, with the hook as their caller."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from airflow_aitronos.exceptions import AitronosNetworkError, AitronosServerError
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.sandbox.server import SandboxServer
from airflow_aitronos.testing.sandbox import Sandbox

ASSISTANT, WORKFLOW = "asst_support01", "flow_support01"
PATH = f"/v1/assistants/{ASSISTANT}/workflow"


def detach(assistant_id: str = ASSISTANT, **arguments: Any) -> None:
    with AitronosHook(**arguments) as hook:
        assert hook.detach_assistant_workflow(assistant_id)["assistant_id"] == assistant_id


def raw_reply(sandbox: Sandbox) -> tuple[bytes, bytes]:
    """Send a detach through a bare socket, and return head and body of all that comes back."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"DELETE {PATH} HTTP/1.0\r\nHost: x\r\nX-API-Key: sandbox-key\r\n\r\n".encode())
        received = b""
        while part := connection.recv(4096):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    return head, body


@pytest.mark.parametrize("after_commit", [False, True])
def test_a_reset_is_one_on_the_wire(aitronos_sandbox: Sandbox, after_commit: bool) -> None:
    aitronos_sandbox.reset_connection(after_commit=after_commit)
    with pytest.raises(ConnectionResetError):
        raw_reply(aitronos_sandbox)
    assert [one.status_code for one in aitronos_sandbox.requests] == [0]
    assert aitronos_sandbox.links[ASSISTANT] == (None if after_commit else WORKFLOW)


@pytest.mark.parametrize("after_commit", [False, True])
def test_a_truncated_body_is_shorter_than_promised(aitronos_sandbox: Sandbox, after_commit: bool) -> None:
    aitronos_sandbox.truncate(after_commit=after_commit)
    head, body = raw_reply(aitronos_sandbox)
    assert head.startswith(b"HTTP/1.1 200")
    assert body
    assert f"content-length: {len(body) + 64}".encode() in head
    assert (WORKFLOW.encode() in body) == after_commit
    assert aitronos_sandbox.links[ASSISTANT] == (None if after_commit else WORKFLOW)


@pytest.mark.parametrize(
    ("status", "code", "error_type"),
    [(404, "RESOURCE_NOT_FOUND", "not_found_error"), (520, "HTTP_520", "server_error")],
)
def test_a_status_has_envelope_code_and_retry_after(
    aitronos_sandbox: Sandbox, status: int, code: str, error_type: str
) -> None:
    aitronos_sandbox.fail(status, retry_after=7, after_commit=True)
    head, body = raw_reply(aitronos_sandbox)
    error = json.loads(body)["error"]
    assert b"retry-after: 7" in head
    assert (error["status"], error["code"], error["type"]) == (status, code, error_type)
    assert aitronos_sandbox.links[ASSISTANT] is None


def test_a_delay_ends_with_the_sandbox_and_leaves_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with SandboxServer() as server:
        sandbox = Sandbox(server, monkeypatch)
        sandbox.connect()
        sandbox.delay(30, after_commit=True)
        with pytest.raises(AitronosNetworkError):
            detach(read_timeout=0.2, max_attempts=1)
    assert "Traceback" not in capsys.readouterr().err
    assert sandbox.links[ASSISTANT] is None
    with server:
        assert not server.faults.is_stopped


def test_faults_wait_for_the_requests_that_they_are_for(aitronos_sandbox: Sandbox) -> None:
    aitronos_sandbox.fail(403, method="delete", path=r"/v1/workflows/.*", optional=True)
    aitronos_sandbox.fail(503, path=PATH)
    detach(max_backoff=0)
    assert [one.status_code for one in aitronos_sandbox.requests] == [503, 200]
    assert [one.status for one in aitronos_sandbox.pending_faults] == [403]


def test_a_fault_that_no_request_met_is_named(aitronos_sandbox: Sandbox) -> None:
    aitronos_sandbox.fail(429, times=2)
    aitronos_sandbox.fail(503, path=PATH)
    for optional in (False, True):
        aitronos_sandbox.reset_connection(method="DELETE", optional=optional)
    with pytest.raises(AssertionError) as caught:
        aitronos_sandbox.assert_faults_met()
    assert str(caught.value).startswith(
        "No request met: status 429 for any request, times=2; "
        f"status 503 for {PATH}, times=1; connection reset for DELETE, times=1. "
    )
    with pytest.raises(AitronosNetworkError):
        detach(max_backoff=0, max_attempts=4)
    assert [str(one) for one in aitronos_sandbox.pending_faults] == ["connection reset"]
    aitronos_sandbox.assert_faults_met()


@pytest.mark.parametrize(
    "wrong",
    [{"times": 0}, {"delay": float("nan")}, {"status": 200}, {"retry_after": "1\r\n"}, {"path": "("}],
    ids=str,
)
def test_a_fault_that_is_not_valid_is_refused(aitronos_sandbox: Sandbox, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} is "):
        aitronos_sandbox.fail(**{"status": 503, **wrong})
    assert aitronos_sandbox.pending_faults == []


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda sandbox: sandbox.add_assistant("asst_new", workflow_id=WORKFLOW), WORKFLOW),
        (lambda sandbox: sandbox.add_workflow("flow_new", external_id="spare"), "spare"),
        (lambda sandbox: sandbox.link(ASSISTANT, "flow_typo"), "flow_typo"),
    ],
)
def test_what_cannot_be_prepared_is_named(
    aitronos_sandbox: Sandbox, prepare: Callable[[Sandbox], None], says: str
) -> None:
    before = aitronos_sandbox.links
    with pytest.raises(ValueError, match=says):
        prepare(aitronos_sandbox)
    assert aitronos_sandbox.links == before


def test_a_detach_that_is_missing_lists_what_was_sent(aitronos_sandbox: Sandbox) -> None:
    aitronos_sandbox.fail(503)
    with pytest.raises(AitronosServerError):
        detach(max_attempts=1)
    with pytest.raises(AssertionError) as caught:
        aitronos_sandbox.assert_detached_once(ASSISTANT, WORKFLOW)
    assert str(caught.value) == (
        f"{ASSISTANT}: expected {WORKFLOW}, detached nothing, linked now {WORKFLOW}. Requests:\n"
        f"  DELETE {PATH} -> 503 (scripted: status 503)"
    )
    aitronos_sandbox.assert_nothing_detached()


def test_which_detaches_are_expected(aitronos_sandbox: Sandbox) -> None:
    detach()
    aitronos_sandbox.assert_detached_once(ASSISTANT)
    aitronos_sandbox.assert_detached_exactly({ASSISTANT})
    aitronos_sandbox.assert_detached_exactly({ASSISTANT: WORKFLOW})
    with pytest.raises(AssertionError, match=f"^{ASSISTANT}: expected nothing, detached {WORKFLOW}"):
        aitronos_sandbox.assert_nothing_detached()
    for expected in ({ASSISTANT: "flow_other"}, {ASSISTANT, "asst_billing01"}):
        with pytest.raises(
            AssertionError, match=r"expected (flow_other, detached flow|one workflow, detached not)"
        ):
            aitronos_sandbox.assert_detached_exactly(expected)
    aitronos_sandbox.link(ASSISTANT, WORKFLOW)
    with pytest.raises(AssertionError, match=f"linked now {WORKFLOW}"):
        aitronos_sandbox.assert_detached_once(ASSISTANT)
    detach()
    with pytest.raises(AssertionError, match=f"expected one workflow, detached {WORKFLOW}, {WORKFLOW}"):
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
