"""Hand a wait that the server asked for back to Airflow, which then needs no worker for it (Airflow 3.3+)."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeGuard

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
    settings, and so does a task with exponential backoff whose own delay is surely the longer one. The task's
    ``retries`` stay the limit.

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
        task = context.get("task") if context else None
        own, spread = _own_delay(task, try_number) if task is not None else (0.0, 1.0)
        if not _is_wait(exception.retry_after) or own >= LONGEST_DELAY:
            return RetryDecision.default()
        if spread > 1 and exception.retry_after <= own:
            return RetryDecision.default()
        wait = max(exception.retry_after, own)
        delay = min(wait * random.uniform(1, 1 + _JITTER), LONGEST_DELAY)  # noqa: S311  # no secret
        # As the task would wait by itself: the server's wish must not bring it back earlier.
        delay = max(delay, min(own * random.uniform(1, spread), LONGEST_DELAY))  # noqa: S311  # no secret
        reason = f"The server asks to wait for {exception.retry_after:g} s: next try in {delay:.0f} s."
        return RetryDecision.retry(delay=timedelta(seconds=delay), reason=reason)


def _is_wait(retry_after: object) -> TypeGuard[float]:
    """
    Return whether a wait can be reckoned with: an error of the user's own may carry anything.

    :param retry_after: of an error.
    """
    return isinstance(retry_after, int | float) and not math.isnan(retry_after)


def _own_delay(task: Any, try_number: int) -> tuple[float, float]:
    """
    Return the shortest delay that the task itself wants, in seconds, and how many times as long it may be.

    Airflow draws the delay of exponential backoff from between it and the double.

    :param task: that failed.
    :param try_number: of the try that failed, from 1.
    """
    delay: float = task.retry_delay.total_seconds()
    # A factor; True from older DAGs counts as 2, as in Airflow.
    factor = 2.0 if task.retry_exponential_backoff is True else float(task.retry_exponential_backoff or 1)
    if factor <= 0 or factor == 1:
        return delay, 1.0
    try:
        delay = max(math.ceil(delay * factor ** (try_number - 1)), 1.0)
    except OverflowError:
        delay = math.inf
    if task.max_retry_delay is None:
        return delay, 2.0
    longest: float = task.max_retry_delay.total_seconds()
    return (longest, 1.0) if delay >= longest else (delay, min(2.0, longest / delay))
