"""What holds since requests are sent as any careful user of `requests` would, and what else came with it."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests_mock
import responses
import vcr  # type: ignore[import-untyped]
from freezegun import freeze_time

from airflow_aitronos.exceptions import (
    AitronosAuthenticationError,
    AitronosNetworkError,
    AitronosServerError,
    AitronosUnsafeToRepeatError,
    AitronosWrongResourceError,
)
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.sandbox.server import SandboxServer
from tests.support.fault_server import FaultServer
from tests.support.faults import Close
from tests.support.replies import GZIP, http
from tests.wire.post_cases import post
from tests.wire.runner import check_error, connect, run
from tests.wire.wire_case import (
    ASSISTANT,
    DETACH,
    GOOD,
    LINK,
    MANY,
    TRACE,
    WORKFLOW,
    Scene,
    WireCase,
    detach,
    detached,
    done,
    envelope,
    facts,
    parameters,
    permanent,
    retryable,
    vary,
)

ORIGIN = "http://api.test"
PROXY_PASSWORD = "proxy-CANARY-pw"
PROXY_CREDENTIALS = b64encode(f"proxyuser:{PROXY_PASSWORD}".encode()).decode()


def rule(name: str, fault: str, **fields: Any) -> WireCase:
    """Return a case; the matrix has no ids for these."""
    return WireCase(name, fault, **fields)


def behind_plain_proxy(scene: Scene) -> None:
    scene.host = ORIGIN
    scene.patch.setenv("HTTP_PROXY", f"http://proxyuser:{PROXY_PASSWORD}@127.0.0.1:{scene.server.port}")


def detach_with_the_hook() -> Any:
    with AitronosHook() as hook:
        return hook.detach_assistant_workflow(ASSISTANT)


RULES = [
    rule(
        "costly",
        "a body below the limit takes little memory to judge and to show",
        memory=True,
        call=detach,
        sent=[DETACH],
        variants={
            name: vary(
                replies=[http(500, body)],
                end=retryable(AitronosServerError, "HTTP 500", maybe_done=True, status_code=500),
            )
            for name, body in {
                "escapes": b"\x01" * (MANY - 100),
                "words": b"a " * (MANY // 2 - 100),
                "lists": b"[[]" + b",[]" * (MANY // 3 - 100) + b"]",
            }.items()
        }
        | {
            "message": vary(
                replies=[http(200, detached(message="\x01" * 1_300_000))],
                end=done(WORKFLOW, message="\\x01" * 124 + "\\x0…"),
            )
        },
        extra={"max_attempts": 1},
    ),
    rule(
        "proxy",
        "what a proxy took may have been delivered, and is not sent again if it is a POST",
        prepare=behind_plain_proxy,
        extra={"allow_http": True},
        never=(PROXY_PASSWORD, PROXY_CREDENTIALS),
        call=post,
        sent=[f"POST {ORIGIN}/v1/workflows"],
        end=permanent(AitronosUnsafeToRepeatError, maybe_done=True),
        variants={
            "post-closed": vary(replies=[Close(), http(201, {"id": "flow_1"})]),
            "password-in-the-response": vary(
                call=detach,
                replies=[envelope(401, "NO", message=f"{PROXY_PASSWORD} or {PROXY_CREDENTIALS}")],
                sent=[DETACH.replace("/v1", f"{ORIGIN}/v1")],
                end=permanent(AitronosAuthenticationError, **facts(401, "NO")),
            ),
        },
    ),
]


@pytest.mark.parametrize("wire_case", parameters(RULES))
def test_new_rule(wire_case: WireCase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run(wire_case, monkeypatch, tmp_path)


def test_a_link_of_another_assistant_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([http(200, {"id": WORKFLOW, "assistant_id": "asst_other"}), GOOD]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosWrongResourceError, match="asst_other") as caught:
            detach(expected_workflow_id=WORKFLOW)
    check_error(caught.value)
    assert not caught.value.maybe_done
    assert [f"{one.method} {one.path}" for one in server.requests] == [LINK]


def test_a_page_of_workflows_that_is_too_large_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [f"flow_{number}" for number in range(12)]

    def page(*, offset: int, limit: int) -> bytes:
        workflows = [{"id": one} for one in ids[offset : offset + limit]]
        return http(200, {"workflows": workflows, "total": len(ids)})

    replies = [http(200, "x" * MANY), page(offset=0, limit=10), page(offset=10, limit=10)]
    with FaultServer(replies) as server, AitronosHook() as hook:
        connect(monkeypatch, server.url)
        assert [one["id"] for one in hook.list_workflows()] == ids
    assert [one.path.partition("?")[2] for one in server.requests] == [
        f"limit={limit}&offset={offset}" for limit, offset in [(20, 0), (10, 0), (10, 10)]
    ]


# The tools with which users keep requests from leaving their tests


@contextmanager
def with_responses(url: str, body: bytes | None, headers: dict[str, str], folder: Path) -> Iterator[None]:
    with responses.RequestsMock() as mocked:
        if body is not None:
            mocked.delete(url, body=body, headers=headers)
        yield


@contextmanager
def with_requests_mock(url: str, body: bytes | None, headers: dict[str, str], folder: Path) -> Iterator[None]:
    with requests_mock.Mocker() as mocked:
        if body is not None:
            mocked.delete(url, content=body, headers=headers)
        yield


@contextmanager
def with_vcr(url: str, body: bytes | None, headers: dict[str, str], folder: Path) -> Iterator[None]:
    # What it records is decompressed, whatever the headers beside it say.
    tape = {
        "request": {"method": "DELETE", "uri": url, "body": None, "headers": {}},
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {name: [value] for name, value in headers.items()},
            "body": {"string": PLAIN.decode()},
        },
    }
    cassette = folder / "cassette.json"
    cassette.write_text(json.dumps({"version": 1, "interactions": [] if body is None else [tape]}))
    with vcr.use_cassette(str(cassette), record_mode="none", serializer="json"):
        yield


PLAIN = json.dumps(detached()).encode()
Tool = Callable[[str, bytes | None, dict[str, str], Path], AbstractContextManager[None]]
TOOLS = pytest.mark.parametrize("tool", [with_responses, with_requests_mock, with_vcr])


@TOOLS
def test_no_request_leaves_past_a_tool_that_was_told_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tool: Tool
) -> None:
    with FaultServer([GOOD] * 4) as server:
        connect(monkeypatch, server.url, max_attempts=1)
        url = f"{server.url}/v1/assistants/{ASSISTANT}/workflow"
        # The others raise errors of their own, of which the hook knows nothing.
        expected = AitronosNetworkError if tool is with_responses else Exception
        with tool(url, None, {}, tmp_path), pytest.raises(expected):
            detach_with_the_hook()
    assert server.connections == 0


@TOOLS
@pytest.mark.parametrize(
    ("body", "headers"), [(PLAIN, {}), (gzip.compress(PLAIN), dict([GZIP]))], ids=["plain", "gzip"]
)
def test_what_a_tool_answers_is_returned(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tool: Tool, body: bytes, headers: dict[str, str]
) -> None:
    with FaultServer() as server:
        connect(monkeypatch, server.url)
        url = f"{server.url}/v1/assistants/{ASSISTANT}/workflow"
        with tool(url, body, headers, tmp_path):
            assert detach_with_the_hook()["workflow_id"] == WORKFLOW
    assert server.connections == 0


def test_a_cassette_is_recorded_against_the_sandbox_and_played(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cassette = str(tmp_path / "cassette.yaml")
    with AitronosHook() as hook:
        with SandboxServer() as sandbox, vcr.use_cassette(cassette, record_mode="once"):
            monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", sandbox.connection_json())
            recorded = hook.detach_assistant_workflow("asst_support01")
        with vcr.use_cassette(cassette, record_mode="none") as tape:
            assert hook.detach_assistant_workflow("asst_support01") == recorded
    assert recorded["workflow_id"]
    assert tape.all_played


def test_a_503_that_never_heals_ends_although_time_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([envelope(503, "DOWN", trace_id=TRACE)] * 9) as server:
        connect(monkeypatch, server.url, max_attempts=3, max_backoff=0.1)
        # Airflow's modules load others when freezegun reads their names.
        with freeze_time("2026-01-01", ignore=["airflow."]), pytest.raises(AitronosServerError) as caught:
            detach_with_the_hook()
    assert caught.value.attempts == len(server.requests) == 3
