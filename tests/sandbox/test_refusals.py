"""Requests that the API refuses: with which error, and that nothing is changed by them."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_aitronos.sandbox.server import SandboxServer
from tests.sandbox.caller import Api
from tests.sandbox.contract import ORGANIZATION, WITH_BODY, WITH_ID, Call

ASSISTANTS = "GET /v1/assistants"
WORKFLOWS = "GET /v1/workflows"
DEPLOY = "POST /v1/workflows"


@pytest.fixture(autouse=True)
def nothing_changed(sandbox: SandboxServer) -> Any:
    before = (sandbox.store.assistants, sandbox.store.workflows)
    yield
    assert (sandbox.store.assistants, sandbox.store.workflows) == before


@pytest.mark.parametrize("call", WITH_ID, ids=str)
def test_an_unknown_id_is_named(api: Api, call: Call) -> None:
    (parameter,) = call.ids
    code = {"assistant_id": "ASSISTANT_NOT_FOUND", "workflow_id": "WORKFLOW_NOT_FOUND"}[parameter]
    path = call.template.format(**{parameter: "unknown0"})
    error = api.refused(call.method, path, 404, code, json=call.json)
    assert (error["type"], error["details"]) == ("not_found_error", {parameter: "unknown0"})
    assert "unknown0" in error["message"]


@pytest.mark.parametrize("call", WITH_BODY, ids=str)
@pytest.mark.parametrize("body", ["{", "[]", "\xff", '{"a":' * 50_000], ids=["cut", "array", "bytes", "deep"])
def test_a_body_that_is_no_object(api: Api, call: Call, body: str) -> None:
    error = api.refused(call.method, call.path, 422, "VALIDATION_ERROR", data=body.encode("latin-1"))
    (problem,) = error["details"]["errors"]
    assert (set(problem), problem["loc"]) == ({"loc", "msg", "type"}, ["body"])


@pytest.mark.parametrize(
    ("call", "sent", "location"),
    [
        (DEPLOY, "", ["body", "name"]),
        (DEPLOY, '{"name": 1, "definition": {}}', ["body", "name"]),
        (DEPLOY, '{"name": "n", "definition": []}', ["body", "definition"]),
        (DEPLOY, '{"name": "n", "definition": {"a": "\\ud800"}}', ["body"]),
        (DEPLOY, '{"name": "n", "definition": {"a": NaN}}', ["body"]),
        ("PATCH /v1/workflows/flow_spare01", '{"is_active": 1}', ["body", "is_active"]),
        (ASSISTANTS, {"organization_id": None}, ["query", "organization_id"]),
        (ASSISTANTS, {"limit": 0}, ["query", "limit"]),
        (ASSISTANTS, {"limit": 101}, ["query", "limit"]),
        (ASSISTANTS, {"offset": -1}, ["query", "offset"]),
        (ASSISTANTS, {"include_inactive": "perhaps"}, ["query", "include_inactive"]),
        (ASSISTANTS, {"sort_by": "colour"}, ["query", "sort_by"]),
        (WORKFLOWS, {"active_only": ""}, ["query", "active_only"]),
    ],
)
def test_a_field_that_is_not_valid(api: Api, call: str, sent: Any, location: list[str]) -> None:
    method, path = call.split()
    is_body = isinstance(sent, str)
    kwargs = {"data": sent} if is_body else {"params": {"organization_id": ORGANIZATION} | sent}
    error = api.refused(method, path, 422, "VALIDATION_ERROR", **kwargs)
    assert error["type"] == "validation_error"
    assert [problem["loc"] for problem in error["details"]["errors"]] == [location]


def test_what_the_state_does_not_allow(api: Api) -> None:
    sent = {"organization_id": "org_other"}
    error = api.refused("GET", "/v1/assistants", 403, "ORGANIZATION_ACCESS_DENIED", params=sent)
    assert error["details"] == sent
    error = api.refused("GET", "/v1/assistants/asst_idle01/workflow", 404, "WORKFLOW_NOT_LINKED")
    assert error["details"] == {"assistant_id": "asst_idle01"}
    path = "/v1/assistants/asst_support01/convert-to-workflow"
    error = api.refused("POST", path, 409, "ASSISTANT_ALREADY_LINKED")
    assert error["details"] == {"assistant_id": "asst_support01", "workflow_id": "flow_support01"}
    path, sent = "/v1/workflows/flow_support01", {"external_id": "spare", "name": "Other"}
    error = api.refused("PATCH", path, 409, "WORKFLOW_EXTERNAL_ID_CONFLICT", json=sent)
    assert error["details"] == {"external_id": "spare", "workflow_id": "flow_spare01"}
    path, sent = "/v1/workflows/flow_spare01/promote-to-assistant", {"primary_node_id": "unknown"}
    error = api.refused("POST", path, 422, "INVALID_FIELD_VALUE", json=sent)
    assert error["details"] == {"field": "primary_node_id"}


@pytest.mark.parametrize("path", ["/v1/nothing", "/", "/v1/workflows/", "/docs", "/_sandbox/reset"])
def test_an_unknown_path_has_the_body_of_the_framework(api: Api, path: str) -> None:
    response = api("GET", path, allow_redirects=False)
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})
    wrong_method = api("PUT", "/v1/workflows")
    assert (wrong_method.status_code, wrong_method.json()) == (405, {"detail": "Method Not Allowed"})
