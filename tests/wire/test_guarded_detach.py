"""A detach that reads the link first: what it takes off, what it leaves alone, and what it then says."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_aitronos._compat import AirflowSkipException
from airflow_aitronos.exceptions import (
    AitronosAuthenticationError,
    AitronosCancelledError,
    AitronosError,
    AitronosInputError,
    AitronosNetworkError,
    AitronosNotAttachedError,
    AitronosNotFoundError,
    AitronosOutcomeUnknownError,
    AitronosServerError,
    AitronosWorkflowMismatchError,
)
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer, Reply, Unread
from tests.support.faults import Call, Reset
from tests.support.replies import http
from tests.support.task_state_store import Store
from tests.wire.runner import check_error, check_json, connect
from tests.wire.test_workflow_calls import FAULTS
from tests.wire.wire_case import ASSISTANT, WORKFLOW, detached, envelope

OTHER = "flow_other"
LINK, ASSISTANT_PATH = f"/v1/assistants/{ASSISTANT}/workflow", f"/v1/assistants/{ASSISTANT}"
GUARD = {"expected_workflow_id": WORKFLOW}


def linked(workflow_id: str = WORKFLOW) -> bytes:
    return http(200, {"id": workflow_id, "name": "Support", "version": 3, "external_id": "support"})


NONE = http(200, "null")
GOOD = http(200, detached())
NAMELESS = http(200, detached(workflow_id=None))
UNAVAILABLE = envelope(503, "UNAVAILABLE")
GET, DELETE = "GET", "DELETE"


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AitronosHook, "clock", FakeClock())


def detach(**options: Any) -> Any:
    operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id=ASSISTANT, **options)
    return check_and_return(operator.execute({}))


def check_and_return(value: Any) -> Any:
    check_json(value)
    return value


# What is sent, and what is returned


@pytest.mark.parametrize(
    ("options", "replies", "sent", "workflow_id"),
    [
        pytest.param({}, [GOOD], [DELETE], WORKFLOW, id="plain"),
        pytest.param(GUARD, [linked(), GOOD], [GET, DELETE], WORKFLOW, id="guard"),
        pytest.param({"record_workflow": True}, [linked(), GOOD], [GET, DELETE], WORKFLOW, id="record"),
        pytest.param(
            {"include_workflow_details": True}, [linked(), GOOD], [GET, DELETE], WORKFLOW, id="details"
        ),
        pytest.param(GUARD, [linked(), NAMELESS], [GET, DELETE], WORKFLOW, id="guard-no-id-in-the-answer"),
        pytest.param(GUARD, [linked(), http(204)], [GET, DELETE], WORKFLOW, id="guard-204"),
        pytest.param(
            GUARD, [linked(), Reset(), NONE], [GET, DELETE, GET], WORKFLOW, id="guard-lost-and-it-is-off"
        ),
        pytest.param(
            GUARD,
            [linked(), UNAVAILABLE, linked(), GOOD],
            [GET, DELETE, GET, DELETE],
            WORKFLOW,
            id="guard-lost-and-it-is-still-linked",
        ),
        pytest.param(
            GUARD,
            [linked(), Reset(), linked(), NAMELESS],
            [GET, DELETE, GET, DELETE],
            WORKFLOW,
            id="guard-lost-and-then-nameless",
        ),
        pytest.param(
            {"record_workflow": True},
            [linked(), Reset(), envelope(404, "WORKFLOW_NOT_LINKED")],
            [GET, DELETE, GET],
            WORKFLOW,
            id="record-lost-and-404-of-the-link",
        ),
        pytest.param(
            {"record_workflow": True},
            [linked(), Reset(), linked(OTHER)],
            [GET, DELETE, GET],
            WORKFLOW,
            id="record-lost-and-another-linked-since-then",
        ),
        pytest.param(
            {"record_workflow": True},
            [linked(), http(200, detached(workflow_id=OTHER))],
            [GET, DELETE],
            OTHER,
            id="record-and-another-in-the-answer",
        ),
        pytest.param(
            GUARD, [UNAVAILABLE, linked(), GOOD], [GET, GET, DELETE], WORKFLOW, id="guard-read-tried-again"
        ),
        pytest.param(
            {**GUARD, "if_not_attached": "fail"},
            [linked(), Reset(), NONE],
            [GET, DELETE, GET],
            WORKFLOW,
            id="off-after-a-lost-answer-is-done",
        ),
        pytest.param(
            {"if_not_attached": "fail"},
            [Reset(), NAMELESS],
            [DELETE, DELETE],
            None,
            id="null-after-a-lost-answer",
        ),
        pytest.param({"if_not_attached": "fail"}, [http(204)], [DELETE], None, id="204-is-done"),
    ],
)
def test_what_a_detach_sends_and_returns(
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    replies: list[Reply],
    sent: list[str],
    workflow_id: str | None,
) -> None:
    with FaultServer(replies) as server:
        connect(monkeypatch, server.url)
        assert detach(**options)["workflow_id"] == workflow_id
    assert [one.method for one in server.requests] == sent
    assert {one.path for one in server.requests} == {LINK}


@pytest.mark.parametrize(
    ("replies", "sent", "says"),
    [
        pytest.param([linked(OTHER)], [GET], "stays linked", id="before"),
        pytest.param(
            [linked(), Reset(), linked(OTHER)], [GET, DELETE, GET], "before that", id="after-a-lost-answer"
        ),
        pytest.param([UNAVAILABLE, linked(OTHER)], [GET, GET], "stays linked", id="after-a-failed-read"),
        pytest.param(
            [linked(), http(200, detached(workflow_id=OTHER))], [GET, DELETE], "has detached", id="in-between"
        ),
    ],
)
def test_another_workflow_is_a_stop_that_names_both(
    monkeypatch: pytest.MonkeyPatch, replies: list[Reply], sent: list[str], says: str
) -> None:
    with FaultServer(replies) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosWorkflowMismatchError, match=says) as caught:
            detach(**GUARD)
    check_error(caught.value)
    assert WORKFLOW in str(caught.value)
    assert OTHER in str(caught.value)
    assert (caught.value.workflow_id, caught.value.expected_workflow_id) == (OTHER, WORKFLOW)
    assert caught.value.maybe_done == (sent[-1] == DELETE)
    assert [one.method for one in server.requests] == sent


WAYS_TO_SAY_NONE: dict[str, tuple[dict[str, Any], list[Reply]]] = {
    "first-200-with-null": ({}, [NAMELESS]),
    "404-that-names-the-link": ({}, [envelope(404, "WORKFLOW_NOT_FOUND")]),
    "null-to-the-read": (GUARD, [NONE]),
    "404-to-the-read": ({"record_workflow": True}, [envelope(404, "ASSISTANT_WORKFLOW_NOT_FOUND")]),
    "404-and-a-look": (
        GUARD,
        [envelope(404, "RESOURCE_NOT_FOUND"), http(200, {"id": ASSISTANT, "workflow_id": None})],
    ),
    "check-only": ({"check_only": True}, [NONE]),
    "after-429": ({}, [envelope(429, "RATE_LIMIT_EXCEEDED"), NAMELESS]),
}


@pytest.mark.parametrize(("options", "replies"), WAYS_TO_SAY_NONE.values(), ids=WAYS_TO_SAY_NONE)
@pytest.mark.parametrize("meaning", [None, "succeed", "skip", "fail"])
def test_nothing_linked_means_the_same_however_the_api_says_it(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], replies: list[Reply], meaning: str | None
) -> None:
    asked = options if meaning is None else {**options, "if_not_attached": meaning}
    with FaultServer(replies) as server:
        connect(monkeypatch, server.url)
        if meaning == "skip":
            with pytest.raises(AirflowSkipException, match=ASSISTANT):
                detach(**asked)
        elif meaning == "fail":
            with pytest.raises(AitronosNotAttachedError, match=ASSISTANT) as caught:
                detach(**asked)
            check_error(caught.value)
            assert not caught.value.maybe_done
        else:
            assert detach(**asked)["workflow_id"] is None
    assert len(server.requests) == len(replies)


def test_the_hook_alone_leaves_a_404_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([envelope(404, "WORKFLOW_NOT_FOUND")]) as server, AitronosHook() as hook:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosNotFoundError):
            hook.detach_assistant_workflow(ASSISTANT)


@pytest.mark.parametrize(
    ("replies", "error", "maybe_done"),
    [
        pytest.param(
            [envelope(401, "INVALID_API_KEY")], AitronosAuthenticationError, False, id="401-to-the-read"
        ),
        pytest.param([UNAVAILABLE] * 4, AitronosServerError, False, id="503-to-every-read"),
        pytest.param([Reset()] * 4, AitronosNetworkError, False, id="no-answer-to-any-read"),
        pytest.param(
            [envelope(404, "ASSISTANT_NOT_FOUND")], AitronosNotFoundError, False, id="no-such-assistant"
        ),
        pytest.param(
            [linked(), Reset(), envelope(401, "INVALID_API_KEY")],
            AitronosAuthenticationError,
            True,
            id="lost-and-401-to-the-read",
        ),
        pytest.param(
            [linked(), UNAVAILABLE, *[UNAVAILABLE] * 3],
            AitronosServerError,
            True,
            id="lost-and-no-more-reads",
        ),
        pytest.param(
            [
                linked(),
                Reset(),
                linked(),
                envelope(404, "X"),
                http(200, {"id": ASSISTANT, "workflow_id": "f"}),
            ],
            AitronosOutcomeUnknownError,
            True,
            id="lost-and-contradictions",
        ),
    ],
)
def test_a_failed_look_sends_no_delete(
    monkeypatch: pytest.MonkeyPatch, replies: list[Reply], error: type[AitronosError], maybe_done: bool
) -> None:
    with FaultServer(replies) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(error) as caught:
            detach(**GUARD)
    check_error(caught.value)
    assert caught.value.maybe_done == maybe_done
    assert ("may have taken effect" in str(caught.value)) == maybe_done
    assert len(server.requests) == len(replies)


# Options


def test_details_tell_name_version_and_external_id_but_no_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([linked(), GOOD]) as server:
        connect(monkeypatch, server.url)
        result = detach(include_workflow_details=True)
    assert result["workflow"] == {"id": WORKFLOW, "name": "Support", "version": 3, "external_id": "support"}


@pytest.mark.parametrize(
    "replies", [[linked(), http(200, detached(workflow_id=OTHER))], [NONE]], ids=["another", "none"]
)
def test_details_of_what_is_not_known_are_none(monkeypatch: pytest.MonkeyPatch, replies: list[Reply]) -> None:
    with FaultServer(replies) as server:
        connect(monkeypatch, server.url)
        assert detach(include_workflow_details=True)["workflow"] is None


def test_a_look_only_sends_no_delete(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([linked()]) as server:
        connect(monkeypatch, server.url)
        assert detach(check_only=True)["workflow_id"] == WORKFLOW
    with FaultServer([linked(OTHER)]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosWorkflowMismatchError):
            detach(check_only=True, **GUARD)
    assert [one.method for one in server.requests] == [GET]


@pytest.mark.parametrize("guard", ["", " ", "None", "{{ missing }}", "a/b", 5])
def test_a_guard_that_is_no_id_sends_nothing(monkeypatch: pytest.MonkeyPatch, guard: Any) -> None:
    with FaultServer([linked()]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosInputError, match="expected_workflow_id"):
            detach(expected_workflow_id=guard)
    assert server.connections == 0


def test_a_guard_that_rendered_to_nothing_is_not_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = DetachAssistantWorkflowOperator(
        task_id="detach", assistant_id=ASSISTANT, expected_workflow_id="{{ upstream }}"
    )
    operator.expected_workflow_id = None  # what native rendering makes of an XCom that is not there
    with FaultServer([GOOD]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosInputError, match="rendered to nothing"):
            operator.execute({})
    assert server.connections == 0


def test_no_guard_at_all_may_be_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([GOOD]) as server:
        connect(monkeypatch, server.url)
        detach(expected_workflow_id=None)
    assert [one.method for one in server.requests] == [DELETE]


def test_a_mistyped_meaning_is_found_when_the_dag_is_parsed() -> None:
    with pytest.raises(AitronosInputError, match="if_not_attached must be"):
        DetachAssistantWorkflowOperator(task_id="detach", assistant_id="a", if_not_attached="ignore")  # type: ignore[arg-type]  # the mistake


def test_the_hook_refuses_a_mistyped_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([GOOD]) as server, AitronosHook() as hook:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosInputError, match="if_not_attached must be one of"):
            hook.detach_assistant_workflow(ASSISTANT, if_not_attached="ignore")  # type: ignore[arg-type]  # the mistake
    assert server.connections == 0


def test_text_of_the_server_is_made_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    wild = "::group::\x1b[31mflow\n\x00" + "x" * 5000
    answer = http(200, {"id": wild, "name": wild, "version": "3\n4", "external_id": wild})
    with FaultServer([answer, NAMELESS]) as server:
        connect(monkeypatch, server.url)
        result = detach(include_workflow_details=True)
    assert len(str(result)) < 3000
    assert "\n" not in result["workflow_id"] + result["workflow"]["name"]
    assert result["workflow"]["version"] is None
    with FaultServer([answer]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosWorkflowMismatchError) as caught:
            detach(**GUARD)
    check_error(caught.value)
    assert len(str(caught.value)) < 1500


# Every fault of the matrix, on either side of the read


@pytest.mark.parametrize(("replies", "extra"), FAULTS)
def test_no_fault_lets_a_delete_out_that_no_look_has_allowed(
    monkeypatch: pytest.MonkeyPatch, replies: list[Reply], extra: dict[str, Any]
) -> None:
    # On the read: no scripted answer names the expected workflow, so nothing may be taken off.
    assert DELETE not in sent_with(monkeypatch, replies, extra)
    # On the DELETE: each comes after a look of its own.
    sent = sent_with(monkeypatch, [one for reply in replies for one in (linked(), reply)], extra)
    deletes = [place for place, method in enumerate(sent) if method == DELETE]
    # What is never read is not recorded either.
    assert deletes or any(isinstance(reply, Unread) for reply in replies)
    assert all(sent[place - 1] == GET for place in deletes)
    assert len(deletes) <= int(extra.get("max_attempts", 4))


def sent_with(monkeypatch: pytest.MonkeyPatch, replies: list[Reply], extra: dict[str, Any]) -> list[str]:
    """Return the methods of what a guarded detach sends."""
    monkeypatch.setattr(AitronosHook, "clock", FakeClock())
    with FaultServer(replies) as server:
        connect(monkeypatch, server.url, **extra)
        try:
            detach(**GUARD)
        except AitronosError as error:
            check_error(error)
    return [one.method for one in server.requests]


# A store that takes its time, and a task that is told to stop


def detach_with(store: Store, **options: Any) -> Any:
    operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id=ASSISTANT, **options)
    context: Any = {"task_state_store": store}
    return operator.execute(context)


def slow_store() -> Store:
    return Store(wait=AitronosHook.clock.advance)  # type: ignore[attr-defined]  # of the fake clock


@pytest.mark.parametrize(
    ("options", "replies", "sent"),
    [
        pytest.param(GUARD, [linked(), linked(), GOOD], [GET, GET, DELETE], id="once-more"),
        pytest.param(
            GUARD,
            [linked(), linked(), Reset(), linked(), GOOD],
            [GET, GET, DELETE, GET, DELETE],
            id="only-if-something-was-written",
        ),
        pytest.param({"record_workflow": True}, [linked(), GOOD], [GET, DELETE], id="not-for-a-record"),
    ],
)
def test_the_link_is_read_again_if_noting_it_took_long(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], replies: list[Reply], sent: list[str]
) -> None:
    store = slow_store()
    with FaultServer(replies) as server:
        connect(monkeypatch, server.url)
        assert detach_with(store, **options)["workflow_id"] == WORKFLOW
    assert [one.method for one in server.requests] == sent
    assert store == {}


def test_one_look_is_enough_if_noting_it_was_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([linked(), GOOD]) as server:
        connect(monkeypatch, server.url)
        detach_with(Store(), **GUARD)
    assert [one.method for one in server.requests] == [GET, DELETE]


def test_what_is_linked_while_the_note_is_written_stays_linked(monkeypatch: pytest.MonkeyPatch) -> None:
    store = slow_store()
    with FaultServer([linked(), linked(OTHER)]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosWorkflowMismatchError):
            detach_with(store, **GUARD)
    assert [one.method for one in server.requests] == [GET, GET]
    assert store == {}


def test_a_refused_delete_leaves_no_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends the try then: nothing was taken off."""

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
            detach_with(store)
    assert [one.method for one in server.requests] == [DELETE]
    assert store == {}


