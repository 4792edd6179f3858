"""Arguments of operators: what is wrong is found when the DAG is parsed, if it is known by then."""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_aitronos.exceptions import AitronosConfigurationError, AitronosError, AitronosInputError
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.operators.assistants import (
    DetachAssistantWorkflowOperator,
    GetAssistantWorkflowOperator,
)
from airflow_aitronos.operators.workflows import DeployWorkflowOperator, PromoteWorkflowToAssistantOperator
from airflow_aitronos.sensors.assistants import AssistantWorkflowSensor
from tests.support.fault_server import FaultServer
from tests.support.replies import http
from tests.unit.tools import ASSISTANT, RESULT, WORKFLOW, Connect, untouched

LINKED = {"id": WORKFLOW, "name": "Support", "version": 3, "definition": {}, "assistant_id": ASSISTANT}


NATIVE = "With render_template_as_native_obj=True"


def detach(**arguments: Any) -> DetachAssistantWorkflowOperator:
    return DetachAssistantWorkflowOperator(task_id="detach", **{"assistant_id": ASSISTANT, **arguments})


def deploy(**arguments: Any) -> DeployWorkflowOperator:
    return DeployWorkflowOperator(task_id="deploy", **{"name": "Support", "definition": {}, **arguments})


def sensor(**arguments: Any) -> AssistantWorkflowSensor:
    return AssistantWorkflowSensor(
        task_id="wait", **{"assistant_id": ASSISTANT, "until": "linked", **arguments}
    )


def promote(**arguments: Any) -> PromoteWorkflowToAssistantOperator:
    return PromoteWorkflowToAssistantOperator(task_id="promote", **arguments)


def read(**arguments: Any) -> GetAssistantWorkflowOperator:
    return GetAssistantWorkflowOperator(task_id="read", **arguments)


@pytest.mark.parametrize(
    ("make", "name", "value", "says"),
    [
        (detach, "max_attempts", 99, "a whole number from 1 to 10"),
        (deploy, "max_attempts", "4", "a whole number from 1 to 10"),
        (detach, "total_timeout", "30", "a number of seconds"),
        (sensor, "until", "gone", "Use one of 'linked', 'unlinked'."),
        (detach, "if_not_attached", "x", "Use one of 'succeed', 'skip', 'fail'."),
        (detach, "record_workflow", 1, "Use True or False"),
        (detach, "include_workflow_details", "true", "Use True or False"),
        (detach, "check_only", "yes", "neither true nor false"),
        (detach, "expected_workflow_id", "a/b", "which is not an id"),
        (detach, "expected_workflow_id", ["flow_1"], "of type list"),
        (read, "assistant_id", "..", "which is not an id"),
        (promote, "workflow_id", 7, "of type int"),
        (sensor, "assistant_id", "null", "upstream"),
        (sensor, "workflow_id", "a b", "which is not an id"),
    ],
)
def test_a_literal_that_cannot_be_used_fails_the_import_of_the_dag(
    make: Callable[..., Any], name: str, value: Any, says: str
) -> None:
    is_option = name in ("max_attempts", "total_timeout")
    with pytest.raises(AitronosConfigurationError if is_option else AitronosInputError) as caught:
        make(**{name: value})
    text = str(caught.value)
    assert name in text
    assert says in text
    assert text.endswith("Not retryable. (no request was sent)")
    assert caught.value.outcome == "permanent"


def test_a_workflow_to_wait_for_makes_no_sense_with_unlinked() -> None:
    with pytest.raises(AitronosInputError, match="workflow_id is given with until='unlinked'"):
        sensor(until="unlinked", workflow_id=WORKFLOW)


@pytest.mark.parametrize("name", ["assistant_id", "expected_workflow_id", "check_only"])
@pytest.mark.parametrize("value", ["{{ x }}", "{% if x %}a/b{% endif %}", "{# #}", None, " "], ids=repr)
def test_what_is_not_known_yet_is_left_to_the_task(name: str, value: Any) -> None:
    assert getattr(detach(**{name: value}), name) == value


def test_outputs_of_other_tasks_and_params_are_left_to_the_task() -> None:
    with DAG("dag", params={"only": True}) as dag:
        output: Any = read(assistant_id=ASSISTANT).output
        detach(assistant_id=output["assistant_id"], expected_workflow_id=output, check_only=dag.param("only"))


NEITHER: list[Any] = ["", "1", "None", None, 0, []]
SWITCHES: list[Any] = [(True, True), (" TRUE\n", True), ("False", False)]
SWITCHES += [(neither, None) for neither in NEITHER]


