"""Real task runs of the operators that deploy, promote and read."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_aitronos.client.transport import Transport
from airflow_aitronos.exceptions import AitronosError, AitronosInputError, AitronosUnsafeToRepeatError
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.operators.workflows import (
    DeployWorkflowOperator,
    PromoteWorkflowToAssistantOperator,
)
from airflow_aitronos.testing.clock import SkippingClock
from airflow_aitronos.testing.sandbox import Sandbox
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


def posts(sandbox: Sandbox) -> int:
    return sum(one.method == "POST" for one in sandbox.requests)


def workflows(external_id: str | None = None) -> list[Any]:
    with AitronosHook() as hook:
        return list(hook.list_workflows(external_id=external_id))


def event_of(dag_id: str) -> Any:
    (event,) = airflow_runs.rows(
        "SELECT extra FROM asset_event WHERE source_dag_id = :dag_id ORDER BY id DESC LIMIT 1", dag_id=dag_id
    )
    return airflow_runs.decoded(event["extra"])


# Deploy


def test_a_deployment_creates_then_updates_one_workflow(
    aitronos_sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    first = airflow_runs.run(workflow_dags.deploy_literal)["deploy_literal"]
    second = airflow_runs.run(workflow_dags.deploy_literal)["deploy_literal"]
    (there,) = workflows(external_id="answers")
    names = {"id": there["id"], "name": "Answers", "external_id": "answers"}
    assert first.xcoms == {"return_value": {**names, "version": 1, "created": True}}
    assert second.xcoms == {"return_value": {**names, "version": 2, "created": False}}
    assert there["definition"] == DEFINITION
    assert event_of("deploy_literal") == {"assistant_id": None, "workflow_id": there["id"], "version": 2}
    log = capfd.readouterr().out
    assert "Created workflow 'Answers' (external_id 'answers')" in log
    assert "Updated workflow 'Answers' (external_id 'answers')" in log


def test_a_deployment_is_templated(aitronos_sandbox: Sandbox) -> None:
    result = airflow_runs.run(workflow_dags.deploy_templated)["deploy_templated"]
    (there,) = workflows(external_id="answers-deploy_templated")
    assert (there["name"], there["description"]) == ("Answers of deploy_templated", "for all")
    assert there["definition"] == {"nodes": [{"id": "a"}], "edges": []}
    assert result.rendered["external_id"] == "answers-deploy_templated"


def test_a_definition_from_upstream_is_not_rendered(aitronos_sandbox: Sandbox) -> None:
    assert airflow_runs.run(workflow_dags.deploy_from_upstream)["deploy"].state == "success"
    (there,) = workflows(external_id="answers")
    assert there["definition"] == DEFINITION


def test_a_file_is_sent_as_it_is_and_its_path_is_templated(aitronos_sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "file_of_deploy_file.json"
    file.write_text(json.dumps(DEFINITION), encoding="utf-8")
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


def test_mapped_deployments_each_have_their_workflow(aitronos_sandbox: Sandbox) -> None:
    results = airflow_runs.run(workflow_dags.deploy_mapped)
    pushed = [results[f"deploy[{number}]"].xcoms["return_value"] for number in range(2)]
    assert [one["external_id"] for one in pushed] == ["one", "two"]
    assert len({one["id"] for one in pushed}) == 2


LOST: list[dict[str, Any]] = [
    {"kind": "reset"},
    {"kind": "truncate"},
    {"kind": "fail", "status": 500},
    {"kind": "fail", "status": 503},
    {"kind": "fail", "status": 408},
]


def lose_answers(sandbox: Sandbox, kind: str, times: int, **arguments: Any) -> None:
    """Let the next requests be carried out, and their answers get lost."""
    script: Any = {"reset": sandbox.reset_connection, "truncate": sandbox.truncate, "fail": sandbox.fail}[
        kind
    ]
    script(**arguments, after_commit=True, times=times, method="POST")


@pytest.mark.parametrize("lost", LOST, ids=str)
@pytest.mark.parametrize("times", [1, 3, 9])
def test_lost_answers_leave_one_workflow_with_an_external_id(
    aitronos_sandbox: Sandbox, aitronos_no_waits: SkippingClock, lost: dict[str, Any], times: int
) -> None:
    lose_answers(aitronos_sandbox, times=times, **lost)
    operator = DeployWorkflowOperator(
        task_id="deploy", name="Answers", definition=DEFINITION, external_id="answers"
    )
    if times < 4:
        # A later version may be this call's own doing.
        assert operator.execute({})["created"] is None
    else:
        with pytest.raises(Exception, match="Trying again may help"):
            operator.execute({})
    assert posts(aitronos_sandbox) == min(times + 1, 4)
    assert len(workflows(external_id="answers")) == 1


@pytest.mark.parametrize("lost", LOST, ids=str)
def test_a_lost_answer_leaves_one_workflow_without_an_external_id_too(
    aitronos_sandbox: Sandbox, aitronos_no_waits: SkippingClock, lost: dict[str, Any]
) -> None:
    before = len(workflows())
    lose_answers(aitronos_sandbox, times=9, **lost)
    result = airflow_runs.run(workflow_dags.deploy_without_external_id)["deploy_without_external_id"]
    assert (result.state, result.tries) == ("failed", 1)
    assert posts(aitronos_sandbox) == 1
    assert len(workflows()) == before + 1


# Promote


@pytest.mark.parametrize("lost", LOST, ids=str)
def test_a_lost_answer_leaves_one_new_assistant(
    aitronos_sandbox: Sandbox, aitronos_no_waits: SkippingClock, lost: dict[str, Any]
) -> None:
    before = len(aitronos_sandbox.links)
    lose_answers(aitronos_sandbox, times=9, **lost)
    result = airflow_runs.run(workflow_dags.promote_1_retry)["promote_1_retry"]
    assert (result.state, result.tries) == ("failed", 1)
    assert posts(aitronos_sandbox) == 1
    assert len(aitronos_sandbox.links) == before + 1


def test_a_promotion_makes_one_assistant(aitronos_sandbox: Sandbox) -> None:
    result = airflow_runs.run(workflow_dags.promote)["promote"]
    pushed = result.xcoms["return_value"]
    assert sorted(pushed) == ["assistant_id", "message", "workflow_id"]
    assert aitronos_sandbox.links[pushed["assistant_id"]] == pushed["workflow_id"] == "flow_spare01"
    with AitronosHook() as hook:
        made = hook.request(
            "GET", "/v1/assistants/{assistant_id}", path_params={"assistant_id": pushed["assistant_id"]}
        )
    assert made["name"] == "Spare of promote"
    assert event_of("promote") == {
        "assistant_id": pushed["assistant_id"],
        "workflow_id": "flow_spare01",
        "version": None,
    }


def test_a_promotion_has_no_retries_unless_it_is_given_some() -> None:
    assert workflow_dags.promote.get_task("promote").retries == 0
    assert workflow_dags.promote_1_retry.get_task("promote_1_retry").retries == 1
    assert workflow_dags.promote_default_args.get_task("promote").retries == 3
    mapped = workflow_dags.promote_mapped
    assert mapped.get_task("promote").retries == 0
    assert mapped.get_task("promote_with_retries").retries == 2


def test_mapped_promotions_each_make_their_assistant(aitronos_sandbox: Sandbox) -> None:
    results = airflow_runs.run(workflow_dags.promote_mapped)
    pushed = [results[f"promote[{number}]"].xcoms["return_value"] for number in range(2)]
    assert [one["workflow_id"] for one in pushed] == ["flow_spare01", "flow_support01"]


@pytest.mark.skipif(not HAS_STORE, reason="Airflow 3.1 and 3.2 remember nothing between tries")
def test_a_try_that_ended_without_a_word_is_not_followed_by_a_second_assistant(
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
    assert "an earlier try of the task may have sent the call" in capfd.readouterr().out


@pytest.mark.parametrize(
    "first", [http(503, headers=[("Retry-After", "1")]), http(429, headers=[("Retry-After", "1")])]
)
def test_a_try_whose_end_is_known_is_forgotten(connect: SetConnection, first: bytes) -> None:
    refused = first.startswith(b"HTTP/1.1 429")
    with FaultServer([first, http(201, PROMOTED)]) as server:
        connect(server.url, max_attempts=1)
        result = airflow_runs.run(workflow_dags.promote_1_retry)["promote_1_retry"]
    assert (result.state, result.tries) == (("success", 2) if refused else ("failed", 1))
    assert len(server.requests) == (2 if refused else 1)


def execute(operator: Any, store: Store) -> Any:
    return operator.execute({"task_state_store": store})


PROMOTE: dict[str, Any] = {"task_id": "promote", "workflow_id": "flow_spare01"}
CREATE: dict[str, Any] = {"task_id": "create", "name": "Answers", "definition": {}}


@pytest.mark.parametrize(
    ("operator", "says"),
    [
        (PromoteWorkflowToAssistantOperator(**PROMOTE), "Could not promote workflow 'flow_spare01'"),
        (DeployWorkflowOperator(**CREATE), "Could not create workflow 'Answers'"),
    ],
    ids=["promote", "create"],
)
def test_the_stop_after_a_lost_try_is_told_once(aitronos_sandbox: Sandbox, operator: Any, says: str) -> None:
    store = Store()
    with pytest.raises(Lost):
        execute_until_lost(operator, store)
    assert store != {}
    before = len(aitronos_sandbox.requests)
    with pytest.raises(AitronosUnsafeToRepeatError, match=rf"{says}.*clear the task") as caught:
        execute(operator, store)
    assert caught.value.maybe_done
    assert len(aitronos_sandbox.requests) == before
    execute(operator, store)
    assert len(aitronos_sandbox.requests) == before + 1
    assert store == {}


class Lost(BaseException):
    """The end of a process, as far as a task sees it."""


def execute_until_lost(operator: Any, store: Store) -> None:
    def lose(*arguments: Any) -> None:
        raise Lost

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transport, "send", lose)
        execute(operator, store)


def test_a_workflow_with_an_external_id_may_be_deployed_by_every_try(aitronos_sandbox: Sandbox) -> None:
    store = Store()
    operator = DeployWorkflowOperator(**CREATE, external_id="answers")
    with pytest.raises(Lost):
        execute_until_lost(operator, store)
    assert execute(operator, store)["external_id"] == "answers"
    assert store.asked == []


@pytest.mark.parametrize("broken", ["get", "set"])
def test_a_store_that_is_down_keeps_the_call_from_being_sent(aitronos_sandbox: Sandbox, broken: str) -> None:
    with pytest.raises(OSError, match=broken):
        execute(PromoteWorkflowToAssistantOperator(**PROMOTE), Store(broken))
    assert aitronos_sandbox.requests == []


@pytest.mark.parametrize("status", [429, 503, 401])
def test_an_end_that_is_told_leaves_no_note(aitronos_sandbox: Sandbox, status: int) -> None:
    store = Store()
    aitronos_sandbox.fail(status, retry_after=700, times=9)
    with pytest.raises(AitronosError):
        execute(PromoteWorkflowToAssistantOperator(**PROMOTE), store)
    assert store == {}


def test_a_connection_that_is_not_found_is_no_call_that_may_have_been_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def find_nothing(*arguments: Any) -> None:
        raise LookupError("the secrets backend is down")

    monkeypatch.setattr(AitronosHook, "get_connection", find_nothing)
    store = Store()
    with pytest.raises(LookupError):
        execute(PromoteWorkflowToAssistantOperator(**PROMOTE), store)
    assert store == {}


def test_an_assistant_that_was_made_is_not_lost_over_the_note(aitronos_sandbox: Sandbox) -> None:
    operator = PromoteWorkflowToAssistantOperator(**PROMOTE)
    assert execute(operator, Store("delete"))["workflow_id"] == "flow_spare01"


@pytest.mark.parametrize("made", [None, "", "None"])
def test_an_external_id_that_got_lost_makes_no_workflow(aitronos_sandbox: Sandbox, made: str | None) -> None:
    operator = DeployWorkflowOperator(**CREATE, external_id="{{ ti.xcom_pull(task_ids='upstream') }}")
    operator.external_id = made  # as it is rendered
    with pytest.raises(AitronosInputError, match=r"external_id .*return nothing\?"):
        operator.execute({})
    assert aitronos_sandbox.requests == []


def test_a_later_try_does_not_claim_to_know_who_made_the_workflow(aitronos_sandbox: Sandbox) -> None:
    operator = DeployWorkflowOperator(**CREATE, external_id="answers")
    context: Any = {"ti": SimpleNamespace(try_number=2)}
    assert operator.execute({})["created"] is True
    assert operator.execute({})["created"] is False
    assert operator.execute(context)["created"] is None


# Read


def test_the_workflow_of_an_assistant_is_read_in_short(aitronos_sandbox: Sandbox) -> None:
    linked = airflow_runs.run(workflow_dags.look)["look"].xcoms["return_value"]
    assert linked == {
        "assistant_id": "asst_support01",
        "workflow_id": "flow_support01",
        "workflow": {"id": "flow_support01", "name": "Support flow", "version": 1, "external_id": None},
    }
    from airflow_aitronos.hooks.aitronos import AitronosHook

    with AitronosHook() as hook:
        hook.detach_assistant_workflow("asst_support01")
    unlinked = airflow_runs.run(workflow_dags.look)["look"].xcoms["return_value"]
    assert unlinked == {"assistant_id": "asst_support01", "workflow_id": None, "workflow": None}


# What is not sent


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "neither is given. Did an upstream XCom return nothing?"),
        ({"definition": {}, "definition_path": "x.json"}, "both are given"),
        ({"definition": "{}"}, "definition must be of type dict, not str"),
        ({"definition_path": 5}, "definition_path is of type int. Pass the path as a str."),
        ({"definition_path": "missing.json"}, "cannot be read (No such file or directory)"),
        ({"definition_path": "."}, "cannot be read (Is a directory)"),
        ({"definition_path": "a\0b"}, "cannot be read (ValueError)"),
        ({"definition_path": "latin-1.json"}, "is not a text in UTF-8"),
        ({"definition_path": "broken.json"}, "is not JSON (line 1, column 11: Expecting value)"),
        ({"definition_path": "deep.json"}, "is not JSON that can be read"),
        ({"definition_path": "list.json"}, "holds JSON that is not an object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_definition_that_cannot_be_sent_is_refused(
    aitronos_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: dict[str, Any],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("latin-1.json").write_bytes(b'{"a": "\xe4"}')
    Path("broken.json").write_text('{"nodes: ]}'.replace("s", 's"'))
    Path("deep.json").write_text("[" * 200_000)
    Path("list.json").write_text("[]")
    operator = DeployWorkflowOperator(task_id="deploy", name="Answers", **arguments)
    with pytest.raises(AitronosInputError) as raised:
        operator.execute({})
    assert says in str(raised.value)
    assert str(raised.value).startswith("Nothing was sent: ")
    assert aitronos_sandbox.requests == []


def test_a_byte_order_mark_does_no_harm(aitronos_sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "definition.json"
    file.write_text("\ufeff" + json.dumps(DEFINITION), encoding="utf-8")
    DeployWorkflowOperator(task_id="deploy", name="Answers", definition_path=str(file)).execute({})
    assert any(one["definition"] == DEFINITION for one in workflows())