def test_an_answer_to_a_stopped_task_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id=ASSISTANT)
    context: Any = {"task_state_store": store}
    with FaultServer([[Call(operator.on_kill), GOOD], NAMELESS]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosCancelledError, match=f"Detached workflow '{WORKFLOW}'") as caught:
            operator.execute(context)
        check_error(caught.value)
        assert (caught.value.maybe_done, caught.value.workflow_id) == (True, WORKFLOW)
        # The next try finds nothing linked, and knows why.
        assert detach_with(store, if_not_attached="fail")["workflow_id"] == WORKFLOW
    assert store == {}


def test_a_task_that_is_stopped_before_anything_was_sent_has_done_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store()
    operator = DetachAssistantWorkflowOperator(
        task_id="detach", assistant_id=ASSISTANT, expected_workflow_id=WORKFLOW
    )
    context: Any = {"task_state_store": store}
    with FaultServer([[Call(operator.on_kill), linked()]]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosCancelledError) as caught:
            operator.execute(context)
    assert not caught.value.maybe_done
    assert [one.method for one in server.requests] == [GET]
    assert store == {}


def test_a_look_only_neither_reads_nor_forgets_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    with FaultServer([Reset()] * 4) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosNetworkError):
            detach_with(store)
    noted = dict(store)
    assert noted
    with FaultServer([NONE]) as server:
        connect(monkeypatch, server.url)
        assert detach_with(store, check_only=True)["workflow_id"] is None
    assert store == noted


