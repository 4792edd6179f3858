"""Ids that cannot be sent: the operator refuses them before anything reaches the wire."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any
from unittest.mock import patch

import pytest
from airflow.sdk import DAG
from airflow.sdk.bases.operator import BaseOperator

from airflow_aitronos._compat import AirflowFailException
from airflow_aitronos.exceptions import AitronosInputError
from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from tests.support.cases import case
from tests.unit.conftest import SetConnection
from tests.unit.tools import (
    ASSISTANT,
    DETACHED,
    KEY,
    Lines,
    assert_hides,
    assert_one_detach,
    detached_server,
    untouched,
)


def refused(connect: SetConnection, assistant_id: Any) -> str:
    """Return why an id is refused: as a stop, with not even a connection to the server."""
    operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id=assistant_id)
    log = Lines()
    with untouched() as server, patch.object(DetachAssistantWorkflowOperator, "log", log):
        connect(host=server.url)
        with pytest.raises(AitronosInputError) as caught:
            operator.execute({})
    # Airflow's masker does not know the key yet.
    assert KEY not in repr(log.lines)
    assert sum(line.startswith("Audit: ") for line in log.of("info")) == 2
    assert isinstance(caught.value, AirflowFailException)
    assert isinstance(caught.value, ValueError)
    assert (caught.value.attempts, caught.value.status_code) == (0, None)
    assert_hides(caught.value, KEY)
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 400
    assert text.startswith("Nothing was sent: assistant_id ")
    return text


def named(**values: Any) -> Iterable[Any]:
    return [pytest.param(value, id=name) for name, value in values.items()]


@case("I1")
def test_empty(connect: SetConnection) -> None:
    assert "is empty" in refused(connect, "")


@case("I2")
@pytest.mark.parametrize("value", named(spaces="   ", line_breaks="\r\n\t", wide_space="\u3000\u2003"))
def test_blank(connect: SetConnection, value: str) -> None:
    assert "is empty" in refused(connect, value)


@case("I3")
def test_none(connect: SetConnection) -> None:
    text = refused(connect, None)
    assert "NoneType" in text
    assert "upstream XCom" in text


@case("I4")
@pytest.mark.parametrize(
    "word",
    ["None", "none", "NONE", "null", "NULL", "undefined", "Undefined", "nan", "NaN", " None ", "null\n"],
    ids=lambda word: repr(word),
)
def test_word_for_nothing(connect: SetConnection, word: str) -> None:
    text = refused(connect, word)
    assert "Did an upstream XCom return nothing?" in text
    assert word.strip() in text


@case("I5")
@pytest.mark.parametrize(
    "template",
    named(
        xcom="{{ ti.xcom_pull(task_ids='deploy') }}",
        tight="{{params.id}}",
        within="asst_{{ ds }}",
        block="{% if 1 %}",
    ),
)
def test_template_that_was_not_rendered(connect: SetConnection, template: str) -> None:
    assert "not rendered" in refused(connect, template)


@case("I6")
@pytest.mark.parametrize("value", ["..", ".", "...", " .. ", "./", "../"], ids=lambda value: repr(value))
def test_dots(connect: SetConnection, value: str) -> None:
    assert "cannot be an id" in refused(connect, value)


@case("I7")
@pytest.mark.parametrize(
    "value",
    ["a/../../admin", f"{KEY}/", "a/b", "/a", "a/", "\\..\\", "a\\b", "..\\a", "//evil.com"],
    ids=lambda value: repr(value),
)
def test_path(connect: SetConnection, value: str) -> None:
    assert "cannot be an id" in refused(connect, value)


@case("I8")
@pytest.mark.parametrize(
    "value", ["%2e%2e", "%2E%2E", "%2F", "%00", "%252e", "a%2fb", "%"], ids=lambda value: repr(value)
)
def test_percent(connect: SetConnection, value: str) -> None:
    assert "cannot be an id" in refused(connect, value)


@case("I9")
@pytest.mark.parametrize(
    "value",
    [
        "x?y=1",
        "x#f",
        "x;y",
        "@evil.com",
        "a:b",
        "a&b",
        "a=b",
        "a+b",
        "a*",
        "a.b",
        "a,b",
        "a b",
        "-a",
        "_a",
        "~a",
    ],
    ids=lambda value: repr(value),
)
def test_characters_of_urls(connect: SetConnection, value: str) -> None:
    assert "Legal are 1 to 128 of A-Z a-z 0-9 _ -" in refused(connect, value)


@case("I10")
@pytest.mark.parametrize(
    "value",
    named(
        header="x\r\nX-Evil: 1",
        tab="a\tb",
        nul="a\x00b",
        line_break="a\nb",
        escape="a\x1b[31mb",
        delete="a\x7f",
        nul_at_the_end="abc\x00",
    ),
)
def test_control_characters(connect: SetConnection, value: str) -> None:
    text = refused(connect, value)
    assert "cannot be an id" in text
    assert "\n" not in text


@case("I11")
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("asst_\u00e4", "asst_\\xe4", id="umlaut"),
        pytest.param("\u0430sst_1", "\\u0430sst_1", id="cyrillic_a"),
        pytest.param("asst_\uff11", "asst_\\uff11", id="wide_digit"),
        pytest.param("\u0130d", "\\u0130d", id="dotted_i"),
        pytest.param("asst_\U0001f600", "asst_\\U0001f600", id="emoji"),
        pytest.param("asst\u200b_1", "asst\\u200b_1", id="zero_width_space"),
        pytest.param("\ufeffasst_1", "\\ufeffasst_1", id="byte_order_mark"),
        pytest.param("asst_1\u202e", "asst_1\\u202e", id="right_to_left"),
        pytest.param("asst_\ud800", "asst_\\ud800", id="lone_surrogate"),
    ],
)
def test_unicode_is_shown_escaped(connect: SetConnection, value: str, shown: str) -> None:
    # A Cyrillic letter looks like the Latin one: shown as it is, the message would explain nothing.
    assert f"'{shown}'" in refused(connect, value)


@case("I12")
@pytest.mark.parametrize(
    "value",
    named(
        spaces=f"  {ASSISTANT}  ",
        line_break=f"{ASSISTANT}\n",
        windows=f"{ASSISTANT}\r\n",
        tab=f"\t{ASSISTANT}",
    ),
)
def test_surrounding_space_is_stripped(connect: SetConnection, value: str) -> None:
    operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id=value)
    with detached_server() as server:
        connect(host=server.url)
        assert operator.execute({}) == DETACHED
    assert_one_detach(server)


@case("I13")
@pytest.mark.parametrize("length", [129, 10 * 1024])
def test_too_long(connect: SetConnection, length: int) -> None:
    text = refused(connect, "a" * length)
    assert "1 to 128" in text
    assert "a" * 128 not in text


class _Unshowable:
    def __str__(self) -> str:
        raise RuntimeError


@case("I14")
@pytest.mark.parametrize(
    ("value", "type_name", "hint"),
    [
        pytest.param(7, "int", "as a str", id="int"),
        pytest.param(1e5, "float", "as a str", id="float"),
        pytest.param(True, "bool", "as a str", id="bool"),
        pytest.param(uuid.UUID(int=7), "UUID", "as a str", id="uuid"),
        pytest.param(b"asst_1", "bytes", "as a str", id="bytes"),
        pytest.param({"assistant_id": "asst_1"}, "dict", "as a str", id="dict"),
        pytest.param(["asst_1", "asst_2"], "list", ".expand(", id="list"),
        pytest.param(("asst_1",), "tuple", ".expand(", id="tuple"),
        pytest.param({"asst_1"}, "set", ".expand(", id="set"),
        pytest.param(10**5000, "int", "as a str", id="int_of_5001_digits"),
        pytest.param(float("nan"), "float", "as a str", id="nan"),
        pytest.param(_Unshowable(), "_Unshowable", "as a str", id="without_text"),
    ],
)
def test_other_types(connect: SetConnection, value: object, type_name: str, hint: str) -> None:
    text = refused(connect, value)
    assert f"is of type {type_name}," in text
    assert hint in text


class _Upstream(BaseOperator):
    """A task whose return value is the id."""


def _rendered_from_xcom() -> DetachAssistantWorkflowOperator:
    with DAG("dag"):
        upstream = _Upstream(task_id="deploy")
        later: Any = upstream.output
        operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id=later)
    assert operator.upstream_task_ids == {"deploy"}
    context: Any = {"ti": _TaskInstance(), "expanded_ti_count": None}
    operator.render_template_fields(context)
    return operator


def _rendered_from_template() -> DetachAssistantWorkflowOperator:
    with DAG("dag"):
        operator = DetachAssistantWorkflowOperator(
            task_id="detach",
            assistant_id="{{ params.assistant }}",
            aitronos_conn_id="aitronos_{{ 'default' }}",
        )
    operator.render_template_fields({"params": {"assistant": ASSISTANT}})
    return operator


def _unmapped() -> DetachAssistantWorkflowOperator:
    with DAG("dag"):
        mapped = DetachAssistantWorkflowOperator.partial(task_id="detach").expand(assistant_id=[ASSISTANT])
    operator = mapped.unmap({"assistant_id": ASSISTANT})
    assert isinstance(operator, DetachAssistantWorkflowOperator)
    return operator


class _TaskInstance:
    """As much of a task instance as an XComArg asks for."""

    run_id = "run"
    map_index = -1

    def xcom_pull(self, **_: object) -> str:
        return ASSISTANT


@case("I15")
@pytest.mark.parametrize(
    "make", [_rendered_from_xcom, _rendered_from_template, _unmapped], ids=lambda make: make.__name__
)
def test_values_that_are_known_only_when_the_task_runs(connect: SetConnection, make: Any) -> None:
    operator = make()
    with detached_server() as server:
        connect(host=server.url)
        assert operator.execute({}) == DETACHED
    assert_one_detach(server)
