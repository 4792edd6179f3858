"""What holds for any id, any body and any bytes at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_aitronos.exceptions import AitronosError, AitronosInputError
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.operators.assistants import (
    DetachAssistantWorkflowOperator,
    GetAssistantWorkflowOperator,
)
from tests.support.airflow_versions import AirflowSkipException
from tests.support.cases import case
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer, Reply
from tests.support.faults import Close
from tests.support.recording_log import RecordingLog
from tests.support.replies import CHUNKED, GZIP, http
from tests.wire.runner import check_error, check_json, check_request, connect
from tests.wire.wire_case import ASSISTANT, KEY, WORKFLOW, detached

Call = Callable[[], Any]

# The monkeypatch of a test serves all its examples alike.
FEW = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([ASSISTANT, KEY, "\x00", "\ud800", "\x1b[31m", "::group::"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "assistant_id": st.just(ASSISTANT) | JSON,
        "workflow_id": JSON,
        "message": JSON,
        "success": st.just(True) | JSON,
        "error": st.dictionaries(
            st.sampled_from(["code", "message", "status", "trace_id", "details", "retry_after"]), JSON
        )
        | JSON,
    },
)
LINKED = st.fixed_dictionaries(
    {"id": st.just(WORKFLOW) | JSON},
    optional={
        "name": JSON,
        "version": st.integers() | JSON,
        "external_id": JSON,
        "definition": JSON,
        "workflow_id": st.just(WORKFLOW),
        "assistant_id": st.just(ASSISTANT),
    },
)
HEADS = st.sampled_from(
    [
        b"",
        b"HTTP/1.1 ",
        b"HTTP/1.1 200 OK\r\n",
        http(200, None),
        http(200, None, [CHUNKED]),
        http(200, None, [GZIP]),
        http(200, None, [CHUNKED, GZIP]),
        http(200, None, [("Content-Length", "3")]),
        http(401, None),
        http(302, None, [("Location", "/login")]),
        http(200, detached())[:-3],
    ]
)
CHUNK_LINES = st.sampled_from([b"-1\r\n", b"+2\r\n", b"0x2\r\n", b"\xb2\r\n", b"0\r\n", b"2;x\r\n{}\r\n"])


@contextmanager
def answering(
    monkeypatch: pytest.MonkeyPatch, reply: Reply, **extra: Any
) -> Iterator[tuple[FaultServer, RecordingLog]]:
    """Answer every request in the same way, and record what hooks log."""
    with FaultServer([reply] * 2) as server, monkeypatch.context() as patch:
        clock = FakeClock()
        log = RecordingLog(clock)
        patch.setattr(AitronosHook, "clock", clock)
        patch.setattr(AitronosHook, "log", log)
        connect(patch, server.url, max_attempts=1, **extra)
        yield server, log


def methods(server: FaultServer) -> list[str]:
    return [request.method for request in server.requests]


def detach(assistant_id: str = ASSISTANT, **options: Any) -> Call:
    return lambda: DetachAssistantWorkflowOperator(
        task_id="detach", assistant_id=assistant_id, **options
    ).execute({})


def get() -> Any:
    return GetAssistantWorkflowOperator(task_id="get", assistant_id=ASSISTANT).execute({})


# A 404 that does not say what is missing costs one more read.
DETACH, READ = (["DELETE"], ["DELETE", "GET"]), (["GET"], ["GET", "GET"])
READ_AND_DETACH = (*READ, ["GET", "DELETE"])
CALLS: dict[str, tuple[Call, Sequence[list[str]]]] = {
    "detach": (detach(), DETACH),
    "skip": (detach(if_not_attached="skip"), DETACH),
    "expected": (detach(expected_workflow_id=WORKFLOW, include_workflow_details=True), READ_AND_DETACH),
    "recorded": (detach(record_workflow=True), READ_AND_DETACH),
    "check": (detach(check_only=True), READ),
    "get": (get, READ),
}
"""Calls, and the requests that each may send."""
RESULTS = {"assistant_id", "workflow_id", "message"}, {"assistant_id", "workflow_id"}


def check_named_end(call: Call, log: RecordingLog) -> None:
    """Check that an operator ends in a result that XCom takes, in a skip, or in an error of ours."""
    caught: Exception | None = None
    try:
        result = call()
    except (AitronosError, AirflowSkipException) as error:
        caught = error
    else:
        assert set(result) - {"workflow", "outcome"} in RESULTS
        assert result["assistant_id"] == ASSISTANT
        texts = [value for name, value in result.items() if name != "workflow"]
        assert all(value is None or isinstance(value, str) for value in texts)
        check_json(result)
        assert KEY not in repr(result)
    if caught is not None:
        # Its context is the hypothesis engine's affair once it is caught; the rest is checked.
        assert KEY not in f"{caught!r} {vars(caught)!r}"
    if isinstance(caught, AitronosError):
        check_error(caught)
    for line in log.lines:
        assert line.text.isprintable()
        assert KEY not in line.text


@FEW
@given(body=JSON | FIELDS | LINKED, name=st.sampled_from(list(CALLS)))
@example(body=None, name="get")
def test_any_json_ends_in_a_named_end(monkeypatch: pytest.MonkeyPatch, body: Any, name: str) -> None:
    call, may_be_sent = CALLS[name]
    with answering(monkeypatch, http(200, json.dumps(body))) as (server, log):
        check_named_end(call, log)
    assert methods(server) in may_be_sent


@FEW
@given(status=st.integers(200, 599), body=FIELDS)
@example(status=404, body={"error": {}})
def test_any_status_with_any_envelope_ends_in_a_named_end(
    monkeypatch: pytest.MonkeyPatch, status: int, body: Any
) -> None:
    with answering(monkeypatch, http(status, json.dumps(body))) as (server, log):
        check_named_end(detach(), log)
    assert methods(server) in DETACH[: 2 if status in (200, 404) else 1]


@FEW
@given(head=HEADS, rest=st.lists(CHUNK_LINES | st.binary(max_size=60), max_size=4))
def test_any_bytes_end_in_a_named_end(
    monkeypatch: pytest.MonkeyPatch, head: bytes, rest: list[bytes]
) -> None:
    with answering(monkeypatch, Close(head + b"".join(rest)), read_timeout=5) as (server, log):
        check_named_end(detach(), log)
    assert len(server.requests) == 1


@case("I16")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text()
    | st.text(alphabet="aB9_-./%#?\\ \n", max_size=12)
    | st.from_regex(r"\s?[A-Za-z0-9][A-Za-z0-9_-]{0,40}\s?", fullmatch=True)
)
def test_any_text_as_id_is_refused_or_arrives_as_one_segment(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    stripped = text.strip()
    with answering(monkeypatch, http(200, json.dumps(detached(assistant_id=stripped)))) as (server, _):
        refused = False
        with AitronosHook() as hook:
            try:
                result = hook.detach_assistant_workflow(text)
            except AitronosInputError:
                refused = True
            else:
                assert result["assistant_id"] == stripped
    if refused:
        assert server.connections == 0
        return
    (request,) = server.requests
    check_request(request)
    assert request.path.split("/") == ["", "v1", "assistants", stripped, "workflow"]
