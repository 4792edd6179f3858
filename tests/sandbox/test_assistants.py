"""Listing assistants."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_aitronos.sandbox.server import SandboxServer
from tests.sandbox.caller import Api
from tests.sandbox.contract import API_KEY, ORGANIZATION
from tests.support.fake_clock import FakeClock

SEEDED = ["asst_support01", "asst_billing01", "asst_onboarding01", "asst_sales01", "asst_idle01"]
BY_NAME = ["asst_billing01", "asst_idle01", "asst_onboarding01", "asst_private01", *SEEDED[3::-3]]


def page_of(api: Api, **params: Any) -> Any:
    return api.ok("GET", "/v1/assistants", params={"organization_id": ORGANIZATION} | params)


def ids_of(page: Any) -> list[str]:
    return [assistant["id"] for assistant in page["assistants"]]


def test_seeded_assistants_and_their_workflows(api: Api) -> None:
    page = page_of(api)
    assert (page["total"], page["organization_id"]) == (5, ORGANIZATION)
    assert page["pagination"] == {"total": 5, "limit": 50, "offset": 0, "has_more": False}
    links = {one: one.replace("asst", "flow") for one in SEEDED[:4]} | {"asst_idle01": None}
    assert {item["id"]: item["workflow_id"] for item in page["assistants"]} == links


@pytest.mark.parametrize(
    ("limit", "offset", "ids", "has_more"),
    [
        (1, 2, SEEDED[2:3], True),
        (3, 0, SEEDED[:3], True),
        (3, 2, SEEDED[2:], False),
        (100, 6, [], False),
    ],
)
def test_pages(api: Api, limit: int, offset: int, ids: list[str], has_more: bool) -> None:
    page = page_of(api, limit=limit, offset=offset)
    assert ids_of(page) == ids
    assert page["pagination"] == {"total": 5, "limit": limit, "offset": offset, "has_more": has_more}


@pytest.mark.parametrize(
    ("params", "ids"),
    [
        ({"search": "BILL"}, ["asst_billing01"]),
        ({"search": "no workflow"}, ["asst_idle01"]),
        ({"search": "idle01"}, ["asst_idle01"]),
        ({"access_mode": "private"}, ["asst_private01"]),
        ({"include_inactive": "false"}, [*SEEDED, "asst_private01"]),
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


def test_order_by_time() -> None:
    clock = FakeClock()
    with SandboxServer(clock=clock) as server, Api(server.url, API_KEY) as api:
        clock.advance(60)
        api.ok("DELETE", "/v1/assistants/asst_idle01/workflow")
        assert ids_of(page_of(api, sort_by="updated_at")) == SEEDED
        api.ok("DELETE", "/v1/assistants/asst_support01/workflow")
        page = page_of(api, sort_by="updated_at")
        assert ids_of(page) == [*SEEDED[1:], "asst_support01"]
        assert page["assistants"][-1]["updated_at"] == page["assistants"][0]["updated_at"] + 60
        assert ids_of(page_of(api, sort_by="created_at")) == SEEDED


def test_another_organization(api: Api) -> None:
    params = {"organization_id": "org_other"}
    error = api.refused("GET", "/v1/assistants", 403, "ORGANIZATION_ACCESS_DENIED", params=params)
    assert error["type"] == "authorization_error"
    assert error["details"] == params


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": 101},
        {"limit": "1\n"},
        {"offset": -1},
        {"include_inactive": "perhaps"},
        {"sort_by": "colour"},
        {"sort_order": "up"},
        {"fields": "some"},
        {"organization_id": None},
    ],
    ids=str,
)
def test_a_query_that_is_refused(api: Api, params: dict[str, Any]) -> None:
    query = {"organization_id": ORGANIZATION} | params
    error = api.refused("GET", "/v1/assistants", 422, "VALIDATION_ERROR", params=query)
    assert [problem["loc"] for problem in error["details"]["errors"]] == [["query", *params]]


def test_a_fleet_is_listed_in_pages_and_comes_back_with_a_reset() -> None:
    with SandboxServer(fleet=10_000) as server, Api(server.url, API_KEY) as api:
        last = page_of(api, search="fleet", limit=100, offset=9_900)
        assert last["pagination"] == {"total": 10_000, "limit": 100, "offset": 9_900, "has_more": False}
        assert ids_of(last)[-1] == "asst_fleet10000"
        detached = api.ok("DELETE", "/v1/assistants/asst_fleet10000/workflow")
        assert detached["workflow_id"] == "flow_fleet10000"
        server.reset()
        assert server.store.links["asst_fleet10000"] == "flow_fleet10000"
