"""Real task runs of the operators that deploy, promote and read."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_aitronos.exceptions import AitronosInputError, AitronosUnsafeToRepeatError
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.operators.workflows import (
    DeployWorkflowOperator,
    PromoteWorkflowToAssistantOperator,
)
from tests.support.airflow_versions import HAS_STORE
from tests.support.fault_server import FaultServer
from tests.support.faults import Hang
from tests.support.replies import http
from tests.support.task_state_store import Store
from tests.task_runs import airflow_runs
from tests.task_runs.conftest import SetConnection
from tests.task_runs.dags import workflow_dags
from tests.task_runs.dags.workflow_dags import AT_ONCE, DEFINITION

PROMOTED = {"assistant_id": "asst_new", "workflow_id": "flow_spare01", "message": "Done"}


def posts(sandbox: Any) -> int:
    return sum(one.method == "POST" for one in sandbox.requests)


def workflows(external_id: str | None = None) -> list[Any]:
    with AitronosHook() as hook:
        return list(hook.list_workflows(external_id=external_id))


# Deploy


def test_a_deployment_creates_then_updates_one_workflow(aitronos_sandbox: Any) -> None:
    first = airflow_runs.run(workflow_dags.deploy_literal)["deploy_literal"].xcoms["return_value"]
    second = airflow_runs.run(workflow_dags.deploy_literal)["deploy_literal"].xcoms["return_value"]
    (there,) = workflows(external_id="answers")
    names = {"id": there["id"], "name": "Answers", "external_id": "answers"}
    assert first == first | names | {"version": 1}
    assert second == second | names | {"version": 2}
    assert there["definition"] == DEFINITION
    event = airflow_runs.extras(workflow_dags.deploy_literal)[-1]
    assert event == event | {"workflow_id": there["id"], "version": 2}


def test_a_deployment_is_templated(aitronos_sandbox: Any) -> None:
    result = airflow_runs.run(workflow_dags.deploy_templated)["deploy_templated"]
    (there,) = workflows(external_id="answers-deploy_templated")
    assert (there["name"], there["description"]) == ("Answers of deploy_templated", "for all")
    assert there["definition"] == {"nodes": [{"id": "a"}], "edges": []}
    assert result.rendered["external_id"] == "answers-deploy_templated"


def test_a_file_is_sent_as_it_is_and_its_path_is_templated(aitronos_sandbox: Any, tmp_path: Path) -> None:
    file = tmp_path / "file_of_deploy_file.json"
    file.write_text("\ufeff" + json.dumps(DEFINITION), encoding="utf-8")
    dag = workflow_dags.one_task(
        DeployWorkflowOperator,
        "deploy_file",
        name="Answers",
        definition_path=f"{tmp_path}/file_of_{{{{ dag.dag_id }}}}.json",
        external_id="answers",
    )
    # Airflow reads a template file while the DAG is made ready: none of it may be taken for one.
    task: Any = dag.get_task("deploy_file")
    task.resolve_template_files()
    task.render_template_fields({"dag": dag})
    assert task.definition_path == str(file)
    task.execute({})
    (there,) = workflows(external_id="answers")
    assert there["definition"] == DEFINITION


@pytest.mark.parametrize("dag", [workflow_dags.deploy_without_external_id, workflow_dags.promote_1_retry])
@pytest.mark.parametrize("status", [None, 503])
def test_a_post_whose_response_is_lost_is_not_repeated(
    sandbox: Any, capfd: pytest.CaptureFixture[str], dag: Any, status: int | None
) -> None:
    before = len(sandbox.links), len(workflows())
    if status is None:
        sandbox.reset_connection(method="POST", after_commit=True, times=9)
    else:
        sandbox.fail(status, method="POST", after_commit=True, times=9)
    result = airflow_runs.run(dag)[dag.dag_id]
    assert (result.state, result.tries, posts(sandbox)) == ("failed", 1, 1)
    assert len(sandbox.links) + len(workflows()) == sum(before) + 1
    log = capfd.readouterr().out
    assert re.search(
        r"AitronosUnsafeToRepeatError: It may have taken effect: .* Check whether .*: then it was", log
    )


# Promote


def test_a_promotion_makes_one_assistant(aitronos_sandbox: Any) -> None:
    result = airflow_runs.run(workflow_dags.promote)["promote"]
    pushed = result.xcoms["return_value"]
    assert aitronos_sandbox.links[pushed["assistant_id"]] == pushed["workflow_id"] == "flow_spare01"
    with AitronosHook() as hook:
        made = hook.request(
            "GET", "/v1/assistants/{assistant_id}", path_params={"assistant_id": pushed["assistant_id"]}
        )
    assert made["name"] == "Spare of promote"
    (event,) = airflow_runs.extras(workflow_dags.promote)
    assert event == event | {"assistant_id": pushed["assistant_id"], "workflow_id": "flow_spare01"}


def test_a_promotion_has_no_retries_unless_it_is_given_some() -> None:
    assert workflow_dags.promote.get_task("promote").retries == 0
    assert workflow_dags.promote_1_retry.get_task("promote_1_retry").retries == 1
    assert workflow_dags.promote_default_args.get_task("promote").retries == 3
    mapped = workflow_dags.promote_mapped
    assert mapped.get_task("promote").retries == 0
    assert mapped.get_task("promote_with_retries").retries == 2


@pytest.mark.skipif(not HAS_STORE, reason="Airflow 3.1 and 3.2 keep nothing between tries")
def test_a_try_that_timed_out_is_not_followed_by_a_second_assistant(
    connect: SetConnection, capfd: pytest.CaptureFixture[str]
) -> None:
    dag = workflow_dags.one_task(
        PromoteWorkflowToAssistantOperator,
        "promote_1_retry",
        workflow_id="flow_spare01",
        retries=1,
        retry_delay=AT_ONCE,
        execution_timeout=timedelta(seconds=1),
    )
    with FaultServer([Hang(), http(201, PROMOTED)]) as server:
        connect(server.url)
        result = airflow_runs.run(dag)["promote_1_retry"]
    assert (result.state, result.tries) == ("failed", 2)
    assert len(server.requests) == 1
    assert "AitronosUnsafeToRepeatError" in capfd.readouterr().out


# Read


def test_the_workflow_of_an_assistant_is_read_in_short(aitronos_sandbox: Any) -> None:
    linked = airflow_runs.run(workflow_dags.read_link)["read_link"].xcoms["return_value"]
    assert linked == {
        "assistant_id": "asst_support01",
        "workflow_id": "flow_support01",
        "workflow": {"id": "flow_support01", "name": "Support flow", "version": 1, "external_id": None},
    }
    aitronos_sandbox.unlink("asst_support01")
    unlinked = airflow_runs.run(workflow_dags.read_link)["read_link"].xcoms["return_value"]
    assert unlinked == {"assistant_id": "asst_support01", "workflow_id": None, "workflow": None}


def test_a_name_that_renders_anew_in_a_later_try_is_no_reason_to_deploy_again(aitronos_sandbox: Any) -> None:
    aitronos_sandbox.reset_connection(method="POST")
    context: Any = {"task_state_store": Store()}
    for name in ("Answers at 10:00", "Answers at 10:05"):
        with pytest.raises(AitronosUnsafeToRepeatError):
            DeployWorkflowOperator(task_id="deploy", name=name, definition=DEFINITION).execute(context)
    assert posts(aitronos_sandbox) == 1


# What is not sent


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "definition is missing"),
        ({"definition": {}, "definition_path": "x.json"}, "Both definition and definition_path"),
        ({"definition_path": "missing.json"}, "No such file or directory"),
        ({"definition_path": "broken.json"}, "line 1 column 11"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_definition_that_cannot_be_sent_is_refused(
    aitronos_sandbox: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: Any, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.json").write_text('{"nodes": ]}')
    context: Any = {"task_state_store": (store := Store())}
    # A bad literal may be refused before the task runs.
    with pytest.raises(AitronosInputError, match=says):
        DeployWorkflowOperator(task_id="deploy", name="Answers", **arguments).execute(context)
    assert aitronos_sandbox.requests == []
    assert "set" not in store.asked
