"""Trigger the DAGs over REST, and compare what became of them with what should have."""

from __future__ import annotations

from airflow_aitronos.sandbox.server import SandboxServer
from dev.e2e.expectations import ANY, DagCheck, TaskCheck
from dev.e2e.progress import NotAsItShouldBeError, say, wait_for
from dev.e2e.rest import Rest, TaskInstance

_LONGEST_PARSE = 120.0
_LONGEST_RUN = 180.0
_ENDED = frozenset({"success", "failed"})


def run_and_compare(check: DagCheck, rest: Rest, sandbox: SandboxServer) -> str:
    """
    Trigger a DAG, wait for its end, and compare.

    :param check: what to trigger, and what has to come of it.
    :param rest: of the deployment.
    :param sandbox: that the DAG calls.
    :return: the id of the run.
    :raises NotAsItShouldBeError: if anything is different.
    """
    wait_for(f"DAG {check.dag_id}", lambda: rest.has_dag(check.dag_id) or None, _LONGEST_PARSE)
    for assistant in check.detached:
        _expect(f"workflow of {assistant} before", _has_workflow(sandbox, assistant), True)
    run_id = rest.trigger(check.dag_id, dict(check.conf))

    def end() -> str | None:
        state = rest.run_state(check.dag_id, run_id)
        return state if state in _ENDED else None

    state = wait_for(f"end of {check.dag_id}", end, _LONGEST_RUN)
    found = rest.task_instances(check.dag_id, run_id)
    for one in sorted(found.values(), key=lambda task: task.name):
        say(f"  {one.name:<16} {one.state}, tries {one.tries}, XCom {one.xcom}")
    _expect(f"state of {check.dag_id}", state, check.state)
    _expect(f"tasks of {check.dag_id}", sorted(found), sorted(check.tasks))
    for name, task in check.tasks.items():
        _compare(f"{check.dag_id}.{name}", found[name], task)
    for assistant in check.detached:
        _expect(f"workflow of {assistant} after", _has_workflow(sandbox, assistant), False)
    return run_id


def _compare(name: str, found: TaskInstance, wanted: TaskCheck) -> None:
    _expect(f"state of {name}", found.state, wanted.state)
    _expect(f"tries of {name}", found.tries, wanted.tries)
    if wanted.xcom is ANY:
        _expect(f"an XCom of {name}", found.xcom is not None, True)
    else:
        _expect(f"XCom of {name}", found.xcom, wanted.xcom)


def _has_workflow(sandbox: SandboxServer, assistant_id: str) -> bool:
    return sandbox.store.get_assistant(assistant_id).workflow_id is not None


def _expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise NotAsItShouldBeError(f"{what} is {found!r}, and should be {wanted!r}")
