"""Listing assistants."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_aitronos.sandbox import store as store_module
from airflow_aitronos.sandbox.server import SandboxServer
from tests.sandbox.caller import Api
from tests.sandbox.contract import ORGANIZATION

SEEDED = ["asst_support01", "asst_billing01", "asst_onboarding01", "asst_idle01"]
BY_NAME = ["asst_billing01", "asst_idle01", "asst_onboarding01", "asst_private01", "asst_support01"]


def page_of(api: Api, **params: Any) -> Any:
    return api.ok("GET", "/v1/assistants", params={"organization_id": ORGANIZATION} | params)


def ids_of(page: Any) -> list[str]:
    return [assistant["id"] for assistant in page["assistants"]]


def test_seeded_assistants_and_their_workflows(api: Api) -> None:
    page = page_of(api)
    assert (page["total"], page["organization_id"]) == (4, ORGANIZATION)
    assert page["pagination"] == {"total": 4, "limit": 50, "offset": 0, "has_more": False}
    assert {item["id"]: item["workflow_id"] for item in page["assistants"]} == {
        "asst_support01": "flow_support01",
        "asst_billing01": "flow_billing01",
        "asst_onboarding01": "flow_onboarding01",
        "asst_idle01": None,
    }


@pytest.mark.parametrize(
    ("limit", "offset", "ids", "has_more"),
    [
        (3, 0, SEEDED[:3], True),
        (3, 3, SEEDED[3:], False),
        (4, 0, SEEDED, False),
        (1, 2, SEEDED[2:3], True),
        (3, 6, [], False),
    ],
)
def test_pages(api: Api, limit: int, offset: int, ids: list[str], has_more: bool) -> None:
    page = page_of(api, limit=limit, offset=offset)
    assert ids_of(page) == ids
    assert page["pagination"] == {"total": 4, "limit": limit, "offset": offset, "has_more": has_more}


@pytest.mark.parametrize(
    ("params", "ids"),
    [
        ({"search": "BILL"}, ["asst_billing01"]),
        ({"search": "customers"}, ["asst_support01", "asst_onboarding01"]),
        ({"search": "idle01"}, ["asst_idle01"]),
        ({"search": "nothing"}, []),
        ({"access_mode": "organization"}, SEEDED),
        ({"access_mode": "private"}, ["asst_private01"]),
        ({"include_inactive": "true"}, [*SEEDED, "asst_private01", "asst_retired01"]),
        ({"sort_by": "name"}, BY_NAME),
        ({"sort_by": "name", "sort_order": "desc"}, BY_NAME[::-1]),
        ({"fields": "summary"}, [*SEEDED, "asst_private01"]),
    ],
    ids=str,
)
def test_filters_and_order(api: Api, sandbox: SandboxServer, params: dict[str, Any], ids: list[str]) -> None:
    sandbox.store.add_assistant("Private", assistant_id="asst_private01", access_mode="private")
    sandbox.store.add_assistant("Retired", assistant_id="asst_retired01", is_active=False)
    page = page_of(api, **params)
    assert ids_of(page) == ids
    assert page["total"] == len(ids)


def test_order_by_time(api: Api, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_now", lambda: 2_000_000_000)
    api.ok("DELETE", "/v1/assistants/asst_support01/workflow")
    assert ids_of(page_of(api, sort_by="updated_at")) == [*SEEDED[1:], "asst_support01"]
    assert ids_of(page_of(api, sort_by="created_at")) == SEEDED


def test_another_organization(api: Api) -> None:
    error = api.refused(
        "GET", "/v1/assistants", 403, "ORGANIZATION_ACCESS_DENIED", params={"organization_id": "org_other"}
    )
    assert error["type"] == "authorization_error"
    assert error["details"] == {"organization_id": "org_other"}


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": 101},
        {"offset": -1},
        {"include_inactive": "perhaps"},
        {"sort_by": "colour"},
        {"sort_order": "up"},
        {"fields": "some"},
    ],
    ids=str,
)
def test_query_that_is_refused(api: Api, params: dict[str, Any]) -> None:
    query = {"organization_id": ORGANIZATION} | params
    error = api.refused("GET", "/v1/assistants", 422, "VALIDATION_ERROR", params=query)
    assert [problem["loc"] for problem in error["details"]["errors"]] == [["query", *params]]


def test_organization_is_required(api: Api) -> None:
    error = api.refused("GET", "/v1/assistants", 422, "VALIDATION_ERROR")
    assert [problem["loc"] for problem in error["details"]["errors"]] == [["query", "organization_id"]]


@pytest.mark.parametrize("limit", [1, 100])
def test_limits_that_are_allowed(api: Api, limit: int) -> None:
    assert page_of(api, limit=limit)["pagination"]["limit"] == limit
