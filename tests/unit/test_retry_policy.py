"""When Airflow retries a task that the server asked to wait."""

from __future__ import annotations

import copy
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
from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator

if not hasattr(airflow.sdk, "RetryPolicy"):

    def test_an_airflow_without_retry_policies_is_named() -> None:
        with pytest.raises(ImportError, match=r"needs Airflow 3\.3"):
            import airflow_aitronos.retry_policy  # noqa: F401  # what happens then is the point

    def test_the_operator_works_without() -> None:
        assert DetachAssistantWorkflowOperator(task_id="detach", assistant_id="asst_1").retries == 0

else:
    from airflow.sdk import RetryAction, RetryDecision, RetryPolicy

    from airflow_aitronos.retry_policy import AitronosRetryPolicy

    A_DAY = 86_400.0

    def decide(error: BaseException) -> RetryDecision:
        # From Airflow 3.4 on it would be a reschedule.
        return AitronosRetryPolicy(reschedule=False).evaluate(error, 1, 4, {})

    def rate_limit(seconds: Any) -> AitronosError:
        return AitronosRateLimitError("limited", status_code=429, retry_after=seconds)

    def seconds_of(decision: RetryDecision) -> float:
        assert decision.action is RetryAction.RETRY
        assert decision.retry_delay is not None
        return decision.retry_delay.total_seconds()

    @pytest.mark.parametrize("error", [rate_limit(600), AitronosServerError(retry_after=600.0)], ids=repr)
    def test_never_earlier_than_asked_and_at_most_a_tenth_later(error: AitronosError) -> None:
        waits = [seconds_of(decide(error)) for _ in range(200)]
        assert 600 <= min(waits) < 610
        assert 650 < max(waits) <= 660

    def test_no_server_makes_a_task_wait_longer_than_a_day() -> None:
        assert seconds_of(decide(rate_limit(1e9))) == A_DAY
        assert seconds_of(decide(rate_limit(float("inf")))) == A_DAY

    def test_the_log_says_why() -> None:
        reason = decide(rate_limit(600)).reason
        assert reason is not None
        assert reason.startswith("The server asks to wait 600 s: next try in 6")

    @pytest.mark.parametrize(
        "error",
        [
            *(rate_limit(value) for value in (None, float("nan"), -1, "600")),
            AitronosCancelledError("stopped"),
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
