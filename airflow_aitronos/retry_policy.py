"""Hand a wait that the server asked for back to Airflow, which then needs no worker for it (Airflow 3.3+)."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

try:
    from airflow.sdk import RetryDecision, RetryPolicy
except ImportError as error:
    raise ImportError("AitronosRetryPolicy needs Airflow 3.3 or newer.") from error

from airflow_aitronos._compat import AirflowFailException
from airflow_aitronos.exceptions import AitronosError

if TYPE_CHECKING:
    from airflow.sdk import Context

LONGEST_DELAY = 86_400.0
"""Seconds. Airflow caps no delay of a policy's own, not even by ``max_retry_delay``."""

_JITTER = 0.1


class AitronosRetryPolicy(RetryPolicy):
    """
    Let Airflow try a task again no earlier than the server asked for.

    An error of this package with a ``retry_after``, for which trying again may help, is tried again after
    that time or after the task's own delay, whichever is longer, plus up to 10 % so that tasks that failed
    together do not come back together; never later than after 24 hours. Everything else keeps the task's own
    settings. The task's ``retries`` stay the limit.

    The operators of this package set it by default. Give another ``retry_policy`` to replace it.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,  # noqa: ARG002  # Airflow's signature
        context: Context | None = None,
    ) -> RetryDecision:
        """
        Decide when to try again.

        :param exception: that ended the task's try.
        :param try_number: of that try, from 1.
        :param max_tries: most tries that the task may have.
        :param context: of the task instance; without it the task's own delay counts as none.
        :return: a retry with a delay, or Airflow's own decision.
        """
        if not isinstance(exception, AitronosError) or isinstance(exception, AirflowFailException):
            return RetryDecision.default()
        own = _own_delay(context["task"], try_number) if context else 0.0
        if exception.retry_after is None or own >= LONGEST_DELAY:
            return RetryDecision.default()
        wait = max(exception.retry_after, own)
        delay = min(wait * random.uniform(1, 1 + _JITTER), LONGEST_DELAY)  # noqa: S311  # no secret
        reason = f"The server asks to wait for {exception.retry_after:g} s: next try in {delay:.0f} s."
        return RetryDecision.retry(delay=timedelta(seconds=delay), reason=reason)


def _own_delay(task: Any, try_number: int) -> float:
    """
    Return the task's own delay in seconds; with exponential backoff without the spread that Airflow adds.

    :param task: that failed.
    :param try_number: of the try that failed, from 1.
    """
    delay: float = task.retry_delay.total_seconds()
    # A factor; True from older DAGs counts as 2, as in Airflow.
    factor = 2.0 if task.retry_exponential_backoff is True else float(task.retry_exponential_backoff or 1)
    if factor > 1:
        try:
            delay *= factor ** (try_number - 1)
        except OverflowError:
            delay = math.inf
    if factor > 1 and task.max_retry_delay is not None:
        longest: float = task.max_retry_delay.total_seconds()
        delay = min(delay, longest)
    return delay
