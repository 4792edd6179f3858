"""How a task that the server asks to wait comes back: a retry on Airflow 3.3, a reschedule from 3.4 on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import airflow.sdk
import pytest

from airflow_aitronos.exceptions import (
    AitronosCancelledError,
    AitronosRateLimitError,
)
from airflow_aitronos.operators.assistants import GetAssistantWorkflowOperator
from airflow_aitronos.sensors.assistants import AssistantWorkflowSensor
from tests.support.airflow_versions import HAS_FREE_RESCHEDULE, AirflowSensorTimeout

pytestmark = pytest.mark.skipif(not hasattr(airflow.sdk, "RetryPolicy"), reason="Airflow 3.3 and later")

DAY = 86_400
LIMITED = AitronosRateLimitError("limited", retry_after=90.0)
COMES_BACK = "reschedule" if HAS_FREE_RESCHEDULE else "retry"


def decide(error: BaseException, *, count: int = 0, since: float | None = None, **options: Any) -> Any:
    """Return the decision for a try that has come back ``count`` times, the first ``since`` seconds ago."""
    from airflow_aitronos.retry_policy import AitronosRetryPolicy

    first = None if since is None else datetime.now(UTC) - timedelta(seconds=since)
    ti = SimpleNamespace(get_first_reschedule_date=lambda context: first)
    context: Any = {"ti": ti, "task_reschedule_count": count}
    return AitronosRetryPolicy(**options).evaluate(error, 1, 0, context)


def test_a_wait_that_the_server_asks_for_costs_no_retry_where_airflow_can_do_that() -> None:
    decision = decide(LIMITED)
    assert decision.action.value == COMES_BACK
    assert 90 <= decision.retry_delay.total_seconds() <= 99
    assert decision.reason.startswith("The server asks to wait 90 s: ")
    if HAS_FREE_RESCHEDULE:
        assert decision.reason.endswith("This uses no retry and is no failure, so no callback runs.")
        assert (decision.max_reschedules, decision.reschedule_timeout) == (1440, timedelta(days=1))


@pytest.mark.parametrize(
    ("error", "bounds"),
    [
        (LIMITED, {"reschedule": False}),
        (LIMITED, {"count": 1440, "since": 3600}),
        (LIMITED, {"count": 1, "since": DAY - 89}),
        (AitronosCancelledError("stopped", retry_after=90.0), {}),
    ],
    ids=["turned off", "too often", "too long", "cancelled"],
)
def test_else_it_is_a_retry_as_on_airflow_3_3(error: Any, bounds: dict[str, Any]) -> None:
    decision = decide(error, **bounds)
    assert decision.action.value == "retry"
    assert error.retry_after <= decision.retry_delay.total_seconds() <= 1.1 * error.retry_after


def test_a_wait_that_is_over_leaves_the_tasks_own_delay() -> None:
    assert decide(AitronosRateLimitError("limited", retry_after=0.0)).action.value == "default"


@pytest.mark.parametrize(("since", "error"), [(50, TimeoutError), (70, AirflowSensorTimeout)], ids=str)
def test_a_sensors_timeout_counts_from_the_first_time_the_try_came_back(
    monkeypatch: pytest.MonkeyPatch, since: float, error: type[Exception]
) -> None:
    def stop(seconds: float) -> None:
        raise TimeoutError  # it would have gone on

    monkeypatch.setattr(AssistantWorkflowSensor, "poke", lambda sensor, context: False)
    monkeypatch.setattr("airflow.sdk.bases.sensor.time.sleep", stop)
    first = datetime.now(UTC) - timedelta(seconds=since)
    ti = SimpleNamespace(get_first_reschedule_date=lambda context: first)
    sensor = AssistantWorkflowSensor(task_id="one", assistant_id="asst_1", until="linked", timeout=60)
    context: Any = {"ti": ti, "task_reschedule_count": 1}
    for _ in range(2):  # it is the same object in dag.test()
        with pytest.raises(error):
            sensor.execute(context)


@pytest.mark.parametrize(
    ("kind", "extra", "policy", "seconds"),
    [
        (GetAssistantWorkflowOperator, {}, {}, 10 if HAS_FREE_RESCHEDULE else 60),
        (GetAssistantWorkflowOperator, {"max_retry_after": 45}, {}, 45),
        (GetAssistantWorkflowOperator, {}, {"reschedule": False}, 60),
        (GetAssistantWorkflowOperator, {}, None, 60),
        (partial(AssistantWorkflowSensor, until="linked"), {}, {}, 60),
    ],
    ids=["default", "Extra", "turned off", "another policy", "sensor"],
)
def test_an_operator_hands_back_what_the_server_asks_for_if_that_costs_no_retry(
    monkeypatch: pytest.MonkeyPatch, kind: Any, extra: Any, policy: Any, seconds: float
) -> None:
    from airflow.sdk import ExceptionRetryPolicy

    from airflow_aitronos.retry_policy import AitronosRetryPolicy

    own = ExceptionRetryPolicy([]) if policy is None else AitronosRetryPolicy(**policy)
    fields = {"conn_type": "aitronos", "password": "sk-1", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", json.dumps(fields))
    settings = kind(task_id="one", assistant_id="asst_1", retry_policy=own)._new_hook().settings
    assert (settings.max_retry_after, settings.max_backoff) == (seconds, 20)
