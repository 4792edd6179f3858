"""When Airflow comes back to a task that failed."""

from __future__ import annotations

import copy
from datetime import timedelta
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
from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator

if not hasattr(airflow.sdk, "RetryPolicy"):

    def test_an_airflow_without_retry_policies_is_named() -> None:
        with pytest.raises(ImportError, match=r"needs Airflow 3\.3"):
            import airflow_aitronos.retry_policy  # noqa: F401  # what happens then is the point

    def test_the_operator_works_without() -> None:
        assert DetachAssistantWorkflowOperator(task_id="detach", assistant_id="asst_1").retries == 0

else:
    from airflow.sdk import RetryAction, RetryDecision, RetryPolicy

    from airflow_aitronos.retry_policy import LONGEST_DELAY, AitronosRetryPolicy

    A_DAY = 86_400.0

    def decide(error: BaseException, try_number: int = 1, **task: Any) -> RetryDecision:
        task = {
            "retry_delay": timedelta(minutes=5),
            "retry_exponential_backoff": 0,
            "max_retry_delay": None,
            **task,
        }
        context: Any = {"task": SimpleNamespace(**task)}
        return AitronosRetryPolicy().evaluate(error, try_number, 4, context)

    def told_to_wait(seconds: float | None) -> AitronosError:
        return AitronosRateLimitError("limited", status_code=429, retry_after=seconds)

    def seconds_of(decision: RetryDecision) -> float:
        assert decision.action is RetryAction.RETRY
        assert decision.retry_delay is not None
        return decision.retry_delay.total_seconds()

    @pytest.mark.parametrize(
        ("retry_after", "try_number", "task", "wait"),
        [
            (600, 1, {}, 600),
            (0.5, 1, {"retry_delay": timedelta(0)}, 0.5),
            (301, 1, {}, 301),
            (299, 1, {}, 300),  # the task's own delay is longer
            (0, 1, {}, 300),
            (600, 3, {"retry_exponential_backoff": 2, "max_retry_delay": timedelta(minutes=15)}, 900),
            (600, 3, {"retry_exponential_backoff": 2, "max_retry_delay": timedelta(minutes=1)}, 600),
            (600, 3, {"max_retry_delay": timedelta(minutes=1)}, 600),  # Airflow heeds it with backoff only
            (86_000, 1, {}, 86_000),
        ],
    )
    def test_the_longer_of_both_waits_and_up_to_a_tenth_more(
        retry_after: float, try_number: int, task: dict[str, Any], wait: float
    ) -> None:
        waits = [seconds_of(decide(told_to_wait(retry_after), try_number, **task)) for _ in range(200)]
        assert min(waits) >= wait
        assert max(waits) <= min(1.1 * wait, A_DAY)
        # Two hundred draws from a tenth are not all alike.
        assert max(waits) - min(waits) > 0.05 * min(wait, A_DAY - wait)

    @pytest.mark.parametrize(
        ("factor", "shortest"),
        [(2, 1200), (True, 1200), (3.0, 2700), (0.5, 75)],  # True: as older DAGs say it
    )
    def test_a_task_that_itself_waits_longer_is_left_to_airflow(factor: float, shortest: float) -> None:
        """Airflow spreads a delay of backoff upwards, to the double: a policy's own would undercut that."""
        task = {"retry_exponential_backoff": factor}
        assert decide(told_to_wait(shortest), 3, **task) == RetryDecision.default()
        assert seconds_of(decide(told_to_wait(shortest + 1), 3, **task)) >= shortest + 1

    @pytest.mark.parametrize(
        ("retry_after", "task", "least", "most"),
        [
            (1500, {}, 1500, 2400),
            (3000, {}, 3000, 3300),
            (1201, {"max_retry_delay": timedelta(seconds=1400)}, 1201, 1400),
            (1500, {"max_retry_delay": timedelta(seconds=1400)}, 1500, 1650),
            (50_000, {"retry_delay": timedelta(hours=3)}, 50_000, A_DAY),
        ],
    )
    def test_backoff_is_spread_as_airflow_spreads_it(
        retry_after: float, task: dict[str, Any], least: float, most: float
    ) -> None:
        task = {"retry_exponential_backoff": 2, **task}
        waits = [seconds_of(decide(told_to_wait(retry_after), 3, **task)) for _ in range(200)]
        assert min(waits) >= least
        assert max(waits) <= most
        assert max(waits) > least + 0.8 * (most - least)

    def test_a_delay_of_nothing_is_a_second_in_backoff_as_in_airflow() -> None:
        task = {"retry_exponential_backoff": 2, "retry_delay": timedelta(0)}
        assert decide(told_to_wait(1), 1, **task) == RetryDecision.default()
        assert seconds_of(decide(told_to_wait(1.5), 1, **task)) >= 1.5

    @pytest.mark.parametrize("odd", [float("nan"), "600", [600]])
    def test_a_wait_that_is_none_is_left_to_airflow(odd: Any) -> None:
        assert decide(told_to_wait(odd)) == RetryDecision.default()
        assert AitronosRetryPolicy().evaluate(told_to_wait(odd), 1, 4) == RetryDecision.default()

    def test_a_context_without_a_task_counts_as_none() -> None:
        context: Any = {"ti": None}
        assert 1 <= seconds_of(AitronosRetryPolicy().evaluate(told_to_wait(1), 1, 4, context)) <= 1.1

    def test_no_server_makes_a_task_wait_longer_than_a_day() -> None:
        assert LONGEST_DELAY == A_DAY
        assert seconds_of(decide(told_to_wait(1e9))) == A_DAY

    @pytest.mark.parametrize(
        ("retry_delay", "backoff", "try_number"), [(48, 0, 1), (24, 0, 1), (1, 10.0, 5000), (1, 2, 6)]
    )
    def test_a_delay_of_days_that_the_task_wants_is_left_to_airflow(
        retry_delay: int, backoff: float, try_number: int
    ) -> None:
        task = {"retry_delay": timedelta(hours=retry_delay), "retry_exponential_backoff": backoff}
        assert decide(told_to_wait(600), try_number, **task) == RetryDecision.default()

    def test_without_a_context_the_server_alone_decides() -> None:
        assert 1 <= seconds_of(AitronosRetryPolicy().evaluate(told_to_wait(1), 1, 4)) <= 1.1

    def test_any_error_that_carries_the_wait_counts() -> None:
        error = AitronosServerError("down", status_code=503, retry_after=900.0)
        assert 900 <= seconds_of(decide(error)) <= 990

    @pytest.mark.parametrize(
        "error",
        [
            told_to_wait(None),
            AitronosCancelledError("stopped"),
            AitronosAuthenticationError("no", status_code=401, retry_after=600.0),
            AirflowFailException("no"),
            ValueError("another's"),
            KeyboardInterrupt(),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_everything_else_keeps_the_tasks_own_settings(error: BaseException) -> None:
        assert decide(error) == RetryDecision.default()

    def test_the_log_says_why() -> None:
        reason = decide(told_to_wait(600)).reason
        assert reason is not None
        assert reason.startswith("The server asks to wait for 600 s: next try in 6")

    class Own(RetryPolicy):
        def evaluate(self, *args: Any, **kwargs: Any) -> RetryDecision:
            return RetryDecision.fail()

    def test_the_operator_brings_it() -> None:
        operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id="asst_1")
        assert isinstance(operator.retry_policy, AitronosRetryPolicy)
        assert isinstance(copy.deepcopy(operator).retry_policy, AitronosRetryPolicy)

    @pytest.mark.parametrize("how", ["argument", "default_args"])
    def test_a_policy_of_the_users_own_stays(how: str) -> None:
        own = Own()
        given: dict[str, Any] = {"retry_policy": own}
        arguments = given if how == "argument" else {"default_args": given}
        operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id="asst_1", **arguments)
        assert operator.retry_policy is own

    @pytest.mark.parametrize("own", [None, Own()], ids=["default", "own"])
    def test_a_mapped_task_has_it_when_it_runs(own: RetryPolicy | None) -> None:
        given: dict[str, Any] = {"retry_policy": own} if own else {}
        mapped: Any = DetachAssistantWorkflowOperator.partial(task_id="detach", **given).expand(
            assistant_id=["asst_1"]
        )
        running = mapped.unmap({"assistant_id": "asst_1"})
        assert isinstance(running.retry_policy, Own if own else AitronosRetryPolicy)


def test_limits_and_connection_can_be_given_to_all_tasks_of_a_dag() -> None:
    operator = DetachAssistantWorkflowOperator(
        task_id="detach",
        assistant_id="asst_1",
        default_args={"aitronos_conn_id": "other", "max_attempts": 2, "total_timeout": 7.5},
    )
    assert (operator.aitronos_conn_id, operator.max_attempts, operator.total_timeout) == ("other", 2, 7.5)
