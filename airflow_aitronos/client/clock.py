"""Time: the clocks that a call looks at, and how long it may still take."""

from __future__ import annotations

from time import monotonic, sleep, time
from typing import Protocol


class Clock(Protocol):
    """The three faces of time, in one place so that tests can turn its hands."""

    def monotonic(self) -> float:
        """Return seconds that never jump: what durations are measured with."""

    def time(self) -> float:
        """Return the wall clock's Unix seconds, which may jump."""

    def sleep(self, seconds: float) -> None:
        """
        Wait.

        :param seconds: how long.
        """


class SystemClock:
    """The clock of this machine."""

    monotonic = staticmethod(monotonic)
    time = staticmethod(time)
    sleep = staticmethod(sleep)


class Deadline:
    """
    The moment at which a call has to be over.

    :param seconds: how long the call may take, counted from now.
    :param clock: what measures it.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._clock = clock
        self._start = clock.monotonic()
        self._end = self._start + seconds

    def remaining(self) -> float:
        """Return the seconds left; zero or less when there are none."""
        return self._end - self._clock.monotonic()

    def elapsed(self) -> float:
        """Return the seconds since the call began."""
        return self._clock.monotonic() - self._start
