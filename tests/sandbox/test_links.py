"""Linking and unlinking: detach, delete, promote and convert."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_aitronos.sandbox.errors import ApiError
from airflow_aitronos.sandbox.server import SandboxServer
from tests.sandbox.caller import Api

DETACH = "/v1/assistants/asst_support01/workflow"
PROMOTE = "/v1/workflows/flow_spare01/promote-to-assistant"
CONVERT = "/v1/assistants/asst_idle01/convert-to-workflow"


def workflow_of(api: Api, assistant_id: str) -> Any:
    return api.ok("GET", f"/v1/assistants/{assistant_id}")["workflow_id"]


def test_a_detach_removes_the_link_and_nothing_else(api: Api, sandbox: SandboxServer) -> None:
    links = sandbox.store.links
    before = api.ok("GET", "/v1/workflows/flow_support01")
    assert before["assistant_id"] == "asst_support01"
    assert api.ok("GET", DETACH) == before
    assert api.ok("DELETE", DETACH)["workflow_id"] == "flow_support01"
    after = api.ok("GET", "/v1/workflows/flow_support01")
    assert after == before | {"assistant_id": None, "updated_at": after["updated_at"]}
    assert sandbox.store.links == links | {"asst_support01": None}
    error = api.refused("GET", DETACH, 404, "WORKFLOW_NOT_LINKED")
    assert error["details"] == {"assistant_id": "asst_support01"}


def test_a_second_detach_finds_nothing(api: Api, sandbox: SandboxServer) -> None:
    api.ok("DELETE", DETACH)
    assert api.ok("DELETE", DETACH)["workflow_id"] is None
    assert sandbox.store.detached == [("asst_support01", "flow_support01")]


def test_an_assistant_shows_what_is_linked(api: Api) -> None:
    linked = api.ok("GET", "/v1/assistants/asst_support01")
    assert (linked["workflow_version"], linked["workflow_based"]) == (1, True)
    api.ok("DELETE", DETACH)
    unlinked = api.ok("GET", "/v1/assistants/asst_support01")
    assert (unlinked["workflow_version"], unlinked["workflow_based"]) == (None, False)


def test_has_assistant_means_an_assistant_node(api: Api) -> None:
    assert api.ok("GET", "/v1/workflows/flow_support01")["has_assistant"] is False
    definition = {"nodes": [{"id": "a", "type": "assistant"}]}
    made = api.ok("POST", "/v1/workflows", json={"name": "n", "definition": definition})
    assert (made["assistant_id"], made["has_assistant"]) == (None, True)


def test_promote_makes_a_linked_assistant(api: Api) -> None:
    api.ok("PATCH", "/v1/workflows/flow_spare01", json={"description": "Of the flow"})
    made = api.ok("POST", PROMOTE)
    assert made["workflow_id"] == "flow_spare01"
    assistant = api.ok("GET", f"/v1/assistants/{made['assistant_id']}")
    assert (assistant["workflow_id"], assistant["workflow_version"]) == ("flow_spare01", 2)
    assert (assistant["name"], assistant["description"]) == ("Spare flow", "Of the flow")
    workflow = api.ok("GET", "/v1/workflows/flow_spare01")
    assert (workflow["assistant_id"], workflow["version"]) == (made["assistant_id"], 2)


def test_promote_with_name_and_description(api: Api) -> None:
    body = {"name": "Mine", "description": "", "primary_node_id": "llm_1"}
    made = api.ok("POST", PROMOTE, json=body)
    assistant = api.ok("GET", f"/v1/assistants/{made['assistant_id']}")
    assert (assistant["name"], assistant["description"]) == ("Mine", "")


def test_a_workflow_names_the_latest_of_its_assistants(api: Api) -> None:
    latest = api.ok("POST", "/v1/workflows/flow_support01/promote-to-assistant")["assistant_id"]
    assert workflow_of(api, "asst_support01") == workflow_of(api, latest) == "flow_support01"
    assert api.ok("GET", "/v1/workflows/flow_support01")["assistant_id"] == latest
    api.ok("DELETE", f"/v1/assistants/{latest}/workflow")
    assert api.ok("GET", "/v1/workflows/flow_support01")["assistant_id"] == "asst_support01"


def test_deleting_a_workflow_unlinks_all_its_assistants(api: Api, sandbox: SandboxServer) -> None:
    latest = api.ok("POST", "/v1/workflows/flow_support01/promote-to-assistant")["assistant_id"]
    assert api("DELETE", "/v1/workflows/flow_support01").status_code == 204
    assert workflow_of(api, "asst_support01") is None
    assert workflow_of(api, latest) is None
    assert sandbox.store.detached == []


TWO_LLM_NODES = {
    "nodes": [{"id": "a", "type": "llm"}, {"id": "b", "type": "llm"}, {"id": "c", "type": "tool"}],
}


@pytest.mark.parametrize(
    ("definition", "primary_node_id", "status"),
    [
        pytest.param(TWO_LLM_NODES, None, 422, id="several, none named"),
        pytest.param(TWO_LLM_NODES, "b", 201, id="several, one named"),
        pytest.param(TWO_LLM_NODES, "c", 422, id="not an LLM node"),
        pytest.param({"nodes": ["text", {"id": "a"}]}, None, 201, id="no LLM node"),
        pytest.param({"nodes": {"a": {"type": "llm"}}}, "a", 422, id="nodes not an array"),
        pytest.param({}, None, 201, id="no nodes"),
    ],
)
def test_promote_checks_the_primary_node(
    api: Api, definition: dict[str, Any], primary_node_id: str | None, status: int
) -> None:
    api.ok("PATCH", "/v1/workflows/flow_spare01", json={"definition": definition})
    body = {"primary_node_id": primary_node_id}
    if status == 422:
        error = api.refused("POST", PROMOTE, 422, "INVALID_FIELD_VALUE", json=body)
        assert error["details"] == {"field": "primary_node_id"}
    else:
        api.ok("POST", PROMOTE, json=body)
    is_linked = api.ok("GET", "/v1/workflows/flow_spare01")["assistant_id"] is not None
    assert is_linked == (status == 201)


def test_convert_makes_a_linked_workflow(api: Api) -> None:
    made = api.ok("POST", CONVERT)
    assert made["assistant_id"] == made["workflow"]["assistant_id"] == "asst_idle01"
    assert made["workflow"]["id"] == made["workflow_id"] == workflow_of(api, "asst_idle01")
    assert (made["workflow"]["name"], made["workflow"]["description"]) == ("Idle", "Has no workflow")


def test_convert_with_name_and_description(api: Api) -> None:
    made = api.ok("POST", CONVERT, json={"workflow_name": "Mine", "description": ""})
    assert (made["workflow"]["name"], made["workflow"]["description"]) == ("Mine", "")


def test_convert_of_a_linked_assistant(api: Api) -> None:
    path = "/v1/assistants/asst_support01/convert-to-workflow"
    error = api.refused("POST", path, 409, "ASSISTANT_ALREADY_LINKED")
    assert error["details"] == {"assistant_id": "asst_support01", "workflow_id": "flow_support01"}
    assert api.ok("GET", "/v1/workflows")["total"] == 5


@pytest.mark.parametrize(
    ("assistant_id", "workflow_id", "says"),
    [
        ("asst_idle01", "flow_nobody", "There is no workflow 'flow_nobody'."),
        ("asst_nobody", "flow_spare01", "There is no assistant 'asst_nobody'."),
        ("asst_support01", "flow_spare01", "asst_support01 already has the workflow flow_support01"),
    ],
)
def test_a_link_that_cannot_be_made_says_why(
    sandbox: SandboxServer, assistant_id: str, workflow_id: str, says: str
) -> None:
    with pytest.raises(ApiError, match=says):
        sandbox.store.link(assistant_id, workflow_id)


def test_a_link_and_an_unlink_by_other_means(sandbox: SandboxServer) -> None:
    sandbox.store.link("asst_idle01", "flow_spare01")
    assert sandbox.store.links["asst_idle01"] == "flow_spare01"
    sandbox.store.unlink("asst_idle01")
    assert sandbox.store.links["asst_idle01"] is None
    assert sandbox.store.detached == []
