"""What a later try of a task knows of the tries before it, over a task state store that may be down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.bases.operator import BaseOperator

from airflow_aitronos._compat import AirflowSkipException
from airflow_aitronos.client.sanitize import Log
from airflow_aitronos.exceptions import (
    AitronosCancelledError,
    AitronosError,
    AitronosNetworkError,
    AitronosUnsafeToRepeatError,
)
from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from airflow_aitronos.operators.try_state import KEY, TryState
from airflow_aitronos.operators.workflows import DeployWorkflowOperator, PromoteWorkflowToAssistantOperator
from tests.support.fault_server import FaultServer, Reply
from tests.support.faults import Reset
from tests.support.recording_log import RecordingLog
from tests.support.replies import http
from tests.support.task_state_store import Store
from tests.unit.tools import ASSISTANT, BODY, RESULT, WORKFLOW, Connect

LINKED: Any = {"id": WORKFLOW, "name": "Support", "version": 3, "external_id": None}
PROMOTED = {"assistant_id": ASSISTANT, "workflow_id": WORKFLOW, "message": "ok"}
NOTHING = {**BODY, "workflow_id": None}
GONE = {"success": False, "error": {"code": "WORKFLOW_NOT_FOUND", "message": "x"}}


def state_of(store: Store | None, lines: RecordingLog, *, repeatable: bool = True, **other: Any) -> TryState:
    """Return what one try of a task knows."""
    about = {"max_tries": 2, "retries": 2, "api": "https://api", **other}
    context: Any = {"ti": SimpleNamespace(**about), "task": SimpleNamespace(**about)}
    if store is not None:
        context["task_state_store"] = store
    return TryState(context, Log(lines), {"api": about["api"]}, repeatable=repeatable)


def known(state: TryState) -> tuple[Any, ...]:
    return state.maybe_done, state.workflow, state.result


@pytest.mark.parametrize("store", [Store(), None], ids=["3.3", "below"])
def test_what_was_sent_and_what_came_back_is_known_to_a_later_try(
    lines: RecordingLog, store: Store | None
) -> None:
    nothing, has_store = (False, None, None), store is not None
    first = state_of(store, lines)
    assert known(first) == nothing
    first.sending(LINKED)
    second = state_of(store, lines)
    assert known(second) == ((True, LINKED, None) if has_store else nothing)
    second.done(RESULT)
    assert second.result == RESULT
    assert known(state_of(store, lines)) == ((False, LINKED, RESULT) if has_store else nothing)
    assert len(lines.lines) == has_store
    assert all("nothing is sent" in text and LINKED["id"] in text for text in lines.texts())


@pytest.mark.parametrize("is_done", [True, False])
@pytest.mark.parametrize("repeatable", [True, False])
@pytest.mark.parametrize(
    ("other", "is_stale"),
    [
        ({}, False),
        ({"max_tries": 5}, True),
        ({"max_tries": 4, "retries": 4}, True),
        ({"api": "x"}, True),
        ({"retries": 5}, None),
    ],
)
def test_which_records_count(
    lines: RecordingLog, other: dict[str, Any], is_stale: bool | None, repeatable: bool, is_done: bool
) -> None:
    earlier = state_of(store := Store(), lines, repeatable=repeatable)
    earlier.sending()
    if is_done:
        earlier.done(RESULT)
    later = state_of(store, lines, repeatable=repeatable, **other)
    if is_stale is None:  # a DAG that was edited between two tries: no fresh start for a POST
        assert known(later) == (not repeatable, None, None)
    else:
        assert known(later) == (
            not is_stale and not is_done,
            None,
            RESULT if is_done and not is_stale else None,
        )


@pytest.mark.parametrize("record", ["x", {}, {"state": "sent", "subject": "x"}], ids=repr)
def test_a_record_that_makes_no_sense_does_no_harm(lines: RecordingLog, record: Any) -> None:
    store = Store()
    store[KEY] = record
    assert known(state_of(store, lines)) == (False, None, None)


@pytest.mark.parametrize(
    ("error", "is_kept"),
    [
        (AitronosError("x", attempts=1, maybe_done=True), True),
        (AitronosCancelledError("x", maybe_done=True, workflow_id=WORKFLOW), True),
        (KeyboardInterrupt(), True),
        (AitronosError("x", attempts=1), False),
        (AirflowSkipException(), False),
    ],
    ids=repr,
)
def test_a_record_is_removed_only_after_a_call_that_surely_changed_nothing(
    lines: RecordingLog, error: BaseException, is_kept: bool
) -> None:
    state = state_of(store := Store(), lines)
    state.sending()
    with pytest.raises(type(error)), state.call():
        raise error
    assert (KEY in store) is is_kept
    if isinstance(error, AitronosCancelledError):  # the response to a cancelled task has named it
        assert (state_of(store, lines).workflow or LINKED)["id"] == WORKFLOW


@pytest.mark.parametrize("broken", ["get", "set", "delete"])
def test_a_store_that_is_down_costs_the_record_and_not_the_detach(lines: RecordingLog, broken: str) -> None:
    state = state_of(Store(broken), lines)
    state.sending(LINKED)
    assert state.workflow == LINKED
    state.not_carried_out()
    (warning,) = lines.texts("WARNING")
    assert "(OSError)" in warning
    assert "s3cr3t" not in warning


def test_a_result_that_cannot_be_recorded_stands_in_the_log(lines: RecordingLog) -> None:
    state = state_of(store := Store(), lines, repeatable=False)
    store.broken.add("set")
    state.done(PROMOTED)
    (warning,) = lines.texts("WARNING")
    assert json.dumps(PROMOTED) in warning
    assert "s3cr3t" not in warning


# What the operators make of it


DETACH = DetachAssistantWorkflowOperator(task_id="detach", assistant_id=ASSISTANT, max_attempts=1)
PROMOTE = PromoteWorkflowToAssistantOperator(task_id="promote", workflow_id=WORKFLOW, max_attempts=1)
CREATE = DeployWorkflowOperator(task_id="deploy", name="Support", definition={}, max_attempts=1)
POSTS = pytest.mark.parametrize("operator", [PROMOTE, CREATE], ids=lambda one: one.task_id)
CREATED: Any = {**LINKED, "assistant_id": None}


@contextmanager
def answering(connect: Connect, *replies: Reply) -> Iterator[FaultServer]:
    with FaultServer(replies) as server:
        connect(host=server.url)
        yield server
    assert len(server.requests) == len(replies)


def execute(operator: BaseOperator, store: Store, max_tries: int = 2) -> Any:
    """Run one try of a task, as far as the store is concerned."""
    ti = SimpleNamespace(max_tries=max_tries, map_index=-1)
    context: Any = {"ti": ti, "task": operator, "task_state_store": store}
    return operator.execute(context)


@pytest.mark.parametrize(
    ("operator", "reply", "result"),
    [
        (DETACH, http(200, BODY), RESULT),
        (PROMOTE, http(201, PROMOTED), PROMOTED),
        (CREATE, http(201, CREATED), LINKED),
    ],
    ids=lambda one: getattr(one, "task_id", ""),
)
def test_a_later_try_returns_the_result_and_sends_nothing(
    connect: Connect, operator: BaseOperator, reply: bytes, result: Any
) -> None:
    store = Store()
    with answering(connect, reply, reply) as server:
        assert execute(operator, store) == result
        assert execute(operator, store) == result
        assert len(server.requests) == 1
        assert execute(operator, store, max_tries=3) == result, "a cleared task starts fresh"


READS = DetachAssistantWorkflowOperator(
    task_id="detach", assistant_id=ASSISTANT, max_attempts=1, record_workflow=True, if_not_attached="fail"
)
LOST = [Reset()]
READ_AND_LOST = [http(200, CREATED), Reset()]


@pytest.mark.parametrize(
    ("operator", "first", "second", "workflow_id"),
    [
        (DETACH, LOST, http(200, NOTHING), None),
        (DETACH, LOST, http(404, GONE), None),
        (READS, READ_AND_LOST, http(404, GONE), WORKFLOW),
        # What was linked since then stays linked.
        (READS, READ_AND_LOST, http(200, {**CREATED, "id": "flow_another1"}), WORKFLOW),
    ],
    ids=["200", "404", "none_linked", "another_linked"],
)
def test_a_detach_whose_response_an_earlier_try_lost_is_a_success(
    connect: Connect, operator: BaseOperator, first: list[Reply], second: Reply, workflow_id: str | None
) -> None:
    store = Store()
    with answering(connect, *first, second):
        with pytest.raises(AitronosNetworkError):
            execute(operator, store)
        result = execute(operator, store)
    assert (result["outcome"], result["workflow_id"]) == ("detached", workflow_id)


@POSTS
def test_a_post_whose_outcome_is_unknown_is_not_sent_again(connect: Connect, operator: BaseOperator) -> None:
    store = Store()
    with answering(connect, Reset()):
        for says in ("Check whether", "Read the log of that try. Check whether"):
            with pytest.raises(AitronosUnsafeToRepeatError, match=says) as caught:
                execute(operator, store)
            assert caught.value.maybe_done


@POSTS
def test_a_post_that_was_refused_is_sent_by_the_next_try(connect: Connect, operator: BaseOperator) -> None:
    store = Store()
    for _ in range(2):
        with answering(connect, http(429)), pytest.raises(AitronosError, match="HTTP 429"):
            execute(operator, store)
        assert KEY not in store


@POSTS
@pytest.mark.parametrize("broken", ["get", "set"])
def test_a_post_is_not_sent_without_a_record(connect: Connect, operator: BaseOperator, broken: str) -> None:
    says = r"Without it a retry could repeat the call. Retryable. \(no request was sent\)"
    with answering(connect), pytest.raises(AitronosError, match=says) as caught:
        execute(operator, Store(broken))
    assert (caught.value.outcome, caught.value.maybe_done) == ("retryable", False)
    assert "s3cr3t" not in str(caught.value)