@pytest.mark.parametrize(("value", "is_on"), SWITCHES, ids=repr)
def test_check_only_is_true_or_false_and_nothing_else(
    connect: Connect, value: Any, is_on: bool | None
) -> None:
    operator = detach(check_only="{{ only }}")
    operator.check_only = value  # as Airflow does when it renders
    reply = http(200, LINKED if is_on else RESULT)
    with FaultServer([reply]) as server:
        connect(host=server.url)
        if is_on is None:
            with pytest.raises(AitronosInputError, match=r"check_only is .*, neither true nor false"):
                operator.execute({})
        else:
            assert operator.execute({})["outcome"] == ("would_detach" if is_on else "detached")
    methods = {True: ["GET"], False: ["DELETE"], None: []}
    assert [request.method for request in server.requests] == methods[is_on]


@pytest.mark.parametrize(
    ("given", "map_index", "is_lost"), [("{{ x }}", -1, True), (None, 0, True), (None, -1, False)]
)
def test_an_external_id_that_rendered_to_nothing_is_not_left_out(
    connect: Connect, given: str | None, map_index: int, is_lost: bool
) -> None:
    """The same for an expected workflow: tests/wire/test_expected_workflow.py."""
    operator = deploy(external_id=given)
    operator.external_id = None  # as Airflow does when it renders
    context: Any = {"ti": SimpleNamespace(map_index=map_index)}
    with FaultServer([http(401)]) as server:
        connect(host=server.url)
        with pytest.raises(AitronosError) as caught:
            operator.execute(context)
    assert ("rendered to nothing" in str(caught.value)) is is_lost
    assert bool(server.requests) is not is_lost


class Lazy(Sequence[Any]):
    """What the output of a mapped task is."""

    def __init__(self, *items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]


def test_the_outputs_of_mapped_tasks_become_lists(connect: Connect) -> None:
    with FaultServer([http(201, LINKED)]) as server, AitronosHook() as hook:
        connect(host=server.url)
        hook.create_workflow(name="Support", definition={"nodes": Lazy({"ids": Lazy("a", 1)}, ("b",), None)})
    assert json.loads(server.requests[0].body)["definition"] == {"nodes": [{"ids": ["a", 1]}, ["b"], None]}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"definition": {"a": [{"b": datetime.date(2026, 1, 1)}]}}, "definition.a[0].b is of type date."),
        ({"definition": {"x": [1, math.nan]}}, "definition.x[1] is not a finite number."),
        ({"definition": {"x": {7: "y"}}}, "definition.x is of type dict."),
        ({"definition": {"x": b"y"}}, "definition.x is of type bytes."),
        ({"definition": "{}"}, f"definition is of type str, not dict. {NATIVE}"),
        ({"name": 5}, f"name is of type int, not str. {NATIVE}"),
        ({"description": ["x"]}, f"description is of type list, not str. {NATIVE}"),
        ({"external_id": 1e5}, f"external_id is of type float, not str. {NATIVE}"),
        ({"external_id": "None"}, "external_id is 'None'. Did an upstream XCom"),
        ({"definition": None, "definition_path": 5}, "definition_path is of type int."),
    ],
)
def test_a_workflow_that_cannot_be_sent(connect: Connect, arguments: dict[str, Any], says: str) -> None:
    with untouched() as server:
        connect(host=server.url)
        operator = deploy(**arguments)
        with pytest.raises(AitronosInputError, match=f"^{re.escape(says)}"):
            operator.execute({})


def test_native_rendering_leaves_texts_without_a_template_as_they_are() -> None:
    with DAG("dag", render_template_as_native_obj=True):
        operator = deploy(
            name="{{ number }}",
            description="007",
            definition={"1": ["[1, 2]", "None", " ", {"x": "{{ number }}"}, "{{ number }} {{ number }}"]},
        )
    operator.render_template_fields({"number": 7})  # type: ignore[typeddict-unknown-key]  # any will do
    values: Any = (operator.name, operator.description)
    assert values == (7, "007")
    assert operator.definition == {"1": ["[1, 2]", "None", " ", {"x": 7}, "7 7"]}


def test_limits_and_connection_can_be_given_to_all_tasks_of_a_dag() -> None:
    operator = detach(default_args={"aitronos_conn_id": "other", "max_attempts": 2, "total_timeout": 7.5})
    assert (operator.aitronos_conn_id, operator.max_attempts, operator.total_timeout) == ("other", 2, 7.5)
