"""Task runs of a detach that looks before it acts, and what they leave behind for people."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_aitronos.exceptions import (
    AitronosInputError,
    AitronosWorkflowMismatchError,
)
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.testing.sandbox import Sandbox
from tests.support.airflow_versions import HAS_STORE
from tests.support.fake_clock import FakeClock
from tests.task_runs import airflow_runs, callbacks
from tests.task_runs.dags import detach_dags, workflow_dags
from tests.task_runs.dags.detach_dags import ASSISTANT, FLOW

NEWER = "flow_newer"


def deletes(sandbox: Sandbox) -> int:
    return sum(one.method == "DELETE" for one in sandbox.requests)


class LinkingClock(FakeClock):
    """A clock on whose first wait somebody links a workflow to an assistant that has none."""

    def __init__(self, sandbox: Sandbox, assistant_id: str, workflow_id: str) -> None:
        super().__init__()
        self._sandbox = sandbox
        self._link = assistant_id, workflow_id

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self._sandbox.links[self._link[0]] is None:
            self._sandbox.link(*self._link)


def test_the_expected_workflow_is_detached(sandbox: Sandbox) -> None:
    result = airflow_runs.run(detach_dags.detach_expected)["detach"]
    assert (result.state, result.xcoms["return_value"]["workflow_id"]) == ("success", FLOW)
    sandbox.assert_detached_once(ASSISTANT, FLOW)


def test_another_one_that_was_linked_before_stays_linked(
    sandbox: Sandbox, errors: list[BaseException]
) -> None:
    sandbox.add_assistant("asst_2", workflow_id=NEWER)
    sandbox.unlink(ASSISTANT)
    sandbox.link(ASSISTANT, NEWER)
    assert airflow_runs.run(detach_dags.detach_expected)["detach"].state == "failed"
    assert [type(error) for error in errors] == [AitronosWorkflowMismatchError]
    assert sandbox.links[ASSISTANT] == NEWER
    assert deletes(sandbox) == 0


def test_another_one_that_is_linked_between_two_attempts_stays_linked(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, errors: list[BaseException]
) -> None:
    sandbox.add_workflow(NEWER)
    monkeypatch.setattr(AitronosHook, "clock", LinkingClock(sandbox, ASSISTANT, NEWER))
    sandbox.reset_connection(method="DELETE", after_commit=True)
    assert airflow_runs.run(detach_dags.detach_expected)["detach"].state == "failed"
    assert [type(error) for error in errors] == [AitronosWorkflowMismatchError]
    assert sandbox.links[ASSISTANT] == NEWER
    assert deletes(sandbox) == 1


@pytest.mark.parametrize(
    ("dag", "state"),
    [
        (detach_dags.detach_expected, "success"),
        (detach_dags.detach_no_retries, "success"),
        (detach_dags.detach_or_skip, "skipped"),
        (detach_dags.detach_unless_none, "failed"),
    ],
    ids=["guarded", "plain", "skip", "fail"],
)
def test_a_task_with_nothing_to_detach_ends_as_asked(sandbox: Sandbox, dag: Any, state: str) -> None:
    sandbox.unlink(ASSISTANT)
    result = airflow_runs.run(dag)["detach"]
    assert (result.state, result.tries) == (state, 1)
    if state == "success":
        assert result.xcoms["return_value"]["workflow_id"] is None


def test_an_upstream_that_knows_no_workflow_does_not_take_the_guard_away(
    sandbox: Sandbox, errors: list[BaseException]
) -> None:
    sandbox.add_assistant("asst_unguarded", workflow_id=NEWER)
    results = airflow_runs.run(detach_dags.detach_mapped_expected)
    assert {name: result.state for name, result in results.items()} == {
        "detach[0]": "success",
        "detach[1]": "failed",
    }
    assert sandbox.links["asst_unguarded"] == NEWER
    assert errors == []  # the hook was not even asked


def test_a_look_only_leaves_the_link(sandbox: Sandbox) -> None:
    result = airflow_runs.run(detach_dags.detach_checked)["detach"]
    assert (result.state, result.xcoms["return_value"]["workflow_id"]) == ("success", FLOW)
    assert sandbox.links[ASSISTANT] == FLOW


def extras_of(dag: Any) -> list[dict[str, Any]]:
    """Return what the asset events of a DAG tell."""
    query = "SELECT extra FROM asset_event WHERE source_dag_id = :dag_id"
    return [airflow_runs.decoded(row["extra"]) for row in airflow_runs.rows(query, dag_id=dag.dag_id)]


def test_an_asset_event_tells_what_was_detached(sandbox: Sandbox) -> None:
    assert airflow_runs.run(detach_dags.detach_with_outlet)["detach"].state == "success"
    extras = extras_of(detach_dags.detach_with_outlet)
    assert extras
    for extra in extras:
        facts = {"assistant_id": ASSISTANT, "workflow_id": FLOW, "version": 1}
        assert {name: extra[name] for name in facts} == facts
        assert "check_only" not in extra


def test_an_asset_event_of_a_look_says_so(sandbox: Sandbox) -> None:
    assert airflow_runs.run(detach_dags.detach_checked_with_outlet)["detach"].state == "success"
    (extra,) = extras_of(detach_dags.detach_checked_with_outlet)
    assert (extra["workflow_id"], extra["check_only"]) == (FLOW, True)


def audit_lines(log: str) -> list[dict[str, Any]]:
    return [
        json.JSONDecoder().raw_decode(line.partition("Audit: ")[2])[0]
        for line in log.splitlines()
        if "Audit: " in line
    ]


def test_both_ends_of_a_try_are_audited(sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    assert airflow_runs.run(detach_dags.detach_no_retries)["detach"].state == "success"
    started, ended = audit_lines(capfd.readouterr().out)
    run_id = started["run_id"]
    task = {"dag_id": "detach_no_retries", "task_id": "detach", "run_id": run_id, "try_number": 1}
    assert run_id.startswith("manual__")
    assert started | task | {"event": "started", "assistant_id": ASSISTANT} == started
    assert ended | task | {"event": "ended", "outcome": "done", "workflow_id": FLOW} == ended
    assert ended["operator"] == "DetachAssistantWorkflowOperator"
    assert "check_only" not in ended
    assert ended["trace_id"]


def test_a_look_is_audited_as_a_look(sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    airflow_runs.run(detach_dags.detach_checked)
    _, ended = audit_lines(capfd.readouterr().out)
    assert (ended["check_only"], ended["workflow_id"]) == (True, FLOW)


def test_the_exception_has_the_facts_and_a_failure_callback_finds_them(
    sandbox: Sandbox, errors: list[BaseException], capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox.fail(503, times=9)
    assert airflow_runs.run(detach_dags.detach_telling)["detach"].state == "failed"
    _, ended = audit_lines(capfd.readouterr().out)
    (error,) = errors
    facts = {name: getattr(error, name) for name in callbacks.FACTS}
    expected = {"outcome": "later", "maybe_done": True, "assistant_id": ASSISTANT, "try_number": 1}
    assert facts | expected == facts
    assert facts["run_id"].startswith("manual__")
    assert facts == {name: ended[name] for name in facts}
    if HAS_STORE:  # older releases do not hand exceptions to the callbacks of such a run
        assert callbacks.told == [facts]


def test_a_bad_id_is_audited_as_it_was_rendered(capfd: pytest.CaptureFixture[str]) -> None:
    assert airflow_runs.run(detach_dags.detach_from_nothing)["detach"].state == "failed"
    _, ended = audit_lines(capfd.readouterr().out)
    assert (ended["assistant_id"], ended["outcome"]) == ("None", "stop")
    assert ended["error"] == AitronosInputError.__name__


OLD, V1, V3 = "asst_old", "flow_v1", "flow_v3"


@pytest.fixture
def old_assistant(sandbox: Sandbox) -> Sandbox:
    """Return a sandbox with an assistant that has version 1, and two more workflows."""
    sandbox.add_workflow("flow_answers", external_id="answers")
    sandbox.add_workflow(V3)
    sandbox.add_assistant(OLD, workflow_id=V1)
    return sandbox


def replace(sandbox: Sandbox, dag: Any) -> airflow_runs.TaskResult:
    """Deploy, promote, check both, and return what became of the detach."""
    results = airflow_runs.run(dag)
    assert results["deploy"].xcoms["return_value"] == {
        "id": "flow_answers",
        "name": "Answers",
        "version": 2,
        "external_id": "answers",
        "created": False,
    }
    new = results["promote"].xcoms["return_value"]["assistant_id"]
    assert sandbox.links[new] == "flow_answers"
    assert results["detach"].tries == 1
    return results["detach"]


def test_an_old_assistant_is_retired_after_its_workflow_was_deployed_anew(old_assistant: Sandbox) -> None:
    result = replace(old_assistant, workflow_dags.replace_or_succeed)
    assert (result.state, result.xcoms["return_value"]["workflow_id"]) == ("success", V1)
    old_assistant.assert_detached_once(OLD, V1)


def test_an_old_assistant_keeps_what_somebody_else_has_linked_before(old_assistant: Sandbox) -> None:
    old_assistant.unlink(OLD)
    old_assistant.link(OLD, V3)
    assert replace(old_assistant, workflow_dags.replace_or_succeed).state == "failed"
    assert (old_assistant.links[OLD], deletes(old_assistant)) == (V3, 0)


def test_an_old_assistant_keeps_what_is_linked_after_a_lost_answer(
    old_assistant: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AitronosHook, "clock", LinkingClock(old_assistant, OLD, V3))
    old_assistant.reset_connection(method="DELETE", after_commit=True)
    assert replace(old_assistant, workflow_dags.replace_or_succeed).state == "failed"
    assert (old_assistant.links[OLD], deletes(old_assistant)) == (V3, 1)


@pytest.mark.parametrize(
    ("dag", "state"),
    [
        (workflow_dags.replace_or_succeed, "success"),
        (workflow_dags.replace_or_skip, "skipped"),
        (workflow_dags.replace_or_fail, "failed"),
    ],
    ids=["succeed", "skip", "fail"],
)
def test_an_old_assistant_that_has_nothing_ends_as_asked(
    old_assistant: Sandbox, dag: Any, state: str
) -> None:
    old_assistant.unlink(OLD)
    result = replace(old_assistant, dag)
    assert (result.state, deletes(old_assistant)) == (state, 0)
    nothing = {"assistant_id": OLD, "workflow_id": None, "message": None}
    assert result.xcoms == ({"return_value": nothing} if state == "success" else {})
