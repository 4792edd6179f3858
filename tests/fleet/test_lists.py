"""Reading assistants, one and many: how a fleet is chosen."""

from __future__ import annotations

import pytest

from airflow_aitronos.exceptions import AitronosError, AitronosInputError, AitronosPermissionError
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.sandbox.store import ORGANIZATION_ID
from tests.fleet.conftest import NewRun, assistants


def test_all_pages_of_assistants_are_read(new_run: NewRun) -> None:
    run = new_run(120)
    with AitronosHook() as hook:
        found = list(hook.list_assistants(ORGANIZATION_ID, search="asst_fleet", sort_by="name", page_size=50))
        assert sorted(one["id"] for one in found) == assistants(120)
        assert found[0]["workflow_id"].startswith("flow_fleet")
        assert [one.query for one in run.server.requests] == [
            f"organization_id={ORGANIZATION_ID}&search=asst_fleet&sort_by=name&limit=50&offset={offset}"
            for offset in (0, 50, 100)
        ]
        everything = list(
            hook.list_assistants(
                ORGANIZATION_ID,
                access_mode="organization",
                include_inactive=True,
                sort_order="desc",
                fields="summary",
                page_size=100,
            )
        )
        assert len(everything) == 125
        assert "include_inactive=true" in run.server.requests[-1].query
        with pytest.raises(AitronosPermissionError):
            list(hook.list_assistants("org_other"))
        with pytest.raises(AitronosInputError):
            hook.list_assistants(ORGANIZATION_ID, page_size=101)


def test_one_assistant_is_read(new_run: NewRun) -> None:
    new_run(1)
    with AitronosHook() as hook:
        assert hook.get_assistant("asst_fleet00001")["workflow_id"] == "flow_fleet00001"
        with pytest.raises(AitronosError):
            hook.get_assistant("asst_unknown")
