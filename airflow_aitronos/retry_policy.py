"""When Airflow comes back to a task that the server asked to wait; no worker waits (Airflow 3.3+)."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

try:
    from airflow.sdk import RetryDecision, RetryPolicy
except ImportError as error:
    raise ImportError("AitronosRetryPolicy needs Airflow 3.3 or newer.") from error

from airflow_aitronos._compat import AirflowFailException
from airflow_aitronos.exceptions import AitronosCancelledError, AitronosError

if TYPE_CHECKING:
    from airflow.sdk import Context

LONGEST_DELAY = 86_400.0
"""Seconds. Airflow caps no delay of a policy's own, not even by ``max_retry_delay``."""

MAX_RESCHEDULES = 1_440
"""Times at most that one try of a task comes back: once a minute for a day."""

_RESCHEDULE: Any = getattr(RetryDecision, "reschedule", None)
# Airflow 3.4+. Read in the source of 3.4.0b2: the task goes to up_for_reschedule, which changes neither its
# try number nor max_tries nor its task state (so the record in operators/try_state.py still counts), and runs
# no callback. Past a bound Airflow would retry after the task's own retry_delay, which may be too early, so
# the bounds are checked here as well. Both are counted for one try, pokes of a sensor included.


class AitronosRetryPolicy(RetryPolicy):
    """
    Run a task again no earlier than the server asked for.

    After a retryable error of this package with a ``retry_after`` the task runs again after that time, plus
    up to 10 % so that tasks that failed together do not start together, and after 24 hours at the latest.
    Other errors leave the delay to the task's own settings.

    On Airflow 3.4 and later this is a reschedule: it uses no retry and calls no callback, for up to 24 hours
    and 1,440 times within one try. After that, on Airflow 3.3, and for a task that was cancelled, it is a
    retry, and the task's ``retries`` are the limit.

    The operators of this package set it by default; give another ``retry_policy`` to replace it.

    :param reschedule: False to use a retry on Airflow 3.4 and later, too.
    """

    def __init__(self, *, reschedule: bool = True) -> None:
        self.reschedules = reschedule and _RESCHEDULE is not None

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002  # Airflow's signature
        max_tries: int,  # noqa: ARG002  # Airflow's signature
        context: Context | None = None,
    ) -> RetryDecision:
        """
        Decide when to come back.

        :param exception: that the task's try raised.
        :param try_number: of that try, from 1.
        :param max_tries: most tries that the task may have.
        :param context: of the task instance.
        :return: a reschedule or a retry with a delay, or Airflow's own decision.
        """
        if not isinstance(exception, AitronosError) or isinstance(exception, AirflowFailException):
            return RetryDecision.default()
        asked = exception.retry_after
        if not isinstance(asked, int | float) or math.isnan(asked) or asked <= 0:
            return RetryDecision.default()
        delay = min(asked * random.uniform(1, 1.1), LONGEST_DELAY)  # noqa: S311  # no secret
        reason = f"The server asks to wait {asked:g} s: next try in {delay:.0f} s."
        is_cancelled = isinstance(exception, AitronosCancelledError)
        if not self.reschedules or is_cancelled or not _is_within_bounds(context, delay):
            return RetryDecision.retry(delay=timedelta(seconds=delay), reason=reason)
        # Airflow logs the reason, once.
        decision: RetryDecision = _RESCHEDULE(
            delay=timedelta(seconds=delay),
            max_reschedules=MAX_RESCHEDULES,
            reschedule_timeout=timedelta(seconds=LONGEST_DELAY),
            reason=f"The server asks to wait {asked:g} s: the task comes back in {delay:.0f} s. This uses no "
            "retry and is no failure, so no callback runs.",
        )
        return decision


def _is_within_bounds(context: Context | None, delay: float) -> bool:
    """Return whether the task may come back once more within the same try."""
    ti: Any = context.get("ti") if context else None
    if context is None or ti is None:
        return True  # Airflow checks the bounds, too
    first = ti.get_first_reschedule_date(context)
    elapsed = (datetime.now(UTC) - first).total_seconds() if first else 0.0
    return context.get("task_reschedule_count", 0) < MAX_RESCHEDULES and elapsed + delay <= LONGEST_DELAY
