"""Who may do what."""

from __future__ import annotations

import pytest

from airflow_aitronos.sandbox.server import SandboxServer
from tests.sandbox.caller import Api, MakeApi, envelope
from tests.sandbox.contract import (
    API_KEY,
    ORGANIZATION,
    PROTECTED,
    READ_ONLY_KEY,
    READS,
    WITH_BODY,
    WITH_ID,
    WRITES,
    Call,
    assert_fields,
)


def snapshot(api: Api) -> list[object]:
    return [
        api.ok("GET", "/v1/workflows"),
        api.ok("GET", "/v1/assistants", params={"organization_id": ORGANIZATION}),
    ]


@pytest.mark.parametrize("call", PROTECTED, ids=str)
@pytest.mark.parametrize(
    ("key", "code"),
    [
        pytest.param(None, "AUTHENTICATION_REQUIRED", id="none"),
        pytest.param("", "AUTHENTICATION_REQUIRED", id="empty"),
        pytest.param("wrong", "INVALID_API_KEY", id="wrong"),
        pytest.param(API_KEY.upper(), "INVALID_API_KEY", id="other case"),
        pytest.param(API_KEY + "x", "INVALID_API_KEY", id="longer"),
        pytest.param("clé".encode("latin-1"), "INVALID_API_KEY", id="not ASCII"),
    ],
)
def test_no_or_wrong_key(api: Api, make_api: MakeApi, call: Call, key: str | bytes | None, code: str) -> None:
    before = snapshot(api)
    error = envelope(make_api(key).call(call), 401, code)
    assert error["type"] == "authentication_error"
    assert snapshot(api) == before


def test_texts_of_401_and_403_are_those_of_the_vendor(make_api: MakeApi) -> None:
    path = "/v1/assistants/asst_support01/workflow"
    error = make_api(None).refused("DELETE", path, 401, "AUTHENTICATION_REQUIRED")
    assert error["message"] == "Authentication required. Please provide a valid API key."
    assert error["system_message"] == "Missing or invalid authorization header"
    assert error["details"] == {}
    error = make_api(READ_ONLY_KEY).refused("DELETE", path, 403, "INSUFFICIENT_PERMISSIONS")
    assert error["message"] == "You do not have permission to access this resource."
    assert error["system_message"] == "Insufficient permissions for this operation"
    assert error["details"] == {}


@pytest.mark.parametrize("header", ["Authorization", "api-key"])
def test_key_in_an_old_header_does_not_count(make_api: MakeApi, header: str) -> None:
    headers = {header: API_KEY}
    make_api(None).refused("GET", "/v1/auth/validate", 401, "AUTHENTICATION_REQUIRED", headers=headers)


@pytest.mark.parametrize("call", WRITES, ids=str)
def test_read_only_key_may_not_write(api: Api, make_api: MakeApi, call: Call) -> None:
    before = snapshot(api)
    error = envelope(make_api(READ_ONLY_KEY).call(call), 403, "INSUFFICIENT_PERMISSIONS")
    assert error["type"] == "authorization_error"
    assert snapshot(api) == before


@pytest.mark.parametrize("call", READS, ids=str)
def test_read_only_key_may_read(make_api: MakeApi, call: Call) -> None:
    response = make_api(READ_ONLY_KEY).call(call)
    assert response.status_code == 200
    assert call.reply is not None
    assert_fields(response.json(), call.reply)


@pytest.mark.parametrize("call", WITH_BODY, ids=str)
@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        ("wrong", 401, "INVALID_API_KEY"),
        (READ_ONLY_KEY, 403, "INSUFFICIENT_PERMISSIONS"),
    ],
)
@pytest.mark.parametrize("body", ["{", "[]"], ids=["not JSON", "array"])
def test_key_comes_before_the_body(
    make_api: MakeApi, call: Call, key: str | bytes | None, status: int, code: str, body: str
) -> None:
    headers = {"Content-Type": "application/json"}
    make_api(key).refused(call.method, call.path, status, code, data=body, headers=headers)


def test_key_comes_before_the_query(make_api: MakeApi) -> None:
    make_api("wrong").refused("GET", "/v1/assistants", 401, "INVALID_API_KEY", params={"limit": "x"})


@pytest.mark.parametrize("call", WITH_ID, ids=str)
def test_key_comes_before_the_id(make_api: MakeApi, call: Call) -> None:
    path = call.template.format(assistant_id="unknown0", workflow_id="unknown0")
    make_api("wrong").refused(call.method, path, 401, "INVALID_API_KEY", json=call.json)
    if call.writes:
        read_only = make_api(READ_ONLY_KEY)
        read_only.refused(call.method, path, 403, "INSUFFICIENT_PERMISSIONS", json=call.json)


def test_keys_of_ones_own() -> None:
    with SandboxServer(api_key="mine", read_only_key="theirs") as server:
        for key, status in (("mine", 200), ("theirs", 200), (API_KEY, 401), (READ_ONLY_KEY, 401)):
            with Api(server.url, key) as api:
                assert api("GET", "/v1/auth/validate").status_code == status


def test_equal_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="must differ"):
        SandboxServer(api_key="same", read_only_key="same")
