"""The sensor that waits in the triggerer: triggers on an event loop of the test, and a real server."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from packaging.version import Version

from airflow_aitronos._compat import AirflowFailException, TaskDeferred
from airflow_aitronos.exceptions import AitronosConfigurationError, AitronosError, AitronosInputError
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.sensors.assistants import AssistantWorkflowSensor
from airflow_aitronos.triggers.assistants import AssistantWorkflowTrigger
from tests.support.airflow_versions import AIRFLOW
from tests.support.connection import Connection
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer
from tests.support.replies import http

LINKED = http(200, {"id": "flow_1", "name": None, "version": 1, "external_id": None})
NOT_LINKED = http(404, {"success": False, "error": {"code": "WORKFLOW_NOT_FOUND", "status": 404}})
LIMITED = http(429, {"error": {"code": "RATE_LIMITED"}}, [("Retry-After", "90")])

Connect = Callable[..., None]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    def connect(url: str, **extra: Any) -> None:
        if Version("3.2") > AIRFLOW:  # 3.1 reads no connection on a loop outside of a triggerer
            monkeypatch.setattr(
                "airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", None, raising=False
            )
        fields = {"conn_type": "aitronos", "host": url, "password": "sk-1", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", json.dumps(fields))

    return connect


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return how long triggers will have slept on the loop, which takes no time."""
    seconds: list[float] = []
    sleep = asyncio.sleep

    async def no_sleep(delay: float) -> None:
        seconds.append(delay)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", no_sleep)
    return seconds


def sensor(**arguments: Any) -> AssistantWorkflowSensor:
    fields: dict[str, Any] = {"task_id": "wait", "assistant_id": "asst_1", "until": "linked"}
    return AssistantWorkflowSensor(**{**fields, "deferrable": True, "poke_interval": 7, **arguments})


def deferred(**arguments: Any) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        sensor(**arguments).execute({})
    return caught.value


def made_anew(trigger: Any) -> Any:
    """Return what another triggerer makes of a trigger."""
    path, arguments = json.loads(json.dumps(trigger.serialize()))
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)(**arguments)


async def first_event(trigger: Any) -> dict[str, Any]:
    event: dict[str, Any] = (await anext(trigger.run())).payload
    return json.loads(json.dumps(event))  # type: ignore[no-any-return]  # as Airflow stores it


def trigger_of(**arguments: Any) -> Any:
    return made_anew(deferred(**arguments).trigger)


def test_execute_defers_until_the_sensors_timeout(connect: Connect) -> None:
    with FaultServer() as server:
        connect(server.url)
        defer = deferred(workflow_id=" flow_1 ", timeout=3600, max_attempts=2, silent_fail=True)
    assert (defer.timeout, defer.method_name) == (timedelta(hours=1), "execute_complete")
    assert isinstance(defer.trigger, AssistantWorkflowTrigger)
    path, arguments = made_anew(defer.trigger).serialize()
    assert (path, arguments) == defer.trigger.serialize()
    expected = ["asst_1", "linked", "flow_1", "aitronos_default", 7.0, True, 2, None]
    assert [*arguments.values()] == expected
    assert server.connections == 0


@pytest.mark.parametrize("arguments", [{"assistant_id": "{{ none }}"}, {"workflow_id": "{{ none }}"}])
def test_what_cannot_work_is_not_deferred(connect: Connect, arguments: dict[str, Any]) -> None:
    connect("http://127.0.0.1:9")
    with pytest.raises(AitronosInputError):
        sensor(**arguments).execute({})
    connect("http://127.0.0.1:9", max_attempts=0)
    with pytest.raises(AitronosConfigurationError):
        sensor().execute({})


def test_the_default_is_airflows_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not sensor(deferrable=None).deferrable
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    assert [sensor(deferrable=given).deferrable for given in (None, False)] == [True, False]


