"""The named calls on workflows, against the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_aitronos.exceptions import (
    AitronosNotFoundError,
)
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.sandbox.server import SandboxServer
from tests.support.fake_clock import FakeClock

DEFINITION: dict[str, Any] = {"nodes": [{"id": "a", "prompt": "{{ not_rendered }}"}], "edges": []}


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
