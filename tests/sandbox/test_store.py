"""The state below the calls: copies and times."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_aitronos.sandbox import store as store_module
from airflow_aitronos.sandbox.models import (
    Assistant,
    AssistantQuery,
    ConvertRequest,
    PromoteRequest,
    Workflow,
    WorkflowCreate,
    WorkflowQuery,
    WorkflowUpdate,
)
from airflow_aitronos.sandbox.seed import ORGANIZATION_ID, seed
from airflow_aitronos.sandbox.store import Store

NEW = WorkflowCreate(name="New", definition={})
KNOWN = WorkflowCreate(name="New", definition={}, external_id="spare")


@pytest.fixture
def store() -> Store:
    made = Store(ORGANIZATION_ID)
    seed(made)
    return made


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda store: store.get_workflow("flow_support01"), id="get"),
        pytest.param(lambda store: store.get_linked_workflow("asst_support01"), id="get linked"),
        pytest.param(lambda store: store.list_workflows(WorkflowQuery()).workflows[0], id="list"),
        pytest.param(lambda store: store.update_workflow("flow_support01", WorkflowUpdate()), id="update"),
        pytest.param(lambda store: store.upsert_workflow(NEW), id="upsert a new one"),
        pytest.param(lambda store: store.upsert_workflow(KNOWN), id="upsert a known one"),
        pytest.param(
            lambda store: store.convert_assistant("asst_idle01", ConvertRequest()).workflow, id="convert"
        ),
        pytest.param(lambda store: store.add_workflow("New", {}), id="add"),
    ],
)
def test_workflows_are_copies(store: Store, ask: Callable[[Store], Workflow]) -> None:
    held = ask(store)
    held.name = "Mine"
    assert store.get_workflow(held.id).name != "Mine"


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda store: store.get_assistant("asst_idle01"), id="get"),
        pytest.param(
            lambda store: store.list_assistants(AssistantQuery(organization_id=ORGANIZATION_ID)).assistants[
                0
            ],
            id="list",
        ),
        pytest.param(lambda store: store.add_assistant("New"), id="add"),
    ],
)
def test_assistants_are_copies(store: Store, ask: Callable[[Store], Assistant]) -> None:
    held = ask(store)
    held.name = "Mine"
    assert store.get_assistant(held.id).name != "Mine"


def workflow_time(store: Store, workflow_id: str) -> int:
    # By way of the list, which shows a deleted workflow too.
    workflows = store.list_workflows(WorkflowQuery()).workflows
    return next(workflow.updated_at for workflow in workflows if workflow.id == workflow_id)


@pytest.mark.parametrize(
    ("act", "workflow_id", "assistant_id"),
    [
        pytest.param(
            lambda store: store.detach("asst_support01"), "flow_support01", "asst_support01", id="detach"
        ),
        pytest.param(
            lambda store: store.link("asst_idle01", "flow_spare01"), "flow_spare01", "asst_idle01", id="link"
        ),
        pytest.param(
            lambda store: store.delete_workflow("flow_support01"),
            "flow_support01",
            "asst_support01",
            id="delete",
        ),
        pytest.param(
            lambda store: store.delete_workflow("flow_spare01"), "flow_spare01", None, id="delete unlinked"
        ),
        pytest.param(
            lambda store: store.update_workflow("flow_spare01", WorkflowUpdate(name="n")),
            "flow_spare01",
            None,
            id="update",
        ),
        pytest.param(lambda store: store.upsert_workflow(KNOWN), "flow_spare01", None, id="upsert"),
        pytest.param(
            lambda store: store.promote_workflow("flow_spare01", PromoteRequest()),
            "flow_spare01",
            None,
            id="promote",
        ),
    ],
)
def test_changes_move_the_time(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[Store], object],
    workflow_id: str,
    assistant_id: str | None,
) -> None:
    later = 2_000_000_000
    monkeypatch.setattr(store_module, "_now", lambda: later)
    assert workflow_time(store, workflow_id) < later
    act(store)
    assert workflow_time(store, workflow_id) == later
    if assistant_id is not None:
        assert store.get_assistant(assistant_id).updated_at == later
    assert store.get_assistant("asst_billing01").updated_at < later
    assert workflow_time(store, "flow_billing01") < later


def test_detach_that_finds_nothing_does_not_move_the_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_now", lambda: 2_000_000_000)
    store.detach("asst_idle01")
    assert store.get_assistant("asst_idle01").updated_at < 2_000_000_000
