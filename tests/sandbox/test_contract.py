"""Every call, field and status that the contract of the API names."""

from __future__ import annotations

import re
import time

import pytest

from tests.sandbox.caller import Api, MakeApi
from tests.sandbox.contract import (
    ASSISTANT,
    CALLS,
    ORGANIZATION,
    PAGINATION,
    PROTECTED,
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


def test_no_other_calls_are_served(api: Api) -> None:
    served = {
        (method.upper(), path)
        for path, item in api.ok("GET", "/openapi.json")["paths"].items()
        for method in item
    }
    assert served == {(call.method, call.template) for call in CALLS}


def test_detach_sample(api: Api) -> None:
    assert api.ok("DELETE", "/v1/assistants/asst_support01/workflow") == {
        "assistant_id": "asst_support01",
        "workflow_id": "flow_support01",
        "message": "Operation completed successfully",
    }


def test_fields_inside_of_pages_and_conversions(api: Api) -> None:
    page = api.ok("GET", "/v1/assistants", params={"organization_id": ORGANIZATION})
    assert_fields(page["pagination"], PAGINATION)
    assert len(page["assistants"]) == 4
    for assistant in page["assistants"]:
        assert_fields(assistant, ASSISTANT)
    workflows = api.ok("GET", "/v1/workflows")["workflows"]
    assert len(workflows) == 4
    for workflow in workflows:
        assert_fields(workflow, WORKFLOW)
    assert_fields(api.ok("POST", "/v1/assistants/asst_idle01/convert-to-workflow")["workflow"], WORKFLOW)


def test_key_validation(api: Api) -> None:
    assert api.ok("GET", "/v1/auth/validate") == {
        "is_valid": True,
        "error": None,
        "requires_reconnect": None,
    }


def test_health_is_public(make_api: MakeApi) -> None:
    for key in (None, "wrong"):
        response = make_api(key)("GET", "/v1/health/")
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_ids_and_times_have_the_documented_shape(api: Api) -> None:
    before = int(time.time())
    workflow = api.ok("POST", "/v1/workflows", json={"name": "New", "definition": {}})
    promoted = api.ok("POST", f"/v1/workflows/{workflow['id']}/promote-to-assistant")
    assert re.fullmatch(r"flow_[A-Za-z0-9]+", workflow["id"])
    assert re.fullmatch(r"asst_[A-Za-z0-9]+", promoted["assistant_id"])
    assert before <= workflow["created_at"] <= workflow["updated_at"] <= time.time()


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_headers_of_a_reply(api: Api, call: Call) -> None:
    first, second = api.call(call), api.call(call)
    for response in (first, second):
        assert re.fullmatch(r"req_[0-9a-f]{16}", response.headers["x-request-id"])
        assert int(response.headers["freddy-processing-ms"]) >= 0
        assert response.headers["freddy-api-version"] == "v1"
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


@pytest.mark.parametrize("call", WITH_ID, ids=str)
def test_unknown_id(api: Api, call: Call) -> None:
    (parameter,) = call.ids
    unknown = Call(call.method, call.template, 404, None, {parameter: "unknown0"}, json=call.json)
    code = {"assistant_id": "ASSISTANT_NOT_FOUND", "workflow_id": "WORKFLOW_NOT_FOUND"}[parameter]
    error = api.refused(unknown.method, unknown.path, 404, code, json=unknown.json)
    assert error["type"] == "not_found_error"
    assert error["details"] == {parameter: "unknown0"}


@pytest.mark.parametrize("call", WITH_BODY, ids=str)
def test_body_of_the_wrong_type(api: Api, call: Call) -> None:
    error = api.refused(call.method, call.path, 422, "VALIDATION_ERROR", json=["not", "an", "object"])
    assert error["type"] == "validation_error"
    (problem,) = error["details"]["errors"]
    assert problem["loc"] == ["body"]
    assert set(problem) == {"loc", "msg", "type"}


@pytest.mark.parametrize("call", WITH_BODY, ids=str)
def test_body_that_is_not_json(api: Api, call: Call) -> None:
    headers = {"Content-Type": "application/json"}
    api.refused(call.method, call.path, 422, "VALIDATION_ERROR", data="{", headers=headers)


@pytest.mark.parametrize(
    ("body", "location"),
    [
        pytest.param('{"definition": {}}', ["name"], id="no name"),
        pytest.param('{"name": "", "definition": {}}', ["name"], id="empty name"),
        pytest.param('{"name": 1, "definition": {}}', ["name"], id="number as name"),
        pytest.param('{"name": "\\ud800", "definition": {}}', ["name"], id="half a pair as name"),
        pytest.param('{"name": "n"}', ["definition"], id="no definition"),
        pytest.param('{"name": "n", "definition": []}', ["definition"], id="array as definition"),
        pytest.param('{"name": "n", "definition": {"a": "\\ud800"}}', ["definition"], id="half a pair"),
        pytest.param('{"name": "n", "definition": {"\\ud800": 1}}', ["definition"], id="half a pair as key"),
        pytest.param('{"name": "n", "definition": {"a": NaN}}', ["definition", "a", "float"], id="NaN"),
    ],
)
def test_workflow_that_is_refused(api: Api, body: str, location: list[str]) -> None:
    headers = {"Content-Type": "application/json"}
    error = api.refused("POST", "/v1/workflows", 422, "VALIDATION_ERROR", data=body, headers=headers)
    assert [problem["loc"] for problem in error["details"]["errors"]] == [["body", *location]]
    assert api.ok("GET", "/v1/workflows")["total"] == 4


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/v1/nothing", "/v2/workflows", "/", "/v1/workflows/", "/v1/health"])
def test_unknown_path_has_the_body_of_the_framework(api: Api, method: str, path: str) -> None:
    response = api(method, path, allow_redirects=False)
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})
    assert response.headers["x-request-id"].startswith("req_")


def test_wrong_method_has_the_body_of_the_framework(api: Api) -> None:
    response = api("PUT", "/v1/workflows")
    assert (response.status_code, response.json()) == (405, {"detail": "Method Not Allowed"})


def test_body_that_cannot_be_read_has_the_body_of_the_framework(api: Api) -> None:
    response = api("POST", "/v1/workflows", data=b"\xff", headers={"Content-Type": "application/json"})
    assert (response.status_code, list(response.json())) == (400, ["detail"])


def test_docs_can_be_browsed_without_a_key(make_api: MakeApi) -> None:
    page = make_api(None)("GET", "/docs")
    assert page.status_code == 200
    assert "swagger-ui" in page.text


def test_docs_name_the_key_and_the_envelope(api: Api) -> None:
    schema = api.ok("GET", "/openapi.json")
    (scheme,) = schema["components"]["securitySchemes"].values()
    assert (scheme["in"], scheme["name"]) == ("header", "X-API-Key")
    for call in PROTECTED:
        operation = schema["paths"][call.template][call.method.lower()]
        assert operation["security"]
        assert ":param" not in operation["description"]
        for status in ("401", "403", "404", "422"):
            content = operation["responses"][status]["content"]["application/json"]
            assert content["schema"]["$ref"].endswith("/ErrorEnvelope")
