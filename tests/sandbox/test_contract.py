"""Every call, field and status that the contract of the API names."""

from __future__ import annotations

import re
import time

import pytest

from airflow_aitronos.sandbox.api import CALLS as SERVED
from tests.sandbox.caller import Api, MakeApi
from tests.sandbox.contract import (
    ASSISTANT,
    CALLS,
    ORGANIZATION,
    PAGINATION,
    WITH_BODY,
    WITH_ID,
    WORKFLOW,
    Call,
    assert_fields,
)


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_success(api: Api, call: Call) -> None:
    response = api.call(call)
    assert response.status_code == call.status, response.text
    if call.reply is None:
        assert response.content == b""
    else:
        assert_fields(response.json(), call.reply)
    assert re.fullmatch(r"req_[0-9a-f]{16}", response.headers["x-request-id"])
    assert int(response.headers["freddy-processing-ms"]) >= 0
    assert response.headers["freddy-api-version"] == "v1"


def test_no_other_calls_are_served() -> None:
    assert {(call.method, call.template) for call in SERVED} == {(one.method, one.template) for one in CALLS}


def test_detach_sample(api: Api) -> None:
    assert api.ok("DELETE", "/v1/assistants/asst_support01/workflow") == {
        "assistant_id": "asst_support01",
        "workflow_id": "flow_support01",
        "message": "Operation completed successfully",
    }


def test_fields_inside_pages_and_conversions(api: Api) -> None:
    page = api.ok("GET", "/v1/assistants", params={"organization_id": ORGANIZATION})
    assert_fields(page["pagination"], PAGINATION)
    assert len(page["assistants"]) == 5
    for assistant in page["assistants"]:
        assert_fields(assistant, ASSISTANT)
    workflows = api.ok("GET", "/v1/workflows")["workflows"]
    assert len(workflows) == 5
    for workflow in workflows:
        assert_fields(workflow, WORKFLOW)
    assert_fields(api.ok("POST", "/v1/assistants/asst_idle01/convert-to-workflow")["workflow"], WORKFLOW)


def test_key_validation_and_health(api: Api, make_api: MakeApi) -> None:
    good = {"is_valid": True, "error": None, "requires_reconnect": None}
    assert api.ok("GET", "/v1/auth/validate") == good
    assert make_api(None).ok("GET", "/v1/health/") == {"status": "ok"}


def test_ids_and_times_have_the_documented_shape(api: Api) -> None:
    before = int(time.time())
    workflow = api.ok("POST", "/v1/workflows", json={"name": "New", "definition": {}})
    promoted = api.ok("POST", f"/v1/workflows/{workflow['id']}/promote-to-assistant")
    assert re.fullmatch(r"flow_[A-Za-z0-9]+", workflow["id"])
    assert re.fullmatch(r"asst_[A-Za-z0-9]+", promoted["assistant_id"])
    assert before <= workflow["created_at"] <= workflow["updated_at"] <= time.time()


@pytest.mark.parametrize("call", WITH_ID, ids=str)
def test_an_unknown_id_is_named(api: Api, call: Call) -> None:
    (parameter,) = call.ids
    path = call.template.format(**{parameter: "unknown0"})
    code = {"assistant_id": "ASSISTANT_NOT_FOUND", "workflow_id": "WORKFLOW_NOT_FOUND"}[parameter]
    error = api.refused(call.method, path, 404, code, json=call.json)
    assert error["type"] == "not_found_error"
    assert "unknown0" in error["message"]
    assert error["details"] == {parameter: "unknown0"}


@pytest.mark.parametrize("call", WITH_BODY, ids=str)
@pytest.mark.parametrize("body", ["{", "[]", "7", '{"description": 1}', "\xff"])
def test_a_body_of_the_wrong_type(api: Api, call: Call, body: str) -> None:
    error = api.refused(call.method, call.path, 422, "VALIDATION_ERROR", data=body.encode("latin-1"))
    assert error["type"] == "validation_error"
    (problem,) = error["details"]["errors"]
    assert set(problem) == {"loc", "msg", "type"}
    assert problem["loc"] == (["body", "description"] if "description" in body else ["body"])


@pytest.mark.parametrize(
    ("body", "location"),
    [
        pytest.param("", ["name"], id="no body"),
        pytest.param('{"definition": {}}', ["name"], id="no name"),
        pytest.param('{"name": "n"}', ["definition"], id="no definition"),
        pytest.param('{"name": "n", "definition": []}', ["definition"], id="array as definition"),
        pytest.param('{"name": "n", "definition": {"a": "\\ud800"}}', [], id="half a pair"),
        pytest.param('{"name": "n", "definition": {"a": NaN}}', [], id="NaN"),
        pytest.param('{"name": "n", "definition": {"a": 1e999}}', [], id="infinity"),
        pytest.param('{"a":' * 50_000, [], id="deep"),
    ],
)
def test_a_workflow_that_is_refused(api: Api, body: str, location: list[str]) -> None:
    error = api.refused("POST", "/v1/workflows", 422, "VALIDATION_ERROR", data=body)
    assert error["details"]["errors"][0]["loc"] == ["body", *location]
    assert api.ok("GET", "/v1/workflows")["total"] == 5


@pytest.mark.parametrize(
    "path", ["/v1/nothing", "/v2/workflows", "/", "/v1/workflows/", "/v1/health", "/docs", "/_sandbox/reset"]
)
def test_an_unknown_path_has_the_body_of_the_framework(api: Api, path: str) -> None:
    response = api("GET", path, allow_redirects=False)
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})
    assert response.headers["x-request-id"].startswith("req_")


def test_a_wrong_method_has_the_body_of_the_framework(api: Api) -> None:
    response = api("PUT", "/v1/workflows")
    assert (response.status_code, response.json()) == (405, {"detail": "Method Not Allowed"})
