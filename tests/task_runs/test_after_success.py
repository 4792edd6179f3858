"""Task runs where the call works, or may have, and something around it fails."""

from __future__ import annotations

import contextlib
import re
import subprocess
from datetime import UTC, datetime
from typing import Any

import pytest
from packaging.version import Version

from airflow_aitronos.operators.workflows import PromoteWorkflowToAssistantOperator
from airflow_aitronos.sandbox.server import SandboxServer
from dev.postgresql import free_port
from tests.support.airflow_versions import AIRFLOW, HAS_STORE
from tests.support.fault_server import FaultServer, Reply
from tests.support.faults import Call
from tests.support.replies import http
from tests.task_runs import airflow_runs, run_dag
from tests.task_runs.conftest import SetConnection
from tests.task_runs.dags import after_success_dags, workflow_dags
from tests.task_runs.dags.after_success_dags import BAD_OUTLETS, SPARE
from tests.task_runs.dags.detach_dags import ASSISTANT, AT_ONCE, FLOW

DETACHED = {"assistant_id": ASSISTANT, "workflow_id": FLOW, "message": "Done"}
PROMOTED = {"assistant_id": "asst_new", "workflow_id": SPARE, "message": "Done"}


def methods(server: Any) -> list[str]:
    return [one.method for one in server.requests]


@pytest.mark.skipif(not HAS_STORE, reason="Airflow 3.1 and 3.2 keep nothing between tries")
def test_a_result_that_could_not_be_pushed_is_returned_by_the_next_try(connect: SetConnection) -> None:
    backend = "tests.task_runs.failing_xcom.FailsOncePerTask"
    with FaultServer([http(200, DETACHED), http(201, PROMOTED)]) as server:
        connect(server.url)
        process = run_dag.start("after_success_dags.detach_then_promote", AIRFLOW__CORE__XCOM_BACKEND=backend)
        results = run_dag.result_of(process)
    assert methods(server) == ["DELETE", "POST"]
    for name, response in {"detach": DETACHED, "promote": PROMOTED}.items():
        assert (results[name]["state"], results[name]["tries"]) == ("success", 2)
        pushed = results[name]["xcoms"]["return_value"]
        assert pushed == pushed | response


def test_a_cleared_run_sends_its_calls_again(sandbox: Any) -> None:
    date = datetime(2026, 3, 2, tzinfo=UTC)
    first = airflow_runs.run(after_success_dags.detach_then_promote, date)
    sandbox.link(ASSISTANT, FLOW)
    second = airflow_runs.run_again(after_success_dags.detach_then_promote, date)
    assert methods(sandbox) == ["DELETE", "POST"] * 2
    assert [second[name].state for name in ("detach", "promote")] == ["success"] * 2
    assert second["detach"].xcoms["return_value"]["workflow_id"] == FLOW
    assistants = [run["promote"].xcoms["return_value"]["assistant_id"] for run in (first, second)]
    assert assistants[0] != assistants[1]


def test_a_task_whose_supervisor_died_in_a_wait_sends_nothing_more(connect: SetConnection) -> None:
    processes: list[subprocess.Popen[str]] = []
    kill_the_parent = Call(lambda: processes[0].kill())
    first: Reply = [http(503, headers=[("Retry-After", "2")]), kill_the_parent]
    with FaultServer([first, http(200, DETACHED)]) as server:
        connect(server.url)
        # The shell starts the task's process and waits for it, as a supervisor does.
        shell = ("sh", "-c", '"$@"; exit $?', "sh")
        processes.append(run_dag.start("detach_dags.detach_no_retries", through=shell))
        result = run_dag.result_of(processes[0])["detach"]
    assert result["state"] == "failed"
    assert methods(server) == ["DELETE"]


def test_a_promotion_that_never_arrived_starts_fresh_in_the_next_try(connect: SetConnection) -> None:
    port = free_port()
    server = SandboxServer(port=port)
    with contextlib.ExitStack() as stack:
        dag = workflow_dags.one_task(
            PromoteWorkflowToAssistantOperator,
            "promote_1_retry",
            workflow_id=SPARE,
            max_attempts=1,
            retries=1,
            retry_delay=AT_ONCE,
            on_retry_callback=lambda context: stack.enter_context(server),
        )
        connect(f"http://127.0.0.1:{port}", key=server.api_key)
        result = airflow_runs.run(dag)["promote_1_retry"]
    assert (result.state, result.tries) == ("success", 2)
    assert methods(server) == ["POST"]


def test_an_outlet_without_an_event_fails_no_task_after_its_call(
    sandbox: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    for kind in BAD_OUTLETS:
        sandbox.add_assistant(f"asst_{kind}", workflow_id=f"flow_{kind}")
    results = airflow_runs.run(after_success_dags.calls_with_bad_outlets)
    for kind in BAD_OUTLETS:
        assert (results[kind].state, results[kind].tries) == ("success", 1)
        assert results[kind].xcoms["return_value"]["workflow_id"] == f"flow_{kind}"
        assert sandbox.links[f"asst_{kind}"] is None
    for name in ("promote", "deploy"):
        assert (results[name].state, results[name].tries) == ("success", 1)
    assert sorted(methods(sandbox)) == ["DELETE"] * len(BAD_OUTLETS) + ["POST"] * 2
    warnings = re.findall(r"\[warning.*The asset event of an outlet of type", capfd.readouterr().out)
    # Airflow 3.1.0 takes any outlet for one with an event, 3.1.8 does not.
    assert len(warnings) == (0 if Version("3.1.8") > AIRFLOW else 3 * len(BAD_OUTLETS))


@pytest.mark.parametrize(
    ("dry", "outcome", "sent"),
    [
        ("True", "would_detach", "GET"),
        ("false", "detached", "DELETE"),
    ],
)
def test_a_run_parameter_switches_check_only(sandbox: Any, dry: object, outcome: str, sent: str) -> None:
    result = airflow_runs.run(after_success_dags.detach_switched, run_conf={"dry": dry})["detach"]
    assert result.state == "success"
    pushed = result.xcoms["return_value"]
    assert (pushed["outcome"], pushed["workflow_id"]) == (outcome, FLOW)
    assert set(methods(sandbox)) == {sent}