def test_a_skipped_task_leaves_no_note(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    with FaultServer([NAMELESS]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AirflowSkipException):
            detach_with(store, if_not_attached="skip")
    assert len(server.requests) == 1
    assert store == {}


def test_an_error_names_the_workflow_that_was_linked(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([linked(), UNAVAILABLE] * 4) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosServerError) as caught:
            detach(**GUARD)
    assert (caught.value.workflow_id, caught.value.maybe_done) == (WORKFLOW, True)


def test_an_error_has_the_trace_id_of_a_reply_without_an_envelope(monkeypatch: pytest.MonkeyPatch) -> None:
    other = http(200, detached(workflow_id=OTHER), headers=[("x-request-id", "req_7")])
    with FaultServer([linked(), other]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosWorkflowMismatchError) as caught:
            detach(**GUARD)
    assert (caught.value.trace_id, caught.value.request_id) == ("req_7", "req_7")
    assert "trace_id req_7" in str(caught.value)


def test_nothing_linked_as_a_failure_keeps_what_the_api_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([envelope(404, "WORKFLOW_NOT_FOUND")]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosNotAttachedError) as caught:
            detach(if_not_attached="fail")
    assert (caught.value.status_code, caught.value.code) == (404, "WORKFLOW_NOT_FOUND")


@pytest.mark.parametrize("name", ["check_only", "record_workflow", "include_workflow_details"])
@pytest.mark.parametrize("value", ["False", "{{ params.only }}", 0, 1])
def test_an_option_that_is_no_bool_is_refused(name: str, value: Any) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(AitronosInputError, match=name):
        DetachAssistantWorkflowOperator(task_id="detach", assistant_id=ASSISTANT, **options)
    with AitronosHook() as hook, pytest.raises(AitronosInputError, match=name):
        hook.detach_assistant_workflow(ASSISTANT, **options)


# What the log tells


@pytest.mark.parametrize(
    ("options", "replies", "says"),
    [
        pytest.param(
            GUARD,
            [linked(), GOOD],
            f"Detaching workflow '{WORKFLOW}' (Support, version 3) from assistant '{ASSISTANT}'",
            id="before",
        ),
        pytest.param(
            GUARD,
            [linked(), Reset(), NONE],
            f"probably detached workflow '{WORKFLOW}'",
            id="off-after-a-lost-answer",
        ),
        pytest.param(
            {"record_workflow": True},
            [linked(), Reset(), linked(OTHER)],
            f"'{OTHER}', linked since then, stays linked",
            id="another-since-then",
        ),
        pytest.param(
            {"record_workflow": True},
            [linked(), http(200, detached(workflow_id=OTHER))],
            f"just before, '{WORKFLOW}' was linked",
            id="another-in-the-answer",
        ),
        pytest.param(
            GUARD, [linked(), NAMELESS], "the id is the one that was linked just before", id="nameless"
        ),
        pytest.param(
            {"check_only": True}, [linked()], "nothing was detached: check_only is set", id="check-only"
        ),
    ],
)
def test_the_log_tells_what_was_linked(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    options: dict[str, Any],
    replies: list[Reply],
    says: str,
) -> None:
    with FaultServer(replies) as server:
        connect(monkeypatch, server.url)
        detach(**options)
    assert capfd.readouterr().out.count(says) == 1
