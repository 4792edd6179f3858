"""Task runs of a detach that reads the link first, and what they leave behind for people."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_aitronos.exceptions import AitronosWorkflowMismatchError
from tests.task_runs import airflow_runs
from tests.task_runs.dags import detach_dags
from tests.task_runs.dags.detach_dags import ASSISTANT, FLOW

NEWER = "flow_newer"


def deletes(sandbox: Any) -> int:
    return sum(one.method == "DELETE" for one in sandbox.requests)


def test_a_workflow_that_was_linked_before_stays_linked(sandbox: Any, errors: list[BaseException]) -> None:
    sandbox.add_workflow(NEWER)
    sandbox.unlink(ASSISTANT)
    sandbox.link(ASSISTANT, NEWER)
    assert airflow_runs.run(detach_dags.detach_expected)["detach"].state == "failed"
    assert [type(error) for error in errors] == [AitronosWorkflowMismatchError]
    assert (sandbox.links[ASSISTANT], deletes(sandbox)) == (NEWER, 0)


@pytest.mark.parametrize(
    ("dag", "state"),
    [
        (detach_dags.detach_no_retries, "success"),
        (detach_dags.detach_or_skip, "skipped"),
        (detach_dags.detach_unless_none, "failed"),
    ],
    ids=["plain", "skip", "fail"],
)
def test_a_task_with_nothing_to_detach_ends_as_asked(sandbox: Any, dag: Any, state: str) -> None:
    sandbox.unlink(ASSISTANT)
    result = airflow_runs.run(dag)["detach"]
    assert (result.state, result.tries) == (state, 1)
    if state == "success":
        assert result.xcoms["return_value"]["workflow_id"] is None


def test_an_upstream_that_knows_no_workflow_does_not_remove_the_check(
    sandbox: Any, errors: list[BaseException]
) -> None:
    sandbox.add_assistant("asst_other", workflow_id=NEWER)
    results = airflow_runs.run(detach_dags.detach_mapped_expected)
    assert [results[f"detach[{number}]"].state for number in range(2)] == ["success", "failed"]
    assert sandbox.links["asst_other"] == NEWER
    assert errors == []  # the hook was not even asked


def test_check_only_leaves_the_link_and_says_so(sandbox: Any, capfd: pytest.CaptureFixture[str]) -> None:
    result = airflow_runs.run(detach_dags.detach_checked)["detach"]
    assert result.state == "success"
    assert sandbox.links[ASSISTANT] == FLOW
    (extra,) = airflow_runs.extras(detach_dags.detach_checked)
    for told in (result.xcoms["return_value"], extra):
        assert (told["workflow_id"], told["outcome"]) == (FLOW, "would_detach")
    audit = audit_line(capfd.readouterr().out)
    assert (audit["workflow_id"], audit["result"]) == (FLOW, "would_detach")


def test_an_asset_event_says_what_was_detached(sandbox: Any) -> None:
    assert airflow_runs.run(detach_dags.detach_with_outlet)["detach"].state == "success"
    extras = airflow_runs.extras(detach_dags.detach_with_outlet)
    assert extras
    for extra in extras:
        assert extra == extra | {
            "assistant_id": ASSISTANT,
            "workflow_id": FLOW,
            "version": 1,
            "outcome": "detached",
        }


def audit_line(log: str) -> dict[str, Any]:
    """Return the JSON of the last line about the try."""
    line = [line for line in log.splitlines() if '"try_number"' in line][-1]
    audit: dict[str, Any] = json.JSONDecoder().raw_decode(line[line.index("{") :])[0]
    return audit


def test_the_end_of_a_try_is_audited(sandbox: Any, capfd: pytest.CaptureFixture[str]) -> None:
    assert airflow_runs.run(detach_dags.detach_no_retries)["detach"].state == "success"
    audit = audit_line(capfd.readouterr().out)
    task = {"dag_id": "detach_no_retries", "task_id": "detach", "try_number": 1}
    assert audit == audit | task | {"assistant_id": ASSISTANT, "workflow_id": FLOW}
    assert audit["run_id"].startswith("manual__")
    assert audit["trace_id"]
