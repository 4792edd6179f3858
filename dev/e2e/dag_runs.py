"""Trigger the DAGs over REST, and compare what became of them with what should have."""

from __future__ import annotations

from airflow_aitronos.sandbox.server import SandboxServer
from dev.e2e.expectations import ANY, DagCheck, TaskCheck
from dev.e2e.progress import CheckFailedError, say, wait_for
from dev.e2e.rest import Rest, TaskInstance

_LONGEST_PARSE = 120.0
_LONGEST_RUN = 180.0
_ENDED = frozenset({"success", "failed"})
_OF_THE_WEEKLY_RUN = "asst_support01"


def run_and_compare(check: DagCheck, rest: Rest, sandbox: SandboxServer) -> str:
    """
    Trigger a DAG, wait for its end, and compare.

    :param check: what to trigger, and what has to come of it.
    :param rest: of the deployment.
    :param sandbox: that the DAG calls.
    :return: the id of the run.
    :raises CheckFailedError: if anything is different.
    """
    # Not of assistants that a DAG creates.
    known = set(sandbox.store.links) - {_OF_THE_WEEKLY_RUN}
    for fault in check.faults:
        sandbox.faults.add(fault)
    run_id = _run(check, rest, sandbox)
    # Each as often as a request has detached it.
    detached = sorted(assistant for assistant, _ in sandbox.store.detached if assistant in known)
    _expect(f"assistants that {check.dag_id} detached", detached, sorted(check.detached))
    return run_id


def _run(check: DagCheck, rest: Rest, sandbox: SandboxServer) -> str:
    wait_for(f"DAG {check.dag_id}", lambda: rest.has_dag(check.dag_id) or None, _LONGEST_PARSE)
    run_id = _start(check, rest, sandbox)
    if check.answer:
        _answer(check.dag_id, run_id, check.answer, rest)

    state = wait_for_end(rest, check.dag_id, run_id, _LONGEST_RUN)
    found = rest.task_instances(check.dag_id, run_id)
    for one in sorted(found.values(), key=lambda task: task.name):
        say(f"  {one.name:<16} {one.state}, tries {one.tries}, XCom {one.xcom!s:.300}")
    _expect(f"state of {check.dag_id}", state, check.state)
    _expect(f"tasks of {check.dag_id}", sorted(found), sorted(check.tasks))
    for name, task in check.tasks.items():
        _compare(f"{check.dag_id}.{name}", found[name], task)
    return run_id


def wait_for_end(rest: Rest, dag_id: str, run_id: str, seconds: float) -> str:
    """
    Wait for the end of a run, and return its state.

    :param rest: of the deployment.
    :param dag_id: the DAG.
    :param run_id: the run.
    :param seconds: to wait at most.
    :raises CheckFailedError: if it has not ended by then.
    """

    def end() -> str | None:
        state = rest.run_state(dag_id, run_id)
        return state if state in _ENDED else None

    return wait_for(f"end of {dag_id}", end, seconds)


def _start(check: DagCheck, rest: Rest, sandbox: SandboxServer) -> str:
    """Trigger the run, or the one whose asset event starts it; return its id."""
    if check.triggered_by is None:
        return rest.trigger(check.dag_id, dict(check.conf))
    before = rest.run_ids(check.dag_id)
    _run(check.triggered_by, rest, sandbox)
    return wait_for(
        f"run of {check.dag_id} after the asset event",
        lambda: next(iter(rest.run_ids(check.dag_id) - before), None),
        _LONGEST_RUN,
    )


def _answer(dag_id: str, run_id: str, answer: str, rest: Rest) -> None:
    """Answer the question of the task ``approve``, not before the scheduler is ready for it."""

    def is_asking() -> bool | None:
        tasks = rest.task_instances(dag_id, run_id)
        return ("approve" in tasks and tasks["approve"].state == "awaiting_input") or None

    wait_for(f"question of {dag_id}", is_asking, _LONGEST_RUN)
    # An answer that comes before the scheduler has seen the end of the asking part is taken for that end, and
    # fails the task (Airflow 3.3.2).
    for _ in range(2):
        before = rest.scheduler_heartbeat()
        wait_for(
            "heartbeat of the scheduler",
            lambda before=before: rest.scheduler_heartbeat() != before or None,  # type: ignore[misc]  # mypy cannot infer the default
            _LONGEST_RUN,
        )
    say(f"  answer with {answer}")
    rest.answer(dag_id, run_id, "approve", answer)


def _compare(name: str, found: TaskInstance, wanted: TaskCheck) -> None:
    _expect(f"state of {name}", found.state, wanted.state)
    _expect(f"tries of {name}", found.tries, wanted.tries)
    if wanted.xcom is ANY:
        _expect(f"an XCom of {name}", found.xcom is not None, True)
    elif isinstance(wanted.xcom, dict) and isinstance(found.xcom, dict):
        _expect(f"XCom of {name}", {key: found.xcom.get(key) for key in wanted.xcom}, wanted.xcom)
    else:
        _expect(f"XCom of {name}", found.xcom, wanted.xcom)


def _expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise CheckFailedError(f"{what} is {found!r}, expected {wanted!r}")
