"""Task runs of a detach that reads the link first, and what they leave behind for people."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_aitronos.exceptions import AitronosWorkflowMismatchError
from airflow_aitronos.hooks.aitronos import AitronosHook
from tests.support.fake_clock import FakeClock
from tests.task_runs import airflow_runs
from tests.task_runs.dags import detach_dags, workflow_dags
from tests.task_runs.dags.detach_dags import ASSISTANT, FLOW

NEWER = "flow_newer"


def deletes(sandbox: Any) -> int:
    return sum(one.method == "DELETE" for one in sandbox.requests)


class LinkingClock(FakeClock):
    """A clock on whose first wait somebody links a workflow to an assistant that has none."""

    def __init__(self, sandbox: Any, assistant_id: str, workflow_id: str) -> None:
        super().__init__()
        self._sandbox = sandbox
        self._link = assistant_id, workflow_id

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self._sandbox.links[self._link[0]] is None:
            self._sandbox.link(*self._link)


def test_the_expected_workflow_is_detached(sandbox: Any) -> None:
    result = airflow_runs.run(detach_dags.detach_expected)["detach"]
    assert (result.state, result.xcoms["return_value"]["workflow_id"]) == ("success", FLOW)
    sandbox.assert_detached_once(ASSISTANT, FLOW)


def test_a_workflow_that_was_linked_before_stays_linked(sandbox: Any, errors: list[BaseException]) -> None:
    sandbox.add_workflow(NEWER)
    sandbox.unlink(ASSISTANT)
    sandbox.link(ASSISTANT, NEWER)
    assert airflow_runs.run(detach_dags.detach_expected)["detach"].state == "failed"
    assert [type(error) for error in errors] == [AitronosWorkflowMismatchError]
    assert (sandbox.links[ASSISTANT], deletes(sandbox)) == (NEWER, 0)


def test_a_workflow_that_is_linked_between_two_attempts_stays_linked(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, errors: list[BaseException]
) -> None:
    sandbox.add_workflow(NEWER)
    monkeypatch.setattr(AitronosHook, "clock", LinkingClock(sandbox, ASSISTANT, NEWER))
    sandbox.reset_connection(method="DELETE", after_commit=True)
    assert airflow_runs.run(detach_dags.detach_expected)["detach"].state == "failed"
    assert [type(error) for error in errors] == [AitronosWorkflowMismatchError]
    assert (sandbox.links[ASSISTANT], deletes(sandbox)) == (NEWER, 1)


@pytest.mark.parametrize(
    ("dag", "state"),
    [
        (detach_dags.detach_expected, "success"),
        (detach_dags.detach_no_retries, "success"),
        (detach_dags.detach_or_skip, "skipped"),
        (detach_dags.detach_unless_none, "failed"),
    ],
    ids=["expected", "plain", "skip", "fail"],
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
    assert (result.state, result.xcoms["return_value"]["workflow_id"]) == ("success", FLOW)
    assert sandbox.links[ASSISTANT] == FLOW
    (extra,) = airflow_runs.extras(detach_dags.detach_checked)
    assert (extra["workflow_id"], extra["check_only"]) == (FLOW, True)
    audit = audit_line(capfd.readouterr().out)
    assert (audit["workflow_id"], audit["check_only"]) == (FLOW, True)


def test_an_asset_event_says_what_was_detached(sandbox: Any) -> None:
    assert airflow_runs.run(detach_dags.detach_with_outlet)["detach"].state == "success"
    extras = airflow_runs.extras(detach_dags.detach_with_outlet)
    assert extras
    for extra in extras:
        assert extra == extra | {"assistant_id": ASSISTANT, "workflow_id": FLOW, "version": 1}


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


def test_a_bad_id_is_audited_as_it_was_rendered(capfd: pytest.CaptureFixture[str]) -> None:
    assert airflow_runs.run(detach_dags.detach_from_nothing)["detach"].state == "failed"
    audit = audit_line(capfd.readouterr().out)
    assert (audit["assistant_id"], audit["error"]) == ("None", "AitronosInputError")


OLD, V1, V3 = "asst_old", "flow_v1", "flow_v3"


@pytest.fixture
def old_assistant(sandbox: Any) -> Any:
    """Return a sandbox with an assistant that has version 1, and two more workflows."""
    sandbox.add_workflow("flow_answers", external_id="answers")
    sandbox.add_workflow(V3)
    sandbox.add_assistant(OLD, workflow_id=V1)
    return sandbox


def replace(sandbox: Any, dag: Any) -> airflow_runs.TaskResult:
    """Deploy, promote, check both, and return the result of the detach."""
    results = airflow_runs.run(dag)
    deployed = results["deploy"].xcoms["return_value"]
    assert (deployed["id"], deployed["version"]) == ("flow_answers", 2)
    new = results["promote"].xcoms["return_value"]["assistant_id"]
    assert sandbox.links[new] == "flow_answers"
    assert results["detach"].tries == 1
    return results["detach"]


def test_an_old_assistant_is_detached_after_its_workflow_was_deployed_again(old_assistant: Any) -> None:
    result = replace(old_assistant, workflow_dags.replace_or_succeed)
    assert (result.state, result.xcoms["return_value"]["workflow_id"]) == ("success", V1)
    old_assistant.assert_detached_once(OLD, V1)


def test_an_old_assistant_keeps_what_is_linked_after_a_lost_response(
    old_assistant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AitronosHook, "clock", LinkingClock(old_assistant, OLD, V3))
    old_assistant.reset_connection(method="DELETE", after_commit=True)
    assert replace(old_assistant, workflow_dags.replace_or_succeed).state == "failed"
    assert (old_assistant.links[OLD], deletes(old_assistant)) == (V3, 1)


def test_an_old_assistant_that_has_nothing_is_skipped(old_assistant: Any) -> None:
    old_assistant.unlink(OLD)
    result = replace(old_assistant, workflow_dags.replace_or_skip)
    assert (result.state, result.xcoms, deletes(old_assistant)) == ("skipped", {}, 0)
