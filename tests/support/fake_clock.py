"""A clock that moves only when a test, or a sleep, moves it."""

from __future__ import annotations

import math
from typing import Protocol


class Clock(Protocol):
    """What `AitronosHook.clock` has to offer."""

    def monotonic(self) -> float:
        """Return the seconds of the clock that never goes back."""

    def time(self) -> float:
        """Return the seconds since 1970."""

    def sleep(self, seconds: float) -> None:
        """Wait that many seconds."""


class FakeClock:
    """Stand in for `time.monotonic`, `time.sleep` and `time.time`.

    `sleeps` holds every sleep in seconds. `offset` is the wall clock minus the monotonic clock in seconds;
    set it to make the wall clock jump.

    :param start: first value of the monotonic clock, in seconds.
    :param wall: first value of the wall clock, in seconds since 1970.
    :param tick: seconds that pass after each look at either clock.
    """

    def __init__(self, start: float = 1000.0, wall: float = 1_750_000_000.0, tick: float = 0.0) -> None:
        self.now = start
        self.offset = wall - start
        self.tick = tick
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        """Return the seconds of the clock that never goes back."""
        seen = self.now
        self.now += self.tick
        return seen

    def time(self) -> float:
        """Return the seconds since 1970."""
        return self.monotonic() + self.offset

    def sleep(self, seconds: float) -> None:
        """Record a sleep, and let that many seconds pass at once."""
        self.advance(seconds)
        self.sleeps.append(seconds)

    def advance(self, seconds: float) -> None:
        """Let that many seconds pass, without a sleep.

        :raises ValueError: for a negative time, infinity or NaN: `time.sleep` refuses them too.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"cannot let {seconds!r} seconds pass")
        self.now += seconds