def test_fifty_triggers_share_a_loop_and_block_nobody(connect: Connect) -> None:
    released = threading.Event()
    ticks = 0

    def hold(connection: Connection) -> None:
        assert released.wait(30)
        connection.send(NOT_LINKED)

    async def tick() -> None:
        """Let the server answer once the loop has run on while as many polls as there are threads wait."""
        nonlocal ticks
        while not (ticks >= 20 and len(server.requests) == 16):
            ticks += len(server.requests) == 16
            await asyncio.sleep(0.01)
        released.set()

    async def wait() -> list[dict[str, Any]]:
        ticking = asyncio.create_task(tick())
        events = await asyncio.gather(*map(first_event, triggers))
        await ticking
        return events

    with FaultServer(itertools.chain([hold] * 50, itertools.repeat(LINKED))) as server:
        connect(server.url)
        triggers = [trigger_of(poke_interval=0.1) for _ in range(50)]
        events = asyncio.run(wait())
    assert [event["link"]["workflow_id"] for event in events] == ["flow_1"] * 50
    assert len(server.requests) == 100
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("asyncio_")]


@pytest.mark.parametrize("extra", [{}, {"max_retry_after": 300}], ids=["default", "Extra"])
def test_a_wait_that_the_server_asks_for_is_spent_on_the_loop(
    connect: Connect, sleeps: list[float], monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any]
) -> None:
    clock = FakeClock()
    monkeypatch.setattr(AitronosHook, "clock", clock)
    with FaultServer([LIMITED, NOT_LINKED, LINKED]) as server:
        connect(server.url, **extra)
        event = asyncio.run(first_event(trigger_of()))
    assert event["link"]["workflow_id"] == "flow_1"
    asked, interval = sleeps
    assert (90 <= asked <= 99, interval, clock.sleeps) == (True, 7, [])


def test_a_cancelled_trigger_sends_nothing_any_more_and_is_not_lost(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    class HeldClock(FakeClock):
        def sleep(self, seconds: float) -> None:
            waits.set()
            assert cancelled.wait(30)
            super().sleep(seconds)

    waits, cancelled, closed = threading.Event(), threading.Event(), threading.Event()
    monkeypatch.setattr(AitronosHook, "clock", HeldClock())
    monkeypatch.setattr(AitronosHook, "close", lambda hook: closed.set())

    async def cancel_in_backoff() -> None:
        task = asyncio.create_task(first_event(trigger))
        await asyncio.to_thread(waits.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        cancelled.set()

    with FaultServer([http(503), LINKED]) as server:
        connect(server.url)
        trigger = trigger_of()
        closed.clear()
        asyncio.run(cancel_in_backoff())
        assert closed.wait(30)
        assert len(server.requests) == 1
        # Another triggerer, or the same one after a restart, goes on.
        assert asyncio.run(first_event(made_anew(trigger)))["link"]["workflow_id"] == "flow_1"


@pytest.mark.parametrize(
    "reply",
    [
        http(401, {"error": {"code": "INVALID_API_KEY", "trace_id": "t-1", "details": {"__id__": [1]}}}),
        http(404, {"success": False, "error": {"code": "ASSISTANT_NOT_FOUND", "status": 404}}),
        http(503, headers=[("x-request-id", "r-1")]),
        http(200, "no JSON"),
    ],
    ids=["401", "404", "503", "no JSON"],
)
def test_an_error_is_the_same_as_in_poke_mode(connect: Connect, reply: bytes) -> None:
    with FaultServer(itertools.repeat(reply)) as server:
        connect(server.url, max_attempts=1)
        with pytest.raises(AitronosError) as poked:
            sensor(deferrable=False).execute({})
        event = asyncio.run(first_event(trigger_of()))
    with pytest.raises(AitronosError) as completed:
        sensor().execute_complete({}, event)
    assert {type(value) for value in event.values()} == {str}  # a dict may have keys that Airflow refuses
    assert type(completed.value) is type(poked.value)
    assert str(completed.value) == str(poked.value)
    assert vars(completed.value) == vars(poked.value)


def test_a_silent_sensor_goes_on_until_an_error_is_permanent(connect: Connect, sleeps: list[float]) -> None:
    with FaultServer([http(503), http(401)]) as server:
        connect(server.url, max_attempts=1)
        event = asyncio.run(first_event(trigger_of(silent_fail=True)))
    assert sleeps == [7]
    with pytest.raises(AirflowFailException):
        sensor().execute_complete({}, event)
