"""What holds since requests are sent as any careful user of `requests` would, and what else came with it."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from functools import partial
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

PLAIN = json.dumps(detached()).encode()


@pytest.mark.parametrize(
    ("tool", "error"),
    [
        (responses.RequestsMock, AitronosNetworkError),
        # The others raise errors of their own, of which the hook knows nothing.
        (requests_mock.Mocker, Exception),
        (partial(vcr.use_cassette, "empty.yaml", record_mode="none"), Exception),
    ],
    ids=["responses", "requests-mock", "vcr"],
)
def test_no_request_leaves_past_a_tool_that_was_told_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tool: Any, error: type[Exception]
) -> None:
    monkeypatch.chdir(tmp_path)
    with FaultServer([GOOD] * 4) as server:
        connect(monkeypatch, server.url, max_attempts=1)
        with tool(), pytest.raises(error):
            detach_with_the_hook()
    assert server.connections == 0


@pytest.mark.parametrize(
    ("tool", "parameter"), [(responses.RequestsMock, "body"), (requests_mock.Mocker, "content")], ids=str
)
@pytest.mark.parametrize(
    ("body", "headers"), [(PLAIN, {}), (gzip.compress(PLAIN), dict([GZIP]))], ids=["plain", "gzip"]
)
def test_what_a_tool_answers_is_returned(
    monkeypatch: pytest.MonkeyPatch, tool: Any, parameter: str, body: bytes, headers: dict[str, str]
) -> None:
    connect(monkeypatch, ORIGIN, allow_http=True)
    with tool() as mocked:
        mocked.delete(f"{ORIGIN}/v1/assistants/{ASSISTANT}/workflow", headers=headers, **{parameter: body})
        assert detach_with_the_hook()["workflow_id"] == WORKFLOW


def test_a_cassette_is_recorded_and_played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cassette = str(tmp_path / "cassette.yaml")
    # What it records is decompressed, whatever the headers beside it say.
    with FaultServer([http(200, gzip.compress(PLAIN), [GZIP])]) as server:
        connect(monkeypatch, server.url)
        for mode in ("once", "none"):
            with vcr.use_cassette(cassette, record_mode=mode):
                assert detach_with_the_hook()["workflow_id"] == WORKFLOW
    assert len(server.requests) == 1


def test_a_503_that_never_heals_ends_although_time_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([envelope(503, "DOWN", trace_id=TRACE)] * 9) as server:
        connect(monkeypatch, server.url, max_attempts=3, max_backoff=0.1)
        # Airflow's modules load others when freezegun reads their names.
        with freeze_time("2026-01-01", ignore=["airflow."]), pytest.raises(AitronosServerError) as caught:
            detach_with_the_hook()
    assert caught.value.attempts == len(server.requests) == 3
