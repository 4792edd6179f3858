"""What Airflow does with DAG files and operators, on every supported version."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from importlib.metadata import version
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.conftest import REPOSITORY
from tests.support.cases import case
from tests.task_runs.dags import detach_dags

EXAMPLES = sorted((REPOSITORY / "example_dags").glob("*.py"))


IMPORTS = """
import importlib.util, socket, sys, time
from airflow.sdk import DAG, Asset, BaseHook, BaseOperator, task

def refuse(*args, **kwargs):
    raise AssertionError("a DAG file must not look for connections or servers")

socket.socket.connect = socket.getaddrinfo = BaseHook.get_connection = refuse
started = time.process_time()
for path in sys.argv[1:]:
    spec = importlib.util.spec_from_file_location("example", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    print(module.dag.dag_id)
print(time.process_time() - started)
"""
QUICK = 2.0
"""Seconds of processor time for the imports of all examples: far more than they need."""


@case("A13")
def test_dag_files_are_imported_quickly_without_network_and_connection() -> None:
    command = [sys.executable, "-c", IMPORTS, *map(str, EXAMPLES)]
    *dag_ids, seconds = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.splitlines()
    assert dag_ids == [path.stem for path in EXAMPLES]
    assert float(seconds) < QUICK


@case("A14")
@pytest.mark.parametrize(
    "dag", [detach_dags.detach_no_retries, detach_dags.detach_mapped], ids=["plain", "mapped"]
)
def test_an_operator_survives_serialization(dag: Any) -> None:
    module = importlib.import_module("airflow.serialization.serialized_objects")
    serializer = getattr(module, "DagSerialization", None) or module.SerializedDAG
    there = serializer.to_dict(dag)
    back = serializer.from_dict(there).get_task("detach")
    assert {"assistant_id", "expected_workflow_id", "aitronos_conn_id"} <= set(back.template_fields)
    assert back.task_type == "DetachAssistantWorkflowOperator"
    if not back.is_mapped:
        assert back.assistant_id == detach_dags.ASSISTANT


PROBE = """
import sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import airflow_aitronos.exceptions, airflow_aitronos.hooks.aitronos as hooks
    import airflow_aitronos.operators.assistants, airflow_aitronos.get_provider_info
    hooks.AitronosHook.get_ui_field_behaviour()
    hooks.AitronosHook()
for warning in caught:
    if "aitronos" in warning.filename or "aitronos" in str(warning.message):
        print(warning.filename, warning.message)
"""


@case("A18")
def test_this_airflow_is_supported_and_warns_of_nothing_of_ours() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = {one.name: one for one in map(Requirement, project["dependencies"])}
    assert requirements["apache-airflow"].specifier.contains(version("apache-airflow"))
    found = subprocess.run([sys.executable, "-c", PROBE], check=True, capture_output=True, text=True)
    assert found.stdout == ""
