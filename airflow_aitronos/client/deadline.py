"""The clock, and how long a call may still take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

SLICE = 0.5
"""Seconds after which a wait asks again whether the task was cancelled."""


class Clock(Protocol):
    """The time functions that a call uses: those of the module :mod:`time`, or a test's own."""

    def monotonic(self) -> float:
        """Return seconds that never jump: durations are measured with them."""

    def time(self) -> float:
        """Return the wall clock's Unix seconds, which may jump."""

    def sleep(self, seconds: float) -> None:
        """
        Wait.

        :param seconds: how long.
        """


class Deadline:
    """
    How long a call may take, and its waits.

    :param seconds: how long the call may take, counted from now.
    :param clock: measures time and waits.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._clock = clock
        self._start = clock.monotonic()
        self._seconds = seconds
        self._slept = 0.0

    def elapsed(self) -> float:
        """Return the seconds since the call began: a clock that a test has frozen counts what was slept."""
        return max(self._clock.monotonic() - self._start, self._slept)

    def remaining(self) -> float:
        """Return the seconds left, zero or less if there are none."""
        return self._seconds - self.elapsed()

    def leave_out(self, seconds: float) -> None:
        """
        Do not count time that passed for other reasons than this call.

        :param seconds: how long.
        """
        self._start += seconds

    def sleep(self, seconds: float, is_cancelled: Callable[[], bool]) -> None:
        """
        Wait, and return early when the task is cancelled.

        On SIGTERM Airflow calls ``on_kill`` in a signal handler and returns. A plain sleep would then resume,
        and an ``Event`` that is set in a signal handler can deadlock, so the wait is cut into slices.

        :param seconds: how long.
        :param is_cancelled: whether the task was cancelled.
        """
        while seconds > 0 and not is_cancelled():
            slice_start, length = self._clock.monotonic(), min(seconds, SLICE)
            self._clock.sleep(length)
            self._slept += length
            seconds -= max(length, self._clock.monotonic() - slice_start)
