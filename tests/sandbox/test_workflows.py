"""Making, changing, deleting and listing workflows."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_aitronos.sandbox.server import SandboxServer
from tests.sandbox.caller import Api

NEW = {"name": "New", "definition": {"nodes": []}, "description": "Text", "external_id": "git:1"}
SPARE = "/v1/workflows/flow_spare01"


def test_create(api: Api) -> None:
    made = api.ok("POST", "/v1/workflows", json=NEW)
    assert made | NEW == made
    assert (made["version"], made["is_active"], made["assistant_id"]) == (1, True, None)
    assert api.ok("GET", f"/v1/workflows/{made['id']}") == made


def test_same_calls_give_the_same_ids(api: Api, sandbox: SandboxServer) -> None:
    first = api.ok("POST", "/v1/workflows", json=NEW)["id"]
    sandbox.reset()
    assert api.ok("POST", "/v1/workflows", json=NEW)["id"] == first


def test_upsert_updates_the_workflow_with_the_external_id(api: Api) -> None:
    made = api.ok("POST", "/v1/workflows", json=NEW)
    promoted = api.ok("POST", f"/v1/workflows/{made['id']}/promote-to-assistant")
    api.ok("PATCH", f"/v1/workflows/{made['id']}", json={"is_active": False})
    changed = {"name": "Newer", "definition": {"nodes": [1]}, "external_id": "git:1"}
    updated = api.ok("POST", "/v1/workflows", json=changed)
    kept = {"id": made["id"], "version": 3, "description": "Text", "is_active": False}
    assert updated | changed | kept == updated
    assert updated["assistant_id"] == promoted["assistant_id"]
    assert api.ok("GET", "/v1/workflows", params={"external_id": "git:1"})["total"] == 1


def test_without_external_id_every_post_makes_a_workflow(api: Api) -> None:
    body = {"name": "Same", "definition": {}}
    first, second = (api.ok("POST", "/v1/workflows", json=body) for _ in range(2))
    assert first["id"] != second["id"]
    assert (first["description"], first["external_id"]) == (None, None)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Other"},
        {"description": ""},
        {"definition": {"other": [None, 1.5, True, "é"]}},
        {"is_active": False},
        {"external_id": "other"},
        {"external_id": "spare"},
    ],
    ids=str,
)
def test_patch_changes_one_field_and_counts_up(api: Api, change: dict[str, Any]) -> None:
    before = api.ok("GET", SPARE)
    after = api.ok("PATCH", SPARE, json=change)
    assert after == before | change | {"version": 2, "updated_at": after["updated_at"]}
    assert api.ok("GET", SPARE) == after


@pytest.mark.parametrize("body", [{}, {"name": None, "description": None}, {"unknown": 1}], ids=str)
def test_patch_without_a_change_does_not_count_up(api: Api, body: dict[str, Any]) -> None:
    before = api.ok("GET", SPARE)
    assert api.ok("PATCH", SPARE, json=body) == before


def test_patch_with_the_external_id_of_another_workflow(api: Api) -> None:
    body = {"external_id": "spare", "name": "Other"}
    path = "/v1/workflows/flow_support01"
    error = api.refused("PATCH", path, 409, "WORKFLOW_EXTERNAL_ID_CONFLICT", json=body)
    assert error["details"] == {"external_id": "spare", "workflow_id": "flow_spare01"}
    assert api.ok("GET", path)["name"] == "Support flow"


def test_a_paused_workflow_is_still_found_and_linked(api: Api) -> None:
    api.ok("PATCH", "/v1/workflows/flow_support01", json={"is_active": False})
    linked = api.ok("GET", "/v1/assistants/asst_support01/workflow")
    assert (linked["id"], linked["is_active"]) == ("flow_support01", False)


def test_a_deleted_workflow_is_only_listed_and_its_external_id_is_free(api: Api) -> None:
    assert api("DELETE", SPARE).status_code == 204
    api.refused("GET", SPARE, 404, "WORKFLOW_NOT_FOUND")
    api.refused("DELETE", SPARE, 404, "WORKFLOW_NOT_FOUND")
    (listed,) = api.ok("GET", "/v1/workflows", params={"external_id": "spare"})["workflows"]
    assert (listed["id"], listed["is_active"]) == ("flow_spare01", False)
    made = api.ok("POST", "/v1/workflows", json=NEW | {"external_id": "spare"})
    assert (made["id"] != "flow_spare01", made["version"]) == (True, 1)
    active = api.ok("GET", "/v1/workflows", params={"external_id": "spare", "active_only": "true"})
    assert [one["id"] for one in active["workflows"]] == [made["id"]]


def test_pages_of_the_list(api: Api) -> None:
    everything = api.ok("GET", "/v1/workflows")
    assert (everything["total"], everything["limit"], everything["offset"]) == (5, 50, 0)
    ids = [workflow["id"] for workflow in everything["workflows"]]
    assert (ids[0], ids[-1]) == ("flow_support01", "flow_spare01")
    page = api.ok("GET", "/v1/workflows", params={"limit": 3, "offset": 3})
    assert (page["total"], page["limit"], page["offset"]) == (5, 3, 3)
    assert [workflow["id"] for workflow in page["workflows"]] == ids[3:]


@pytest.mark.parametrize("params", [{"limit": 101}, {"offset": "x"}, {"active_only": "perhaps"}], ids=str)
def test_a_list_query_that_is_refused(api: Api, params: dict[str, Any]) -> None:
    error = api.refused("GET", "/v1/workflows", 422, "VALIDATION_ERROR", params=params)
    assert [problem["loc"] for problem in error["details"]["errors"]] == [["query", *params]]


@pytest.mark.parametrize(
    "fields", [{"workflow_id": "flow_spare01"}, {"external_id": "spare"}], ids=["id", "external id"]
)
def test_what_is_there_cannot_be_added(sandbox: SandboxServer, fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"flow_spare01.* already"):
        sandbox.store.add_workflow("Again", {}, **fields)
    assert len(sandbox.store.workflows) == 5
