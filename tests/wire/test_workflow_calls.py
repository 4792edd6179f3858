"""The named calls on workflows: against the sandbox, and against one fault of each kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_aitronos.exceptions import (
    AitronosError,
    AitronosNetworkError,
    AitronosNotFoundError,
    AitronosServerError,
    AitronosUnsafeToRepeatError,
)
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.sandbox.server import SandboxServer
from tests.support.airflow_versions import AirflowFailException
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer, Reply
from tests.support.faults import Call, Close, Reset
from tests.support.replies import http
from tests.wire.runner import check_error, check_json, connect
from tests.wire.wire_case import ASSISTANT, GONE_404, HTML, WORKFLOW

DEFINITION: dict[str, Any] = {"nodes": [{"id": "a", "prompt": "{{ not_rendered }}"}], "edges": []}
FOUND = {"id": WORKFLOW, "name": "Support", "version": 3, "external_id": "support", "more": "kept back"}
Replies = list[Reply]


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[AitronosHook]:
    monkeypatch.setattr(AitronosHook, "clock", FakeClock())
    with AitronosHook() as made:
        yield made


@pytest.fixture
def sandbox(hook: AitronosHook, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", server.connection_json())
        yield server


# Against the sandbox


def test_a_workflow_is_created_updated_and_read(hook: AitronosHook, sandbox: SandboxServer) -> None:
    first = hook.create_workflow(name="Answers", definition=DEFINITION, external_id="answers")
    second = hook.create_workflow(name="Answers", definition=DEFINITION, external_id="answers")
    assert (first["id"], first["version"], second["version"]) == (second["id"], 1, 2)
    read = hook.get_workflow(first["id"])
    assert (read["definition"], read["version"]) == (DEFINITION, 2)
    changed = hook.update_workflow(first["id"], description="better", is_active=False)
    assert (changed["description"], changed["is_active"], changed["name"]) == ("better", False, "Answers")
    assert [one["id"] for one in hook.list_workflows(external_id="answers")] == [first["id"]]
    assert first["id"] not in [one["id"] for one in hook.list_workflows(active_only=True)]


def test_promoting_links_a_new_assistant(hook: AitronosHook, sandbox: SandboxServer) -> None:
    workflow = hook.create_workflow(name="Answers", definition=DEFINITION)
    promoted = hook.promote_workflow_to_assistant(workflow["id"], name="New")
    assert sorted(promoted) == ["assistant_id", "message", "workflow_id"]
    linked = hook.get_assistant_workflow(promoted["assistant_id"])
    assert linked is not None
    assert linked["id"] == promoted["workflow_id"] == workflow["id"]


def test_no_link_is_none_and_no_assistant_is_an_error(hook: AitronosHook, sandbox: SandboxServer) -> None:
    hook.detach_assistant_workflow("asst_support01")
    assert hook.get_assistant_workflow("asst_support01") is None
    with pytest.raises(AitronosNotFoundError):
        hook.get_assistant_workflow("asst_nobody")


@pytest.mark.parametrize("page_size", [1, 2, 100])
def test_all_pages_are_read(hook: AitronosHook, sandbox: SandboxServer, page_size: int) -> None:
    in_one = [one["id"] for one in hook.request("GET", "/v1/workflows", params={"limit": 100})["workflows"]]
    assert len(in_one) > 3
    assert [one["id"] for one in hook.list_workflows(page_size=page_size)] == in_one


def test_the_key_is_validated(hook: AitronosHook, sandbox: SandboxServer) -> None:
    assert hook.validate_key() == {"is_valid": True, "error": None, "requires_reconnect": None}


# What a reply means


@pytest.mark.parametrize("name", ["create", "promote", "update"])
def test_a_call_that_was_carried_out_for_a_cancelled_task_is_not_sent_by_its_next_try(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    calls: dict[str, Callable[[], Any]] = {
        "create": lambda: hook.create_workflow(name="Answers", definition={}),
        "promote": lambda: hook.promote_workflow_to_assistant(WORKFLOW),
        "update": lambda: hook.update_workflow(WORKFLOW, name="Answers"),
    }
    with FaultServer([[Call(hook.cancel), http(201, FOUND)]]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosUnsafeToRepeatError) as caught:
            calls[name]()
    assert caught.value.maybe_done
    assert len(server.requests) == 1


def test_an_empty_description_is_sent_and_the_documented_fields_come_back(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer([http(200, FOUND)]) as server:
        connect(monkeypatch, server.url)
        workflow = hook.update_workflow(WORKFLOW, description="")
    assert json.loads(server.requests[0].body) == {"description": ""}
    assert (workflow["version"], workflow["created_by"]) == (3, None)
    assert "more" not in workflow
    assert len(workflow) == 13


def test_a_lost_response_leaves_one_workflow(hook: AitronosHook, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([Reset(), Reset(), http(201, FOUND)]) as server:
        connect(monkeypatch, server.url)
        made = hook.create_workflow(name="x", definition={}, external_id="support")
    assert made["id"] == WORKFLOW
    bodies = [json.loads(one.body) for one in server.requests]
    assert bodies == [{"name": "x", "definition": {}, "external_id": "support"}] * 3


# One fault of each kind, for every call


HookCall = Callable[[AitronosHook], Any]
REPEATED: dict[str, HookCall] = {
    "validate_key": lambda hook: hook.validate_key(),
    "get_workflow": lambda hook: hook.get_workflow(WORKFLOW),
    "get_assistant_workflow": lambda hook: hook.get_assistant_workflow(ASSISTANT),
    "list_workflows": lambda hook: list(hook.list_workflows()),
    "create_workflow-with-external_id": lambda hook: hook.create_workflow(
        name="x", definition={}, external_id="x"
    ),
}
ONCE: dict[str, HookCall] = {
    "create_workflow": lambda hook: hook.create_workflow(name="x", definition={}),
    "update_workflow": lambda hook: hook.update_workflow(WORKFLOW, name="x"),
    "promote_workflow_to_assistant": lambda hook: hook.promote_workflow_to_assistant(WORKFLOW),
}
# What is sent, and whether the outcome of a call that must not be repeated is then unknown.
FAULTS: dict[str, tuple[Reply, int, bool]] = {
    "lost": (Reset(), 4, True),
    "cut": (Close(http(200, "{}" + " " * 9)[:-9]), 4, True),
    "503": (http(503), 4, True),
    "501": (http(501), 1, True),
    "page": (http(200, HTML), 1, True),
    "429": (http(429), 4, False),
    "409": (http(409), 1, False),
    "401": (http(401), 1, False),
    "404": (http(404), 1, False),
    "redirect": (http(302, headers=[("Location", "/x")]), 1, True),
}


@pytest.mark.parametrize(("fault", "times", "maybe_done"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("name", REPEATED | ONCE)
def test_each_kind_of_fault_ends_every_call_in_an_error_of_ours(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, name: str, fault: Reply, times: int, maybe_done: bool
) -> None:
    with FaultServer([fault] * 5) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosError) as caught:
            check_json((REPEATED | ONCE)[name](hook))
    check_error(caught.value)
    is_unknown = name in ONCE and maybe_done
    assert caught.value.maybe_done == (maybe_done and not name.startswith(("get", "list", "validate")))
    assert isinstance(caught.value, AirflowFailException) or not is_unknown
    assert len(server.requests) == (1 if is_unknown else times)


@pytest.mark.parametrize(
    ("answer", "error"), [(Reset(), AitronosNetworkError), (http(503), AitronosServerError)]
)
def test_a_get_that_may_succeed_later_makes_no_permanent_failure(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, answer: Reply, error: type[AitronosError]
) -> None:
    with FaultServer([GONE_404, answer] * 4) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(error) as caught:
            hook.get_assistant_workflow(ASSISTANT)
    assert not isinstance(caught.value, AirflowFailException)
