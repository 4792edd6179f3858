"""The example DAGs, run against the sandbox; those that need a scheduler or a human run in a deployment."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.task_runs import airflow_runs


def dags_of(name: str) -> dict[str, Any]:
    """Return the DAGs of an example by id."""
    from airflow.sdk import DAG

    path = REPOSITORY / "example_dags" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {one.dag_id: one for one in vars(module).values() if isinstance(one, DAG)}


def sent(sandbox: Any) -> list[str]:
    return [f"{one.method} {one.path} {one.status_code}" for one in sandbox.requests]


@pytest.mark.parametrize("trial", ["success", "failed"])
def test_detach_as_teardown(aitronos_sandbox: Any, monkeypatch: pytest.MonkeyPatch, trial: str) -> None:
    dag = dags_of("example_detach_as_teardown")["example_detach_as_teardown"]
    if trial == "failed":

        def fail(assistant_id: str) -> None:
            raise RuntimeError("the trial failed")

        monkeypatch.setattr(dag.get_task("try_out"), "python_callable", fail)
    tasks = airflow_runs.run(dag)
    assistant = tasks["set_up_trial"].xcoms["return_value"]
    assert (tasks["try_out"].state, tasks["detach"].state) == (trial, "success")
    assert tasks["detach"].xcoms["return_value"]["assistant_id"] == assistant
    assert aitronos_sandbox.links[assistant] is None
    assert sent(aitronos_sandbox)[-1] == f"DELETE /v1/assistants/{assistant}/workflow 200"


def test_a_teardown_that_fails_fails_the_run(aitronos_sandbox: Any) -> None:
    """Airflow by itself takes such a run for a success, and the workflow would stay linked unseen."""
    from airflow.models.dagrun import DagRun

    dag = dags_of("example_detach_as_teardown")["example_detach_as_teardown"]
    aitronos_sandbox.fail(403, method="DELETE")
    tasks = airflow_runs.run(dag)
    assert (tasks["try_out"].state, tasks["detach"].state) == ("success", "failed")
    runs = airflow_runs.records(DagRun, dag_id=dag.dag_id)
    assert max(runs, key=lambda one: one.id).state == "failed"


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


@pytest.mark.parametrize(
    ("conf", "said", "linked"),
    [
        ({"check_only": True}, "flow_support01 is still linked to asst_support01", "flow_support01"),
        ({"assistant_id": "asst_idle01"}, "asst_idle01 had no workflow linked", "flow_support01"),
        ({}, "flow_support01 is no longer linked to asst_support01", None),
    ],
    ids=["would_detach", "not_attached", "detached"],
)
def test_the_outcome_decides(
    aitronos_sandbox: Any, conf: dict[str, Any], said: str, linked: str | None
) -> None:
    """The switch in the trigger form is a param, which reaches the operator as text."""
    dag = dags_of("example_detach_workflow")["example_detach_workflow"]
    tasks = airflow_runs.run(dag, run_conf=conf)
    assert tasks["report"].xcoms["return_value"].startswith(said)
    assert aitronos_sandbox.links["asst_support01"] == linked


@pytest.mark.parametrize("fault", [False, True])
def test_detach_fleet(aitronos_sandbox: Any, no_waits: Any, monkeypatch: Any, fault: bool) -> None:
    dag = dags_of("example_detach_fleet")["example_detach_fleet"]
    approve = dag.get_task("approve")
    monkeypatch.setattr(
        approve, "execute", lambda context: {"subject": approve.subject, "body": approve.body}
    )
    if fault:
        aitronos_sandbox.fail(403, method="DELETE", path=".*billing01/workflow")
    tasks = airflow_runs.run(dag, run_conf={"prefix": "B"})
    assert tasks["choose"].xcoms["return_value"] == [
        {"assistant_id": "asst_billing01", "expected_workflow_id": "flow_billing01"}
    ]
    asked = tasks["approve"].rendered
    assert asked["subject"] == "Detach 1 workflows?"
    assert "* asst_billing01: flow_billing01" in asked["body"]
    assert sent(aitronos_sandbox) == [
        "GET /v1/workflows 200",
        "GET /v1/assistants/asst_billing01/workflow 200",
        "GET /v1/assistants/asst_billing01/workflow 200",
        f"DELETE /v1/assistants/asst_billing01/workflow {403 if fault else 200}",
    ]
    end = "failed" if fault else "success"
    assert (tasks["detach"].state, tasks["tell"].state) == (end, end)
    aitronos_sandbox.assert_detached_exactly({} if fault else {"asst_billing01": "flow_billing01"})


def test_a_fleet_that_cannot_be_chosen_fails_its_run(aitronos_sandbox: Any) -> None:
    from airflow.models.dagrun import DagRun

    aitronos_sandbox.fail(401, path="/v1/workflows")
    dag = dags_of("example_detach_fleet")["example_detach_fleet"]
    tasks = airflow_runs.run(dag, run_conf={"prefix": "B"})
    assert (tasks["choose"].state, tasks["tell"].state) == ("failed", "success")
    latest = max(airflow_runs.records(DagRun, dag_id=dag.dag_id), key=lambda one: one.id)
    assert latest.state == "failed"


def test_a_fleet_of_none(aitronos_sandbox: Any) -> None:
    dag = dags_of("example_detach_fleet")["example_detach_fleet"]
    tasks = airflow_runs.run(dag, run_conf={"prefix": "None of them"})
    states = {name: tasks[name].state for name in ("plan", "approve", "detach", "tell")}
    assert states == {"plan": "skipped", "approve": "skipped", "detach": "skipped", "tell": "success"}
    aitronos_sandbox.assert_nothing_detached()


def test_a_deployment_hands_the_old_assistants_to_its_asset(aitronos_sandbox: Any) -> None:
    dag = dags_of("example_detach_on_asset")["example_deploy_to_asset"]
    assert airflow_runs.run(dag)["deploy"].state == "success"
    (extra,) = airflow_runs.extras(dag)
    assert (extra["version"], extra["old_assistants"]) == (1, ["asst_billing01"])
    assert extra["workflow_id"].startswith("flow_")
    assert sent(aitronos_sandbox) == ["POST /v1/workflows 201"]
