"""Rules for replies that look at nothing but one value."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_aitronos.client.links import linked_in
from airflow_aitronos.client.reply import is_final


@pytest.mark.parametrize(
    ("status", "enough"),
    [
        (100, False),
        (200, False),
        (299, False),
        (300, True),
        (399, True),
        (400, True),
        (407, True),
        (408, False),
        (409, True),
        (425, True),
        (429, True),
        (499, True),
        (500, False),
        (501, False),
        (524, False),
    ],
)
def test_which_status_ends_the_call_whatever_follows(status: int, enough: bool) -> None:
    assert is_final(status) is enough


@pytest.mark.parametrize(
    ("assistant", "linked"),
    [
        ({}, []),
        ({"id": "asst_1", "name": "workflow"}, []),
        ({"workflow_id": None}, []),
        ({"workflow_id": ""}, []),
        ({"workflow_id": "flow_1"}, ["flow_1"]),
        ({"Workflow": {"id": "flow_1"}, "workflow_id": None}, [{"id": "flow_1"}]),
        ({"has_workflow": False}, []),
        ({"has_workflow": True}, [True]),
        ({"workflows": []}, []),
    ],
    ids=str,
)
def test_what_an_assistant_names_as_its_workflow(assistant: dict[str, Any], linked: list[Any]) -> None:
    assert linked_in(assistant) == linked
