"""A sandbox with many assistants on a clock that a test moves, and runs of the operator against it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.operators.fleet import DetachAssistantWorkflowsOperator
from airflow_aitronos.sandbox.faults import Fault
from airflow_aitronos.sandbox.recorder import RecordedRequest
from airflow_aitronos.sandbox.server import SandboxServer
from tests.support.fake_clock import FakeClock
from tests.support.recording_log import RecordingLog
from tests.support.task_state_store import Store

Counts = dict[str, int]


def assistants(count: int) -> list[str]:
    """Return the ids of the sandbox's fleet."""
    return [f"asst_fleet{number:05d}" for number in range(1, count + 1)]


class Run:
    """
    Tries of one task.

    :param server: the sandbox.
    :param store: Airflow's task state store; None below 3.3.
    """

    def __init__(self, server: SandboxServer, clock: Any, store: Store | None) -> None:
        self.server, self.clock = server, clock
        self.log = RecordingLog()
        self.pushed: dict[str, Any] = {}
        self.operator: DetachAssistantWorkflowsOperator | None = None
        ti = SimpleNamespace(
            dag_id="fleet", task_id="detach", run_id="once", map_index=-1, try_number=1, max_tries=3
        )
        ti.xcom_push = lambda key, value: self.pushed.update({key: value})
        self.context: Any = {"ti": ti, "task": SimpleNamespace(retries=3)}
        if store is not None:
            self.context["task_state_store"] = store

    def detach(self, ids: Any, **arguments: Any) -> Any:
        """Run one try, and return its result."""
        self.operator = DetachAssistantWorkflowsOperator(task_id="detach", assistant_ids=ids, **arguments)
        return self.operator.execute(self.context)

    @property
    def counts(self) -> Counts:
        """What a try that failed has pushed."""
        counts: Counts = self.pushed["report"]["counts"]
        return counts

    def sent(self, method: str, status: int | None = None) -> list[RecordedRequest]:
        return [
            one
            for one in self.server.requests
            if one.method == method and (status is None or one.status_code == status)
        ]

    def fault(self, kind: Any = "status", **fields: Any) -> None:
        self.server.faults.add(Fault(kind, **fields))


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a report."""
    return [json.loads(line) for line in path.read_text().splitlines()]


NewRun = Callable[..., Run]


@pytest.fixture
def new_run(monkeypatch: pytest.MonkeyPatch) -> Iterator[NewRun]:
    """Return a function that starts a sandbox: ``new_run(fleet, clock=…, store=…, **limits)``."""
    with ExitStack() as stack:

        def start(fleet: int, *, clock: Any = None, store: Any = ..., **limits: Any) -> Run:
            clock = clock or FakeClock()
            server = stack.enter_context(SandboxServer(fleet=fleet, clock=clock, **limits))
            run = Run(server, clock, Store() if store is ... else store)
            monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", server.connection_json())
            monkeypatch.setattr(AitronosHook, "clock", clock)
            monkeypatch.setattr(AitronosHook, "log", run.log)
            monkeypatch.setattr(DetachAssistantWorkflowsOperator, "log", run.log)
            return run

        yield start


def most_in_a_minute(requests: Sequence[RecordedRequest]) -> int:
    """Return the largest number of requests in any window of 60 s."""
    times = sorted(one.received_at for one in requests)
    return max(sum(start <= one <= start + 60 for one in times) for start in times)
