"""The memory of a detach over a task state store, a broken one included."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_aitronos.exceptions import (
    AitronosCancelledError,
    AitronosError,
    AitronosServerError,
    AitronosWorkflowMismatchError,
)
from airflow_aitronos.operators._memory import KEY, TryMemory
from tests.support.fake_clock import FakeClock
from tests.support.task_state_store import Store
from tests.unit.tools import ASSISTANT, CONN_ID, WORKFLOW, Lines

SUBJECT = {"assistant_id": ASSISTANT, "conn_id": CONN_ID}
CLOCK = FakeClock()
SUMMARY: Any = {"id": WORKFLOW, "name": "Support", "version": 3, "external_id": None}


def remember(store: Store | None, lines: Lines, subject: dict[str, str] = SUBJECT) -> TryMemory:
    context: Any = {} if store is None else {"task_state_store": store}
    return TryMemory(lines, context, subject, clock=CLOCK)


def lose_an_answer(store: Store, lines: Lines) -> None:
    """Play a try that sends a DELETE and dies."""
    remember(store, lines).__enter__().keep(SUMMARY)


@pytest.mark.parametrize("broken", ["get", "set", "delete"])
def test_a_store_that_does_not_answer_costs_the_memory_and_not_the_detach(lines: Lines, broken: str) -> None:
    store = Store(broken)
    with remember(store, lines) as memory:
        assert not memory.was_sent
        memory.keep(SUMMARY)
        assert memory.workflow == SUMMARY
    (warning,) = lines.of("warning")
    assert "a later try of this task may not know of it" in warning
    assert "OSError" in warning
    assert "s3cr3t" not in warning


def test_a_later_try_recalls_what_was_linked_and_forgets_it_once_the_outcome_is_known(lines: Lines) -> None:
    store = Store()
    lose_an_answer(store, lines)
    with remember(store, lines) as memory:
        assert (memory.was_sent, memory.workflow) == (True, SUMMARY)
    assert store == {}


@pytest.mark.parametrize(
    "other", [{**SUBJECT, "assistant_id": "asst_other"}, {**SUBJECT, "conn_id": "another"}]
)
def test_a_note_about_something_else_does_not_count(lines: Lines, other: dict[str, str]) -> None:
    store = Store()
    lose_an_answer(store, lines)
    with remember(store, lines, other) as memory:
        assert (memory.was_sent, memory.workflow) == (False, None)


@pytest.mark.parametrize("note", ["x", None, {}, {"subject": SUBJECT, "workflow": {"id": 7}}, [1]])
def test_a_note_that_makes_no_sense_does_no_harm(lines: Lines, note: Any) -> None:
    store = Store()
    store[KEY] = note
    with remember(store, lines) as memory:
        assert memory.workflow is None


@pytest.mark.parametrize(
    ("error", "is_kept"),
    [
        (AitronosServerError("", attempts=1, maybe_done=True), True),
        (AitronosCancelledError("", attempts=1), True),
        (AitronosServerError("", attempts=0), True),
        (AitronosError("", attempts=1), False),
        (AitronosWorkflowMismatchError("", attempts=1, maybe_done=True), False),
        (RuntimeError(), True),
    ],
    ids=["unknown", "cancelled", "nothing_sent", "known", "another_one_taken_off", "somebody_elses"],
)
def test_a_note_stays_until_the_outcome_is_known(lines: Lines, error: Exception, is_kept: bool) -> None:
    store = Store()
    memory = remember(store, lines).__enter__()
    memory.keep(SUMMARY)
    memory.__exit__(type(error), error, None)
    assert (KEY in store) == is_kept


def test_what_surely_was_refused_is_forgotten_at_once(lines: Lines) -> None:
    store = Store()
    with remember(store, lines) as memory:
        memory.keep(SUMMARY)
        memory.refused()
        assert store == {}
        memory.keep(SUMMARY)
        assert KEY in store, "the next attempt is noted again"


@pytest.mark.parametrize(("seconds", "is_slow"), [(0.0, False), (0.1, False), (0.3, True)])
def test_a_store_that_takes_its_time_is_told_of(lines: Lines, seconds: float, is_slow: bool) -> None:
    store = Store(wait=lambda _: CLOCK.advance(seconds))
    with remember(store, lines) as memory:
        assert memory.keep(SUMMARY) is is_slow
        assert not memory.keep(SUMMARY), "there is nothing new to note"
    assert store.asked.count("set") == 1


def test_what_could_not_be_written_is_written_by_the_next_attempt(lines: Lines) -> None:
    store = Store("set")
    with remember(store, lines) as memory:
        memory.keep(SUMMARY)
        store.broken.clear()
        memory.keep(SUMMARY)
        assert KEY in store


def test_a_note_that_could_not_be_read_is_deleted_once_the_outcome_is_known(lines: Lines) -> None:
    store = Store("get")
    store[KEY] = {"subject": SUBJECT, "workflow": SUMMARY}
    with remember(store, lines):
        pass
    assert store == {}


def test_what_the_answer_to_a_stopped_task_named_is_noted(lines: Lines) -> None:
    store = Store()
    memory = remember(store, lines).__enter__()
    memory.keep(None)
    memory.workflow = SUMMARY
    memory.__exit__(AitronosCancelledError, AitronosCancelledError("", attempts=1), None)
    assert remember(store, lines).__enter__().workflow == SUMMARY


def test_without_a_store_the_memory_ends_with_the_try(lines: Lines) -> None:
    with remember(None, lines) as memory:
        memory.keep(SUMMARY)
        assert memory.workflow == SUMMARY
    assert lines.of("warning") == []
