"""Who may do what."""

from __future__ import annotations

import pytest

from airflow_aitronos.sandbox.server import SandboxServer
from tests.sandbox.caller import MakeApi, envelope
from tests.sandbox.contract import API_KEY, PROTECTED, READ_ONLY_KEY, READS, WRITES, Call

DETACH = "/v1/assistants/asst_support01/workflow"


@pytest.mark.parametrize("call", PROTECTED, ids=str)
def test_every_call_needs_a_key(make_api: MakeApi, call: Call) -> None:
    error = envelope(make_api(None).call(call), 401, "AUTHENTICATION_REQUIRED")
    assert error["message"] == "Authentication required. Please provide a valid API key."
    assert error["system_message"] == "Missing or invalid authorization header"
    assert (error["type"], error["details"]) == ("authentication_error", {})


@pytest.mark.parametrize("key", ["wrong", API_KEY.upper(), API_KEY + "x", "clé".encode("latin-1")], ids=str)
def test_a_wrong_key_changes_nothing(sandbox: SandboxServer, make_api: MakeApi, key: str | bytes) -> None:
    make_api(key).refused("DELETE", DETACH, 401, "INVALID_API_KEY")
    assert sandbox.store.links["asst_support01"] == "flow_support01"


@pytest.mark.parametrize("header", ["Authorization", "api-key"])
def test_a_key_in_an_old_header_does_not_count(make_api: MakeApi, header: str) -> None:
    headers = {header: API_KEY}
    make_api(None).refused("GET", "/v1/auth/validate", 401, "AUTHENTICATION_REQUIRED", headers=headers)


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


def test_equal_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="must differ"):
        SandboxServer(api_key="same", read_only_key="same")
