"""Making, changing, deleting and listing workflows."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_aitronos.sandbox.server import SandboxServer
from tests.sandbox.caller import Api

NEW = {"name": "New", "definition": {"nodes": []}, "description": "Text", "external_id": "git:1"}


def test_create(api: Api) -> None:
    made = api.ok("POST", "/v1/workflows", json=NEW)
    assert made | NEW == made
    assert made["organization_id"] == "org_sandbox01"
    assert (made["version"], made["is_active"]) == (1, True)
    assert (made["assistant_id"], made["has_assistant"]) == (None, False)
    assert api.ok("GET", f"/v1/workflows/{made['id']}") == made


def test_create_needs_only_name_and_definition(api: Api) -> None:
    made = api.ok("POST", "/v1/workflows", json={"name": "n", "definition": {}})
    assert (made["description"], made["external_id"]) == (None, None)


def test_same_calls_give_the_same_ids(api: Api, sandbox: SandboxServer) -> None:
    first = api.ok("POST", "/v1/workflows", json=NEW)["id"]
    sandbox.reset()
    assert api.ok("POST", "/v1/workflows", json=NEW)["id"] == first


def test_upsert_updates_the_workflow_with_the_external_id(api: Api) -> None:
    made = api.ok("POST", "/v1/workflows", json=NEW)
    changed = NEW | {"name": "Newer", "definition": {"nodes": [1]}, "description": "Other"}
    updated = api.ok("POST", "/v1/workflows", json=changed)
    assert updated["id"] == made["id"]
    assert updated["version"] == 2
    assert updated | changed == updated
    assert api.ok("POST", "/v1/workflows", json=changed)["version"] == 3
    assert api.ok("GET", "/v1/workflows", params={"external_id": "git:1"})["total"] == 1


def test_upsert_keeps_description_state_and_link(api: Api) -> None:
    api.ok("POST", "/v1/workflows", json=NEW | {"external_id": "spare"})
    promoted = api.ok("POST", "/v1/workflows/flow_spare01/promote-to-assistant")
    api.ok("PATCH", "/v1/workflows/flow_spare01", json={"is_active": False})
    body = {"name": "Again", "definition": {}, "external_id": "spare"}
    updated = api.ok("POST", "/v1/workflows", json=body)
    assert updated["id"] == "flow_spare01"
    assert updated["description"] == "Text"
    assert updated["is_active"] is False
    assert updated["assistant_id"] == promoted["assistant_id"]


def test_without_external_id_every_post_makes_a_workflow(api: Api) -> None:
    body = {"name": "Same", "definition": {}}
    first, second = (api.ok("POST", "/v1/workflows", json=body) for _ in range(2))
    assert first["id"] != second["id"]
    assert (first["version"], second["version"]) == (1, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Other"},
        {"description": "Other"},
        {"description": ""},
        {"definition": {"other": [None, 1.5, True]}},
        {"is_active": False},
        {"external_id": "other"},
        {"external_id": "spare"},
    ],
    ids=str,
)
def test_patch_changes_one_field_and_counts_up(api: Api, change: dict[str, Any]) -> None:
    before = api.ok("GET", "/v1/workflows/flow_spare01")
    after = api.ok("PATCH", "/v1/workflows/flow_spare01", json=change)
    assert after == before | change | {"version": 2, "updated_at": after["updated_at"]}
    assert after["updated_at"] >= before["updated_at"]
    assert api.ok("GET", "/v1/workflows/flow_spare01") == after


@pytest.mark.parametrize("body", [{}, {"name": None, "description": None}, {"unknown": 1}], ids=str)
def test_patch_without_a_change_does_not_count_up(api: Api, body: dict[str, Any]) -> None:
    before = api.ok("GET", "/v1/workflows/flow_spare01")
    assert api.ok("PATCH", "/v1/workflows/flow_spare01", json=body) == before


def test_patch_with_the_external_id_of_another_workflow(api: Api) -> None:
    body = {"external_id": "spare", "name": "Other"}
    before = api.ok("GET", "/v1/workflows/flow_support01")
    error = api.refused(
        "PATCH", "/v1/workflows/flow_support01", 409, "WORKFLOW_EXTERNAL_ID_CONFLICT", json=body
    )
    assert error["type"] == "conflict_error"
    assert error["details"] == {"external_id": "spare", "workflow_id": "flow_spare01"}
    assert api.ok("GET", "/v1/workflows/flow_support01") == before


def test_paused_workflow_is_still_found_and_linked(api: Api) -> None:
    api.ok("PATCH", "/v1/workflows/flow_support01", json={"is_active": False})
    assert api.ok("GET", "/v1/workflows/flow_support01")["is_active"] is False
    linked = api.ok("GET", "/v1/assistants/asst_support01/workflow")
    assert (linked["id"], linked["is_active"]) == ("flow_support01", False)
    assert api.ok("PATCH", "/v1/workflows/flow_support01", json={"is_active": True})["is_active"] is True


def test_deleted_workflow_is_not_found_by_id(api: Api) -> None:
    assert api("DELETE", "/v1/workflows/flow_spare01").status_code == 204
    path = "/v1/workflows/flow_spare01"
    api.refused("GET", path, 404, "WORKFLOW_NOT_FOUND")
    api.refused("PATCH", path, 404, "WORKFLOW_NOT_FOUND", json={"is_active": True})
    api.refused("DELETE", path, 404, "WORKFLOW_NOT_FOUND")
    api.refused("POST", f"{path}/promote-to-assistant", 404, "WORKFLOW_NOT_FOUND")


def test_deleted_workflow_stays_in_the_list_as_inactive(api: Api) -> None:
    api("DELETE", "/v1/workflows/flow_spare01")
    (listed,) = api.ok("GET", "/v1/workflows", params={"external_id": "spare"})["workflows"]
    assert (listed["id"], listed["is_active"]) == ("flow_spare01", False)
    active = api.ok("GET", "/v1/workflows", params={"external_id": "spare", "active_only": "true"})
    assert (active["workflows"], active["total"]) == ([], 0)


def test_external_id_of_a_deleted_workflow_is_free_again(api: Api) -> None:
    api("DELETE", "/v1/workflows/flow_spare01")
    made = api.ok("POST", "/v1/workflows", json={"name": "n", "definition": {}, "external_id": "spare"})
    assert made["id"] != "flow_spare01"
    assert (made["version"], made["is_active"]) == (1, True)


def test_pages_of_the_list(api: Api) -> None:
    everything = api.ok("GET", "/v1/workflows")
    assert (everything["total"], everything["limit"], everything["offset"]) == (4, 50, 0)
    ids = [workflow["id"] for workflow in everything["workflows"]]
    assert ids == ["flow_support01", "flow_billing01", "flow_onboarding01", "flow_spare01"]
    paged = []
    for offset in (0, 3, 6):
        page = api.ok("GET", "/v1/workflows", params={"limit": 3, "offset": offset})
        assert (page["total"], page["limit"], page["offset"]) == (4, 3, offset)
        paged.append([workflow["id"] for workflow in page["workflows"]])
    assert paged == [ids[:3], ids[3:], []]


def test_list_of_an_unknown_external_id(api: Api) -> None:
    assert api.ok("GET", "/v1/workflows", params={"external_id": "none"})["workflows"] == []


@pytest.mark.parametrize(
    "params",
    [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"offset": -1}, {"active_only": "perhaps"}],
    ids=str,
)
def test_list_query_that_is_refused(api: Api, params: dict[str, Any]) -> None:
    error = api.refused("GET", "/v1/workflows", 422, "VALIDATION_ERROR", params=params)
    assert [problem["loc"] for problem in error["details"]["errors"]] == [["query", *params]]
