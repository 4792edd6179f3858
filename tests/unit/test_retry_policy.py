"""How a task that the server asks to wait comes back: a retry on Airflow 3.3, a reschedule from 3.4 on."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import airflow.sdk
import pytest

from airflow_aitronos._compat import AirflowFailException
from airflow_aitronos.exceptions import (
    AitronosAuthenticationError,
    AitronosCancelledError,
    AitronosError,
    AitronosRateLimitError,
    AitronosServerError,
)
from airflow_aitronos.operators.assistants import (
    DetachAssistantWorkflowOperator,
    GetAssistantWorkflowOperator,
)
from airflow_aitronos.sensors.assistants import AssistantWorkflowSensor
from tests.support.airflow_versions import HAS_FREE_RESCHEDULE, AirflowSensorTimeout
from tests.unit.tools import Connect

if not hasattr(airflow.sdk, "RetryPolicy"):

    def test_an_airflow_without_retry_policies_is_named() -> None:
        with pytest.raises(ImportError, match=r"needs Airflow 3\.3"):
            import airflow_aitronos.retry_policy  # noqa: F401  # what happens then is the point

    def test_the_operator_works_without() -> None:
        assert DetachAssistantWorkflowOperator(task_id="detach", assistant_id="asst_1").retries == 0

else:
    from airflow.sdk import RetryDecision, RetryPolicy

    from airflow_aitronos.retry_policy import AitronosRetryPolicy

    DAY = 86_400.0
    COMES_BACK = "reschedule" if HAS_FREE_RESCHEDULE else "retry"

    def limited(seconds: Any) -> AitronosError:
        return AitronosRateLimitError("limited", status_code=429, retry_after=seconds)

    def decide(
        error: BaseException, *, count: int = 0, since: float | None = None, **options: Any
    ) -> RetryDecision:
        """Return the decision for a try that came back ``count`` times, the first time ``since`` s ago."""
        first = None if since is None else datetime.now(UTC) - timedelta(seconds=since)
        ti = SimpleNamespace(get_first_reschedule_date=lambda context: first)
        context: Any = {"ti": ti, "task_reschedule_count": count}
        return AitronosRetryPolicy(**options).evaluate(error, 1, 4, context)

    def seconds_of(decision: RetryDecision) -> float:
        assert decision.retry_delay is not None
        return decision.retry_delay.total_seconds()

    @pytest.mark.parametrize("error", [limited(600), AitronosServerError(retry_after=600.0)], ids=repr)
    def test_never_earlier_than_asked_and_at_most_a_tenth_later(error: AitronosError) -> None:
        waits = [seconds_of(decide(error)) for _ in range(200)]
        assert 600 <= min(waits) < 610
        assert 650 < max(waits) <= 660

    def test_no_server_makes_a_task_wait_longer_than_a_day() -> None:
        for seconds in (1e9, float("inf")):
            assert seconds_of(decide(limited(seconds), reschedule=False)) == DAY

    def test_a_wait_that_the_server_asks_for_costs_no_retry_where_airflow_can_do_that() -> None:
        decision: Any = decide(limited(90.0))
        assert decision.action.value == COMES_BACK
        assert decision.reason.startswith("The server asks to wait 90 s: ")
        if HAS_FREE_RESCHEDULE:
            assert decision.reason.endswith("This uses no retry and is no failure, so no callback runs.")
            assert (decision.max_reschedules, decision.reschedule_timeout) == (1440, timedelta(days=1))

    @pytest.mark.parametrize(
        ("error", "bounds"),
        [
            (limited(90.0), {"reschedule": False}),
            (limited(90.0), {"count": 1440, "since": 3600}),
            (limited(90.0), {"count": 1, "since": DAY - 89}),
            (AitronosCancelledError("stopped", retry_after=90.0), {}),
        ],
        ids=["turned off", "too often", "too long", "cancelled"],
    )
    def test_else_it_is_a_retry_as_on_airflow_3_3(error: Any, bounds: dict[str, Any]) -> None:
        decision = decide(error, **bounds)
        assert decision.action.value == "retry"
        assert 90 <= seconds_of(decision) <= 99

    @pytest.mark.parametrize(
        "error",
        [
            *(limited(value) for value in (None, float("nan"), -1, 0.0, "600")),
            AitronosAuthenticationError("no", status_code=401, retry_after=600.0),
            AirflowFailException("no"),
            ValueError("another's"),
            KeyboardInterrupt(),
        ],
        ids=repr,
    )
    def test_for_everything_else_the_tasks_own_settings_count(error: BaseException) -> None:
        assert decide(error) == RetryDecision.default()

    class Own(RetryPolicy):
        def evaluate(self, *args: Any, **kwargs: Any) -> RetryDecision:
            return RetryDecision.fail()

    def test_the_operator_sets_it() -> None:
        operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id="asst_1")
        assert isinstance(copy.deepcopy(operator).retry_policy, AitronosRetryPolicy)

    def test_a_policy_of_the_users_own_stays() -> None:
        given: dict[str, Any] = {"retry_policy": Own()}
        for arguments in (given, {"default_args": given}):
            operator = DetachAssistantWorkflowOperator(task_id="a", assistant_id="asst_1", **arguments)
            assert operator.retry_policy is given["retry_policy"]

    @pytest.mark.parametrize("given", [{}, {"retry_policy": Own()}], ids=["default", "own"])
    def test_a_mapped_task_has_it_when_it_runs(given: Any) -> None:
        task: Any = DetachAssistantWorkflowOperator.partial(task_id="detach", **given)
        running = task.expand(assistant_id=["asst_1"]).unmap({"assistant_id": "asst_1"})
        assert isinstance(running.retry_policy, Own if given else AitronosRetryPolicy)

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
            (GetAssistantWorkflowOperator, {}, AitronosRetryPolicy(), 10 if HAS_FREE_RESCHEDULE else 60),
            (GetAssistantWorkflowOperator, {"max_retry_after": 45}, AitronosRetryPolicy(), 45),
            (GetAssistantWorkflowOperator, {}, AitronosRetryPolicy(reschedule=False), 60),
            (GetAssistantWorkflowOperator, {}, Own(), 60),
            (partial(AssistantWorkflowSensor, until="linked"), {}, AitronosRetryPolicy(), 60),
        ],
        ids=["default", "Extra", "turned off", "another policy", "sensor"],
    )
    def test_an_operator_hands_back_what_the_server_asks_for_if_that_costs_no_retry(
        connect: Connect, kind: Any, extra: Any, policy: Any, seconds: float
    ) -> None:
        connect(extra=extra)
        settings = kind(task_id="one", assistant_id="asst_1", retry_policy=policy)._new_hook().settings
        assert (settings.max_retry_after, settings.max_backoff) == (seconds, 20)
