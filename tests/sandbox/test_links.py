"""Linking and unlinking: detach, delete, promote and convert."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.caller import Api

DETACH = "/v1/assistants/asst_support01/workflow"
PROMOTE = "/v1/workflows/flow_spare01/promote-to-assistant"
CONVERT = "/v1/assistants/asst_idle01/convert-to-workflow"


def workflow_of(api: Api, assistant_id: str) -> Any:
    return api.ok("GET", f"/v1/assistants/{assistant_id}")["workflow_id"]


def test_detach_removes_the_link_and_keeps_the_workflow(api: Api) -> None:
    before = api.ok("GET", "/v1/workflows/flow_support01")
    assert (before["assistant_id"], before["has_assistant"]) == ("asst_support01", True)
    assert api.ok("GET", DETACH) == before
    assert api.ok("DELETE", DETACH)["workflow_id"] == "flow_support01"
    after = api.ok("GET", "/v1/workflows/flow_support01")
    unlinked = {"assistant_id": None, "has_assistant": False, "updated_at": after["updated_at"]}
    assert after == before | unlinked
    assert workflow_of(api, "asst_support01") is None
    error = api.refused("GET", DETACH, 404, "WORKFLOW_NOT_LINKED")
    assert error["details"] == {"assistant_id": "asst_support01"}


def test_detach_touches_no_other_assistant(api: Api) -> None:
    api.ok("DELETE", DETACH)
    assert workflow_of(api, "asst_billing01") == "flow_billing01"
    assert workflow_of(api, "asst_onboarding01") == "flow_onboarding01"


def test_second_detach(api: Api) -> None:
    api.ok("DELETE", DETACH)
    assert api.ok("DELETE", DETACH) == {
        "assistant_id": "asst_support01",
        "workflow_id": None,
        "message": "Operation completed successfully",
    }


def test_detach_of_an_assistant_that_never_had_a_workflow(api: Api) -> None:
    assert api.ok("DELETE", "/v1/assistants/asst_idle01/workflow")["workflow_id"] is None


def test_deleting_a_workflow_unlinks_its_assistant(api: Api) -> None:
    assert api("DELETE", "/v1/workflows/flow_support01").status_code == 204
    assert workflow_of(api, "asst_support01") is None
    api.refused("GET", DETACH, 404, "WORKFLOW_NOT_LINKED")
    assert api.ok("DELETE", DETACH)["workflow_id"] is None
    workflows = api.ok("GET", "/v1/workflows")["workflows"]
    (listed,) = (workflow for workflow in workflows if workflow["id"] == "flow_support01")
    assert (listed["assistant_id"], listed["has_assistant"]) == (None, False)


def test_promote_makes_a_linked_assistant(api: Api) -> None:
    api.ok("PATCH", "/v1/workflows/flow_spare01", json={"description": "Of the flow"})
    made = api.ok("POST", PROMOTE)
    assert made["workflow_id"] == "flow_spare01"
    assistant = api.ok("GET", f"/v1/assistants/{made['assistant_id']}")
    assert assistant["workflow_id"] == "flow_spare01"
    assert (assistant["name"], assistant["description"]) == ("Spare flow", "Of the flow")
    workflow = api.ok("GET", "/v1/workflows/flow_spare01")
    assert (workflow["assistant_id"], workflow["has_assistant"]) == (made["assistant_id"], True)
    assert workflow["version"] == 2


def test_promote_with_name_and_description(api: Api) -> None:
    body = {"name": "Mine", "description": "", "primary_node_id": "llm_1"}
    made = api.ok("POST", PROMOTE, json=body)
    assistant = api.ok("GET", f"/v1/assistants/{made['assistant_id']}")
    assert (assistant["name"], assistant["description"]) == ("Mine", "")


def test_promote_of_a_linked_workflow_gives_it_a_second_assistant(api: Api) -> None:
    young = api.ok("POST", "/v1/workflows/flow_support01/promote-to-assistant")["assistant_id"]
    assert workflow_of(api, "asst_support01") == workflow_of(api, young) == "flow_support01"
    assert api.ok("GET", "/v1/workflows/flow_support01")["assistant_id"] == young
    api.ok("DELETE", f"/v1/assistants/{young}/workflow")
    workflow = api.ok("GET", "/v1/workflows/flow_support01")
    assert (workflow["assistant_id"], workflow["has_assistant"]) == ("asst_support01", True)


def test_deleting_a_workflow_unlinks_all_its_assistants(api: Api) -> None:
    young = api.ok("POST", "/v1/workflows/flow_support01/promote-to-assistant")["assistant_id"]
    assert api("DELETE", "/v1/workflows/flow_support01").status_code == 204
    assert workflow_of(api, "asst_support01") is None
    assert workflow_of(api, young) is None


def test_promote_after_detach_links_again(api: Api) -> None:
    api.ok("DELETE", DETACH)
    made = api.ok("POST", "/v1/workflows/flow_support01/promote-to-assistant")
    assert made["assistant_id"] != "asst_support01"
    assert workflow_of(api, made["assistant_id"]) == "flow_support01"


TWO_LLM_NODES = {
    "nodes": [{"id": "a", "type": "llm"}, {"id": "b", "type": "llm"}, {"id": "c", "type": "tool"}],
}


@pytest.mark.parametrize(
    ("definition", "primary_node_id"),
    [
        pytest.param(TWO_LLM_NODES, None, id="several, none named"),
        pytest.param(TWO_LLM_NODES, "c", id="not an LLM node"),
        pytest.param(TWO_LLM_NODES, "d", id="unknown node"),
        pytest.param({}, "a", id="no nodes"),
        pytest.param({"nodes": {"a": {"type": "llm"}}}, "a", id="nodes not an array"),
    ],
)
def test_promote_refuses_the_primary_node(
    api: Api, definition: dict[str, Any], primary_node_id: str | None
) -> None:
    api.ok("PATCH", "/v1/workflows/flow_spare01", json={"definition": definition})
    error = api.refused(
        "POST", PROMOTE, 422, "INVALID_FIELD_VALUE", json={"primary_node_id": primary_node_id}
    )
    assert error["details"] == {"field": "primary_node_id"}
    assert api.ok("GET", "/v1/workflows/flow_spare01")["has_assistant"] is False


@pytest.mark.parametrize(
    ("definition", "primary_node_id"),
    [
        pytest.param(TWO_LLM_NODES, "b", id="several, one named"),
        pytest.param({"nodes": ["text", {"id": "a"}]}, None, id="no LLM node"),
        pytest.param({}, None, id="no nodes"),
    ],
)
def test_promote_accepts_the_primary_node(
    api: Api, definition: dict[str, Any], primary_node_id: str | None
) -> None:
    api.ok("PATCH", "/v1/workflows/flow_spare01", json={"definition": definition})
    made = api.ok("POST", PROMOTE, json={"primary_node_id": primary_node_id})
    assert workflow_of(api, made["assistant_id"]) == "flow_spare01"


def test_convert_makes_a_linked_workflow(api: Api) -> None:
    made = api.ok("POST", CONVERT)
    assert made["assistant_id"] == "asst_idle01"
    assert made["workflow"]["id"] == made["workflow_id"] == workflow_of(api, "asst_idle01")
    assert (made["workflow"]["name"], made["workflow"]["description"]) == ("Idle", "Has no workflow")
    assert (made["workflow"]["assistant_id"], made["workflow"]["has_assistant"]) == ("asst_idle01", True)
    assert api.ok("GET", "/v1/assistants/asst_idle01/workflow") == made["workflow"]


def test_convert_with_name_and_description(api: Api) -> None:
    made = api.ok("POST", CONVERT, json={"workflow_name": "Mine", "description": ""})
    assert (made["workflow"]["name"], made["workflow"]["description"]) == ("Mine", "")


def test_convert_of_a_linked_assistant(api: Api) -> None:
    path = "/v1/assistants/asst_support01/convert-to-workflow"
    error = api.refused("POST", path, 409, "ASSISTANT_ALREADY_LINKED")
    assert error["details"] == {"assistant_id": "asst_support01", "workflow_id": "flow_support01"}
    assert api.ok("GET", "/v1/workflows")["total"] == 4
