"""DAG files as Airflow parses them: a literal that can never work is an import error."""

from __future__ import annotations

from pathlib import Path

from tests.task_runs import airflow_runs

FILE = """
from airflow.sdk import DAG, BaseOperator
from airflow_aitronos.operators.assistants import *
from airflow_aitronos.operators.workflows import *
from airflow_aitronos.sensors.assistants import AssistantWorkflowSensor

with DAG("{dag_id}"):
    {task}
"""
DETACH = 'DetachAssistantWorkflowOperator(task_id="one", assistant_id={})'
SENSOR = 'AssistantWorkflowSensor(task_id="one", assistant_id="asst_1", until={})'
MISTAKES = {
    DETACH.format('"asst 1"'): "AitronosInputError: assistant_id is 'asst 1', which is not an id",
    DETACH.format('["asst_1"]'): "assistant_id is of type list, not str. Use .partial(...).expand(...)",
    DETACH.format('"asst_1", max_attempts=99'): "AitronosConfigurationError: Argument max_attempts is 99",
    SENSOR.format('"gone"'): "until is 'gone'",
    SENSOR.format('"unlinked", workflow_id="flow_1"'): "workflow_id is given with until='unlinked'",
}
LEFT_TO_THE_RUN = [
    DETACH.format('"{{ params.who }} 1", expected_workflow_id="{{ 1 }}", check_only="{{ params.dry }}"'),
    DETACH.format('BaseOperator(task_id="two").output'),
    'DetachAssistantWorkflowOperator.partial(task_id="one").expand(assistant_id=["a b"])',
    SENSOR.format('"linked", workflow_id="{{ var.value.flow }}"'),
]


def write(folder: Path, tasks: list[str]) -> list[str]:
    """Write a DAG file for each task, and return their names."""
    for number, task in enumerate(tasks):
        (folder / f"{number}.py").write_text(FILE.format(dag_id=f"parsed_{number}", task=task))
    return [str(folder / f"{number}.py") for number in range(len(tasks))]


def test_a_literal_mistake_fails_the_import_of_its_file(tmp_path: Path) -> None:
    files = write(tmp_path, list(MISTAKES))
    errors = airflow_runs.import_errors(tmp_path)
    assert sorted(errors) == sorted(files)
    for file, says in zip(files, MISTAKES.values(), strict=True):
        assert says in errors[file]


def test_what_is_known_at_run_time_only_is_left_to_the_run(tmp_path: Path) -> None:
    write(tmp_path, LEFT_TO_THE_RUN)
    assert airflow_runs.import_errors(tmp_path) == {}
