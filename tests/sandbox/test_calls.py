"""What the calls do: links, workflows and lists."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_aitronos.sandbox.server import SandboxServer
from tests.sandbox.caller import Api
from tests.sandbox.contract import API_KEY, ORGANIZATION

LINK = "/v1/assistants/asst_support01/workflow"
SPARE = "/v1/workflows/flow_spare01"
NEW = {"name": "New", "definition": {"nodes": []}, "description": "Text", "external_id": "git:1"}
SEEDED = ["asst_support01", "asst_billing01", "asst_onboarding01", "asst_sales01", "asst_idle01"]
BY_NAME = ["asst_billing01", "asst_idle01", "asst_onboarding01", "asst_private01", *SEEDED[3::-3]]


def assistant_of(api: Api, assistant_id: str) -> Any:
    return api.ok("GET", f"/v1/assistants/{assistant_id}")


def page_of(api: Api, **params: Any) -> Any:
    return api.ok("GET", "/v1/assistants", params={"organization_id": ORGANIZATION} | params)


def ids_of(page: Any) -> list[str]:
    return [row["id"] for row in page.get("assistants", page.get("workflows"))]


# --- links ---


def test_a_detach_removes_the_link_and_nothing_else(api: Api, sandbox: SandboxServer) -> None:
    links, before = sandbox.store.links, api.ok("GET", LINK)
    linked = assistant_of(api, "asst_support01")
    assert (linked["workflow_version"], linked["workflow_based"]) == (1, True)
    assert api.ok("DELETE", LINK)["workflow_id"] == "flow_support01"
    after = api.ok("GET", "/v1/workflows/flow_support01")
    assert before["assistant_id"] == "asst_support01"
    assert after == before | {"assistant_id": None, "updated_at": after["updated_at"]}
    unlinked = assistant_of(api, "asst_support01")
    assert (unlinked["workflow_version"], unlinked["workflow_based"]) == (None, False)
    assert api.ok("DELETE", LINK)["workflow_id"] is None
    sandbox.store.unlink("asst_billing01")  # not by a detach
    assert sandbox.store.links == links | {"asst_support01": None, "asst_billing01": None}
    assert sandbox.store.detached == [("asst_support01", "flow_support01")]


def test_promote_makes_a_linked_assistant(api: Api) -> None:
    api.ok("PATCH", SPARE, json={"description": "Of the flow"})
    for body, name in (({}, "Spare flow"), ({"name": "Mine"}, "Mine")):
        made = api.ok("POST", SPARE + "/promote-to-assistant", json=body)
        assistant = assistant_of(api, made["assistant_id"])
        assert (assistant["workflow_id"], assistant["workflow_version"]) == (made["workflow_id"], 2)
        assert (assistant["name"], assistant["description"]) == (name, "Of the flow")
        workflow = api.ok("GET", SPARE)
        assert (workflow["assistant_id"], workflow["version"]) == (made["assistant_id"], 2)
    # The second one was the latest; without it the workflow names the first again.
    api.ok("DELETE", f"/v1/assistants/{made['assistant_id']}/workflow")
    assert api.ok("GET", SPARE)["assistant_id"] < made["assistant_id"]


LLM = [{"id": "a", "type": "llm"}, {"id": "b", "type": "llm"}, {"id": "c", "type": "tool"}, "text"]


@pytest.mark.parametrize(
    ("nodes", "primary_node_id", "status"),
    [
        (LLM, "b", 201),
        (LLM[1:], None, 201),
        ({}, None, 201),
        (LLM, "c", 422),
        (LLM, None, 422),
        ({}, "a", 422),
    ],
    ids=str,
)
def test_promote_needs_a_node_to_begin_with(
    api: Api, nodes: Any, primary_node_id: str | None, status: int
) -> None:
    api.ok("PATCH", SPARE, json={"definition": {"nodes": nodes}})
    sent = {"primary_node_id": primary_node_id}
    assert api("POST", SPARE + "/promote-to-assistant", json=sent).status_code == status
    assert (api.ok("GET", SPARE)["assistant_id"] is None) == (status == 422)


# --- workflows ---


def test_upsert_updates_the_workflow_with_the_external_id(api: Api, sandbox: SandboxServer) -> None:
    made = api.ok("POST", "/v1/workflows", json=NEW)
    assert made | NEW | {"version": 1, "is_active": True, "assistant_id": None} == made
    sandbox.store.link("asst_idle01", made["id"])
    api.ok("PATCH", f"/v1/workflows/{made['id']}", json={"is_active": False})
    changed = {"name": "Newer", "definition": {"nodes": [1]}, "external_id": "git:1"}
    updated = api.ok("POST", "/v1/workflows", json=changed)
    kept = {"id": made["id"], "description": "Text", "is_active": False, "assistant_id": "asst_idle01"}
    assert updated | changed | kept | {"version": 3} == updated
    assert api.ok("GET", "/v1/workflows", params={"external_id": "git:1"})["total"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Other"},
        {"definition": {"other": [None, 1.5, True, "é"]}},
        {"is_active": False},
        {},
        {"name": None, "unknown": 1},
    ],
    ids=str,
)
def test_patch_changes_what_is_sent_and_counts_up(api: Api, change: dict[str, Any]) -> None:
    before = api.ok("GET", SPARE)
    known = {name: value for name, value in change.items() if name in before and value is not None}
    after = api.ok("PATCH", SPARE, json=change)
    assert after == before | known | {"version": 1 + bool(known), "updated_at": after["updated_at"]}
    assert api.ok("GET", SPARE) == after


def test_a_deleted_workflow_is_only_listed_and_its_external_id_is_free(api: Api) -> None:
    latest = api.ok("POST", SPARE + "/promote-to-assistant")["assistant_id"]
    assert api("DELETE", SPARE).status_code == 204
    assert assistant_of(api, latest)["workflow_id"] is None
    api.refused("GET", SPARE, 404, "WORKFLOW_NOT_FOUND")
    (listed,) = api.ok("GET", "/v1/workflows", params={"external_id": "spare"})["workflows"]
    assert (listed["id"], listed["is_active"]) == ("flow_spare01", False)
    made = api.ok("POST", "/v1/workflows", json=NEW | {"external_id": "spare"})
    active = api.ok("GET", "/v1/workflows", params={"external_id": "spare", "active_only": "true"})
    assert ids_of(active) == [made["id"]] != ["flow_spare01"]


# --- lists ---


@pytest.mark.parametrize(
    ("limit", "offset", "ids", "has_more"),
    [(1, 2, SEEDED[2:3], True), (3, 2, SEEDED[2:], False), (100, 6, [], False)],
)
def test_pages(api: Api, limit: int, offset: int, ids: list[str], has_more: bool) -> None:
    place = {"total": 5, "limit": limit, "offset": offset}
    page = page_of(api, limit=limit, offset=offset)
    assert (ids_of(page), page["total"], page["organization_id"]) == (ids, 5, ORGANIZATION)
    assert page["pagination"] == place | {"has_more": has_more}
    workflows = api.ok("GET", "/v1/workflows", params={"limit": limit, "offset": offset})
    flows = [*(one.replace("asst", "flow") for one in SEEDED[:4]), "flow_spare01"]
    assert ids_of(workflows) == flows[offset : offset + limit]
    assert workflows | place == workflows


@pytest.mark.parametrize(
    ("params", "ids"),
    [
        ({"search": "BILL"}, ["asst_billing01"]),
        ({"search": "no workflow"}, ["asst_idle01"]),
        ({"access_mode": "private"}, ["asst_private01"]),
        ({"include_inactive": "false", "fields": "full"}, [*SEEDED, "asst_private01"]),
        ({"include_inactive": "true"}, [*SEEDED, "asst_private01", "asst_retired01"]),
        ({"sort_by": "name"}, BY_NAME),
        ({"sort_by": "name", "sort_order": "desc"}, BY_NAME[::-1]),
    ],
    ids=str,
)
def test_filters_and_order(api: Api, sandbox: SandboxServer, params: dict[str, Any], ids: list[str]) -> None:
    sandbox.store.add_assistant("Private", assistant_id="asst_private01", access_mode="private")
    sandbox.store.add_assistant("Retired", assistant_id="asst_retired01", is_active=False)
    page = page_of(api, **params)
    assert (ids_of(page), page["total"], page["pagination"]["limit"]) == (ids, len(ids), 50)


def test_a_fleet_is_listed_in_pages_and_comes_back_with_a_reset() -> None:
    with SandboxServer(fleet=10_000) as server, Api(server.url, API_KEY) as api:
        last = page_of(api, search="fleet", limit=100, offset=9_900)
        assert last["pagination"] == {"total": 10_000, "limit": 100, "offset": 9_900, "has_more": False}
        assert ids_of(last)[-1] == "asst_fleet10000"
        detached = api.ok("DELETE", "/v1/assistants/asst_fleet10000/workflow")
        assert detached["workflow_id"] == "flow_fleet10000"
        server.reset()
        assert server.store.links["asst_fleet10000"] == "flow_fleet10000"
