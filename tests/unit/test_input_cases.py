"""Ids that cannot be sent: refused when the DAG is parsed, and in the task before anything is sent."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from airflow.sdk import DAG
from airflow.sdk.bases.operator import BaseOperator

from airflow_aitronos._compat import AirflowFailException
from airflow_aitronos.exceptions import AitronosInputError
from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from tests.support.cases import case
from tests.support.recording_log import RecordingLog
from tests.unit.tools import (
    ASSISTANT,
    KEY,
    RESULT,
    Connect,
    assert_hides,
    assert_one_detach,
    detached_server,
    untouched,
)


def refused(connect: Connect, value: Any, *, is_literal: bool = True) -> str:
    """Return why an id is refused: permanently, with not even a connection to the server."""
    log = RecordingLog()
    with untouched() as server, patch.object(DetachAssistantWorkflowOperator, "log", log):
        connect(host=server.url)
        operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id="{{ it }}")
        operator.assistant_id = value  # as Airflow does when it renders
        with pytest.raises(AitronosInputError) as caught:
            operator.execute({})
    text = str(caught.value)
    if is_literal:
        with pytest.raises(AitronosInputError) as parsed:
            DetachAssistantWorkflowOperator(task_id="detach", assistant_id=value)
        assert str(parsed.value) == text
    else:
        DetachAssistantWorkflowOperator(task_id="detach", assistant_id=value)
    # Airflow's masker does not know the key yet.
    assert KEY not in repr(log.lines)
    (audit,) = [line.removeprefix("Audit: ") for line in log.texts("INFO") if line.startswith("Audit: ")]
    assert json.loads(audit)["error"] == "AitronosInputError"
    assert isinstance(caught.value, AirflowFailException)
    assert isinstance(caught.value, ValueError)
    assert (caught.value.attempts, caught.value.status_code) == (0, None)
    assert_hides(caught.value, KEY)
    assert text.isprintable()
    assert len(text) < 400
    assert text.startswith("assistant_id is ")
    assert text.endswith("Not retryable. (no request was sent)")
    return text


def rows(mark: pytest.MarkDecorator, says: str, *values: Any, is_literal: bool = True) -> Iterator[Any]:
    """Yield rows of one case of the fault matrix."""
    return (pytest.param(value, says, is_literal, marks=mark) for value in values)


class _WithoutText:
    def __str__(self) -> str:
        raise RuntimeError


I11, I14 = case("I11"), case("I14")
NOTHING = "Did an upstream XCom or variable return nothing?"
LEGAL = "Use 1 to 128 of A-Z a-z 0-9 _ - and start with a letter or digit."


@pytest.mark.parametrize(
    ("value", "says", "is_literal"),
    [
        *rows(case("I1"), f"is empty. {NOTHING}", "", is_literal=False),
        *rows(case("I2"), f"is empty. {NOTHING}", "   ", "\r\n\t", "\u3000\u2003", is_literal=False),
        *rows(case("I3"), f"is of type NoneType, not str. {NOTHING}", None, is_literal=False),
        *rows(case("I4"), f"which is not an id. {NOTHING}", "None", "NULL", "undefined", "NaN", " none\n"),
        *rows(
            case("I5"), "The template was not rendered", "{{ x }}", "a_{{ ds }}", "{% x %}", is_literal=False
        ),
        *rows(case("I6"), LEGAL, "..", ".", " .. "),
        *rows(case("I7"), LEGAL, "a/../../admin", f"{KEY}/", "/a", "\\..\\", "//evil.com"),
        *rows(case("I8"), LEGAL, "%2e%2e", "%2F", "%00", "a%2fb"),
        *rows(case("I9"), LEGAL, "x?y=1", "x#f", "x;y", "@evil.com", "a:b", "a.b", "a b", "-a", "_a"),
        *rows(case("I10"), LEGAL, "x\r\nX-Evil: 1", "a\tb", "a\nb", "a\x1b[31mb", "abc\x00"),
        # A Cyrillic letter looks like the Latin one: shown as it is, the message would explain nothing.
        *rows(I11, "'\\u0430sst_1'", "\u0430sst_1"),
        *rows(I11, "'asst\\u200b_1'", "asst\u200b_1"),
        *rows(I11, "'asst_1\\u202e'", "asst_1\u202e"),
        *rows(I11, "'asst_\\ud800'", "asst_\ud800"),
        *rows(case("I13"), LEGAL, "a" * 129, "a" * 10 * 1024),
        *rows(I14, "is of type int, not str. Pass the id as a str.", 7, 10**5000),
        *rows(I14, "With render_template_as_native_obj=True a template renders to another type", 1e5, True),
        *rows(I14, "is of type UUID, not str.", uuid.UUID(int=7)),
        *rows(I14, "is of type bytes, not str.", b"asst_1"),
        *rows(I14, "is of type dict, not str.", {"assistant_id": "asst_1"}),
        *rows(I14, ".expand(", ["asst_1", "asst_2"], {"asst_1"}),
        *rows(I14, "is of type _WithoutText, not str.", _WithoutText()),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else ascii(value)[:30],
)
def test_an_id_that_cannot_be_sent(connect: Connect, value: Any, says: str, is_literal: bool) -> None:
    text = refused(connect, value, is_literal=is_literal)
    assert says in text
    assert "a" * 128 not in text


@case("I12")
@pytest.mark.parametrize("value", [f"  {ASSISTANT}\t", f"{ASSISTANT}\r\n"], ids=repr)
def test_surrounding_space_is_stripped(connect: Connect, value: str) -> None:
    operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id=value)
    with detached_server() as server:
        connect(host=server.url)
        assert operator.execute({}) == RESULT
    assert_one_detach(server)


class _Upstream(BaseOperator):
    """A task whose return value is the id."""


class _TaskInstance:
    """As much of a task instance as an XComArg asks for."""

    run_id = "run"
    map_index = -1
    task = None

    def xcom_pull(self, **_: object) -> str:
        return ASSISTANT


def from_xcom() -> DetachAssistantWorkflowOperator:
    with DAG("dag"):
        later: Any = _Upstream(task_id="deploy").output
        operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id=later)
    assert operator.upstream_task_ids == {"deploy"}
    context: Any = {"ti": _TaskInstance(), "expanded_ti_count": None}
    operator.render_template_fields(context)
    return operator


def from_template() -> DetachAssistantWorkflowOperator:
    arguments: Any = {"assistant_id": "{{ params.id }}", "aitronos_conn_id": "aitronos_{{ 'default' }}"}
    with DAG("dag"):
        operator = DetachAssistantWorkflowOperator(task_id="detach", **arguments)
    operator.render_template_fields({"params": {"id": ASSISTANT}})
    return operator


def mapped(assistant_id: object = ASSISTANT) -> DetachAssistantWorkflowOperator:
    values: Any = [assistant_id]
    with DAG("dag"):
        task = DetachAssistantWorkflowOperator.partial(task_id="detach").expand(assistant_id=values)
    operator = task.unmap({"assistant_id": assistant_id})
    assert isinstance(operator, DetachAssistantWorkflowOperator)
    return operator


@case("I15")
@pytest.mark.parametrize("make", [from_xcom, from_template, mapped])
def test_values_that_are_known_only_when_the_task_runs(
    connect: Connect, make: Callable[[], DetachAssistantWorkflowOperator]
) -> None:
    operator = make()
    with detached_server() as server:
        connect(host=server.url)
        assert operator.execute({}) == RESULT
    assert_one_detach(server)


@pytest.mark.parametrize("value", ["a/b", "None", 7, None, ""], ids=repr)
def test_a_mapped_task_refuses_a_bad_id_when_it_runs(connect: Connect, value: object) -> None:
    text = refused(connect, value, is_literal=value not in (None, ""))
    with pytest.raises(AitronosInputError) as caught:
        mapped(value).execute({})
    assert str(caught.value) == text
