"""Every call, field and status that the contract of the API names, and which key may use it."""

from __future__ import annotations

import re

import pytest

from airflow_aitronos.sandbox.api import CALLS as SERVED
from airflow_aitronos.sandbox.server import SandboxServer
from tests.sandbox import contract
from tests.sandbox.caller import Api, MakeApi, envelope
from tests.sandbox.contract import CALLS, PROTECTED, READ_ONLY_KEY, READS, WRITES, Call, assert_fields


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


def test_fields_inside_pages_and_conversions(api: Api) -> None:
    page = api.ok("GET", "/v1/assistants", params={"organization_id": contract.ORGANIZATION})
    assert_fields(page["pagination"], contract.PAGINATION)
    assert len(page["assistants"]) == 5
    for assistant in page["assistants"]:
        assert_fields(assistant, contract.ASSISTANT)
    workflows = api.ok("GET", "/v1/workflows")["workflows"]
    assert len(workflows) == 5
    for workflow in workflows:
        assert_fields(workflow, contract.WORKFLOW)
    assert_fields(
        api.ok("POST", "/v1/assistants/asst_idle01/convert-to-workflow")["workflow"], contract.WORKFLOW
    )


# --- keys ---


@pytest.mark.parametrize("call", PROTECTED, ids=str)
def test_every_call_needs_a_key(make_api: MakeApi, call: Call) -> None:
    error = envelope(make_api(None).call(call), 401, "AUTHENTICATION_REQUIRED")
    assert error["message"] == "Authentication required. Please provide a valid API key."
    assert error["system_message"] == "Missing or invalid authorization header"
    assert (error["type"], error["details"]) == ("authentication_error", {})


@pytest.mark.parametrize(
    "key", ["wrong", contract.API_KEY.upper(), contract.API_KEY + "x", "clé".encode("latin-1")], ids=str
)
def test_a_wrong_key_changes_nothing(sandbox: SandboxServer, make_api: MakeApi, key: str | bytes) -> None:
    make_api(key).refused("DELETE", "/v1/assistants/asst_support01/workflow", 401, "INVALID_API_KEY")
    assert sandbox.store.links["asst_support01"] == "flow_support01"


@pytest.mark.parametrize("call", WRITES, ids=str)
def test_the_read_only_key_may_not_write(sandbox: SandboxServer, make_api: MakeApi, call: Call) -> None:
    before = (sandbox.store.assistants, sandbox.store.workflows)
    error = envelope(make_api(READ_ONLY_KEY).call(call), 403, "INSUFFICIENT_PERMISSIONS")
    assert error["message"] == "You do not have permission to access this resource."
    assert error["system_message"] == "Insufficient permissions for this operation"
    assert (error["type"], error["details"]) == ("authorization_error", {})
    assert (sandbox.store.assistants, sandbox.store.workflows) == before


@pytest.mark.parametrize("call", READS, ids=str)
def test_the_read_only_key_may_read(make_api: MakeApi, call: Call) -> None:
    assert make_api(READ_ONLY_KEY).call(call).status_code == 200


def test_the_key_is_checked_before_body_query_and_id(make_api: MakeApi) -> None:
    wrong = make_api("wrong")
    wrong.refused("POST", "/v1/workflows", 401, "INVALID_API_KEY", data="{")
    wrong.refused("GET", "/v1/assistants", 401, "INVALID_API_KEY", params={"limit": "x"})
    wrong.refused("DELETE", "/v1/assistants/unknown0/workflow", 401, "INVALID_API_KEY")
