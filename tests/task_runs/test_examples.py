"""The example DAGs, run against the sandbox; those that need a scheduler or a human run in a deployment."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_aitronos.sandbox.server import SandboxServer
from tests.conftest import REPOSITORY
from tests.task_runs import airflow_runs


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", server.connection_json())
        yield server


def dags_of(name: str) -> dict[str, Any]:
    """Return the DAGs of an example by id."""
    path = REPOSITORY / "example_dags" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from airflow.sdk import DAG

    return {one.dag_id: one for one in vars(module).values() if isinstance(one, DAG)}


def sent(sandbox: SandboxServer) -> list[str]:
    return [f"{one.method} {one.path} {one.status_code}" for one in sandbox.requests]


@pytest.mark.parametrize("trial", ["success", "failed"])
def test_detach_as_teardown(sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, trial: str) -> None:
    dag = dags_of("example_detach_as_teardown")["example_detach_as_teardown"]
    if trial == "failed":

        def fail(assistant_id: str) -> None:
            raise RuntimeError("the trial failed")

        monkeypatch.setattr(dag.get_task("try_out"), "python_callable", fail)
    tasks = airflow_runs.run(dag)
    assistant = tasks["set_up_trial"].xcoms["return_value"]
    assert (tasks["try_out"].state, tasks["detach"].state) == (trial, "success")
    assert tasks["detach"].xcoms["return_value"]["assistant_id"] == assistant
    assert sandbox.store.get_assistant(assistant).workflow_id is None
    assert sent(sandbox)[-1] == f"DELETE /v1/assistants/{assistant}/workflow 200"


def test_a_teardown_that_fails_fails_the_run(aitronos_sandbox: Any) -> None:
    """Airflow by itself takes such a run for a success, and the workflow would stay linked unseen."""
    dag = dags_of("example_detach_as_teardown")["example_detach_as_teardown"]
    aitronos_sandbox.fail(403, method="DELETE")
    tasks = airflow_runs.run(dag)
    assert (tasks["try_out"].state, tasks["detach"].state) == ("success", "failed")
    (run,) = airflow_runs.rows(
        "SELECT state FROM dag_run WHERE dag_id = 'example_detach_as_teardown' ORDER BY id DESC LIMIT 1"
    )
    assert run["state"] == "failed"


@pytest.mark.parametrize(
    ("extras", "retired"),
    [
        ([{"old_assistants": ["asst_2", "asst_1"]}, {"old_assistants": ["asst_2"]}], ["asst_1", "asst_2"]),
        ([{}], []),  # as an event that is made by hand in Airflow
    ],
)
def test_the_assistants_of_events(extras: list[dict[str, Any]], retired: list[str]) -> None:
    dag = dags_of("example_detach_on_asset")["example_detach_on_asset"]
    (asset,) = dag.schedule

    class Events:
        """By asset, which is no key of a dict on Airflow 3.1.0."""

        def __getitem__(self, key: Any) -> list[Any]:
            assert key == asset
            return [SimpleNamespace(extra=extra) for extra in extras]

    old_assistants = dag.get_task("old_assistants").python_callable
    assert old_assistants(triggering_asset_events=Events()) == retired


def test_detach_many(sandbox: SandboxServer) -> None:
    tasks = airflow_runs.run(dags_of("example_detach_many")["example_detach_many"])
    assistants = ["asst_billing01", "asst_onboarding01", "asst_support01"]
    assert tasks["assistants"].xcoms["return_value"] == assistants
    for number, assistant in enumerate(assistants):
        detached = tasks[f"detach[{number}]"].xcoms["return_value"]
        assert detached["assistant_id"] == assistant
        assert sandbox.store.get_assistant(assistant).workflow_id is None
    rows = airflow_runs.rows(
        "SELECT rendered_map_index FROM task_instance WHERE dag_id = 'example_detach_many' "
        "AND task_id = 'detach' ORDER BY map_index"
    )
    assert [row["rendered_map_index"] for row in rows] == assistants
    assert sorted(sent(sandbox)) == [f"DELETE /v1/assistants/{one}/workflow 200" for one in assistants]


def test_a_deployment_hands_the_old_assistants_to_its_asset(sandbox: SandboxServer) -> None:
    dags = dags_of("example_detach_on_asset")
    tasks = airflow_runs.run(dags["example_deploy_to_asset"])
    assert tasks["deploy"].state == "success"
    (event,) = airflow_runs.rows(
        "SELECT extra FROM asset_event WHERE source_dag_id = 'example_deploy_to_asset'"
    )
    extra = airflow_runs.decoded(event["extra"])
    assert (extra["version"], extra["old_assistants"]) == (1, ["asst_billing01"])
    assert sandbox.store.get_workflow(extra["workflow_id"]).external_id == "answers"
    assert sent(sandbox) == ["POST /v1/workflows 201"]
