"""What is tried again inside a call, how long to wait, and when to stop."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tenacity import RetryCallState, Retrying, retry_if_result, wait_random_exponential

from airflow_aitronos.client.clock import Clock, Deadline
from airflow_aitronos.client.reply import Failure
from airflow_aitronos.client.settings import Settings

SLICE = 0.5
"""Seconds after which a wait looks whether the task was told to stop."""


class Patience:
    """
    Decide, for one call, how long to wait between attempts and when to give up.

    :param settings: of the connection.
    :param deadline: of the call.
    :param is_cancelled: whether the task was told to stop.
    """

    def __init__(self, settings: Settings, deadline: Deadline, is_cancelled: Callable[[], bool]) -> None:
        self._settings = settings
        self._deadline = deadline
        self._is_cancelled = is_cancelled
        self._own_wait = wait_random_exponential(multiplier=2, max=settings.max_backoff)
        self.reason: str | None = None
        """Why a failure that could have been tried again was not."""

    def wait(self, state: RetryCallState) -> float:
        """
        Return the seconds to wait before the next attempt.

        :param state: what tenacity knows of the call.
        """
        asked = _failure(state).retry_after
        if not asked:
            return self._own_wait(state)
        # Many tasks are told the same number: the jitter keeps them from coming back in the same instant.
        # It never pushes a wait over the deadline that would fit without it.
        room = max(0.0, self._deadline.remaining() - asked)
        return asked + random.uniform(  # noqa: S311  # spreads load, hides nothing
            0, min(room / 2, max(1.0, asked / 10))
        )

    def stop(self, state: RetryCallState) -> bool:
        """
        Return whether this attempt was the last one, and note why.

        :param state: what tenacity knows of the call.
        """
        self.reason = self._reason_to_stop(state)
        return self.reason is not None

    def _reason_to_stop(self, state: RetryCallState) -> str | None:
        settings, asked = self._settings, _failure(state).retry_after
        left = max(0.0, self._deadline.remaining())
        if self._is_cancelled():
            return "the task was told to stop"
        if asked is not None and asked > settings.max_retry_after:
            return (
                f"the server asks to wait {asked:g} s, longer than max_retry_after of "
                f"{settings.max_retry_after:g} s"
            )
        if state.attempt_number >= settings.max_attempts:
            return (
                f"all {settings.max_attempts} attempts failed"
                if settings.max_attempts > 1
                else "max_attempts is 1"
            )
        if asked and asked >= left:
            return f"the server asks to wait {asked:g} s, and total_timeout leaves {left:.1f} s"
        if state.upcoming_sleep >= left:
            return f"total_timeout of {settings.total_timeout:g} s leaves no time for another attempt"
        return None


def retrying(
    patience: Patience, *, sleep: Callable[[float], None], before_sleep: Callable[[RetryCallState], None]
) -> Retrying:
    """
    Return the tenacity loop for one call.

    The predicate looks at what an attempt returned, never at what it raised: an ``AirflowTaskTimeout``, a
    ``KeyboardInterrupt`` or a programming error goes straight through. The loop returns the last outcome.

    :param patience: of this call.
    :param sleep: waits.
    :param before_sleep: called with tenacity's state before each wait.
    """
    return Retrying(
        retry=retry_if_result(_may_pass),
        wait=patience.wait,
        stop=patience.stop,
        sleep=sleep,
        before_sleep=before_sleep,
        retry_error_callback=last_outcome,
    )


def sleep_until_cancelled(seconds: float, *, clock: Clock, is_cancelled: Callable[[], bool]) -> None:
    """
    Wait, and return early when the task is told to stop.

    On SIGTERM Airflow calls ``on_kill`` in a signal handler and returns; a plain sleep then resumes for what
    is left, and an ``Event`` set in a signal handler can deadlock. So the wait is cut into slices, and looks
    at a plain bool between them.

    :param seconds: how long.
    :param clock: waits.
    :param is_cancelled: whether the task was told to stop.
    """
    end = clock.monotonic() + seconds
    while not is_cancelled() and (left := end - clock.monotonic()) > 0:
        clock.sleep(min(left, SLICE))


def _failure(state: RetryCallState) -> Failure:
    failure: Failure = last_outcome(state)
    return failure


def _may_pass(outcome: object) -> bool:
    return isinstance(outcome, Failure) and outcome.transient


def last_outcome(state: RetryCallState) -> Any:
    """
    Return what the last attempt returned.

    :param state: what tenacity knows of the call.
    """
    return state.outcome.result() if state.outcome else None
