"""A detach that reads the link first: what it detaches, what it leaves alone, and what it then says."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_aitronos.exceptions import (
    AitronosCancelledError,
    AitronosError,
    AitronosInputError,
    AitronosNetworkError,
)
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer, Reply
from tests.support.faults import Call, Close, Reset
from tests.support.replies import http
from tests.support.task_state_store import Store, context_with
from tests.wire.runner import check_error, check_json, connect
from tests.wire.wire_case import ASSISTANT, GOOD, NOTHING_LINKED, OTHER, WORKFLOW, envelope

pytestmark = pytest.mark.usefixtures("log")

LINK_PATH = f"/v1/assistants/{ASSISTANT}/workflow"
EXPECTED: dict[str, Any] = {"expected_workflow_id": WORKFLOW}


def linked(workflow_id: str = WORKFLOW) -> bytes:
    return http(200, {"id": workflow_id, "name": "Support", "version": 3, "external_id": "support"})


NONE = http(200, "null")
UNAVAILABLE = envelope(503, "UNAVAILABLE")
GET, DELETE = "GET", "DELETE"


def detach(store: Store | None = None, **options: Any) -> Any:
    operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id=ASSISTANT, **options)
    value = operator.execute({} if store is None else context_with(store))
    check_json(value)
    return value


# What each of these calls makes of an answer: call_outcomes.txt


FAULTS: dict[str, Reply] = {
    "reset": Reset(),
    "cut": Close(GOOD[:-5]),
    "503": UNAVAILABLE,
    "429": http(429),
    "401": http(401),
    "redirect": http(302, headers=[("Location", "/login")]),
    "another": linked(OTHER),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_no_fault_lets_a_delete_out_that_no_read_has_allowed(
    monkeypatch: pytest.MonkeyPatch, fault: Reply
) -> None:
    # On the read: no response names the expected workflow, so nothing may be detached.
    assert DELETE not in sent_with(monkeypatch, [fault] * 4)
    # On the DELETE: each comes after a read of its own.
    sent = sent_with(monkeypatch, [linked(), fault] * 4)
    assert sent in ([GET, DELETE] * times for times in range(1, 5))


def sent_with(monkeypatch: pytest.MonkeyPatch, replies: list[Reply]) -> list[str]:
    """Return the methods of what a detach with an expected workflow sends."""
    with FaultServer(replies) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosError) as caught:
            detach(**EXPECTED)
        check_error(caught.value)
    return [one.method for one in server.requests if one.path == LINK_PATH]


# Options


def test_an_expected_workflow_that_rendered_to_nothing_is_not_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    operator = DetachAssistantWorkflowOperator(
        task_id="detach", assistant_id=ASSISTANT, expected_workflow_id="{{ upstream }}"
    )
    operator.expected_workflow_id = None  # what native rendering makes of an XCom that is not there
    with FaultServer([GOOD]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosInputError, match="expected_workflow_id"):
            operator.execute({})
    assert server.connections == 0


# The task state store, and a task that is cancelled


def test_a_refused_delete_leaves_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """However the try ends then: nothing was detached."""

    class Ended(BaseException):
        pass

    class EndingClock(FakeClock):
        def sleep(self, seconds: float) -> None:
            raise Ended

    store = Store()
    monkeypatch.setattr(AitronosHook, "clock", EndingClock())
    with FaultServer([envelope(429, "RATE_LIMIT_EXCEEDED")]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(Ended):
            detach(store)
    assert [one.method for one in server.requests] == [DELETE]
    assert store == {}


def test_a_response_to_a_cancelled_task_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id=ASSISTANT)
    with FaultServer([[Call(operator.on_kill), GOOD], NOTHING_LINKED]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosCancelledError, match=WORKFLOW) as caught:
            operator.execute(context_with(store))
        check_error(caught.value)
        assert (caught.value.maybe_done, caught.value.workflow_id) == (True, WORKFLOW)
        # The next try finds nothing linked, and knows why.
        assert detach(store, if_not_attached="fail")["workflow_id"] == WORKFLOW


def test_a_task_that_is_cancelled_before_anything_was_sent_has_done_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store()
    operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id=ASSISTANT, **EXPECTED)
    with FaultServer([[Call(operator.on_kill), linked()]]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosCancelledError) as caught:
            operator.execute(context_with(store))
    assert not caught.value.maybe_done
    assert [one.method for one in server.requests] == [GET]
    assert store == {}


def test_check_only_neither_uses_nor_removes_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    with FaultServer([*[Reset()] * 4, NONE]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosNetworkError):
            detach(store)
        recorded = dict(store)
        assert recorded
        assert detach(store, check_only=True)["workflow_id"] is None
    assert store == recorded
