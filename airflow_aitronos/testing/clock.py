"""A clock on which waits cost nothing."""

from __future__ import annotations

import time

from airflow_aitronos.client.deadline import SLICE


class SkippingClock:
    """
    Run with the time of this machine, and skip every wait.

    Time moves on by what was skipped, so waits use up ``total_timeout`` as real ones would.
    """

    def __init__(self) -> None:
        self._skipped = 0.0
        self._waits: list[float] = []
        self._is_waiting = False

    @property
    def waits(self) -> list[float]:
        """Return every wait so far, in seconds, to the millisecond."""
        return [round(seconds, 3) for seconds in self._waits]

    def monotonic(self) -> float:
        """Return seconds that never jump back."""
        return time.monotonic() + self._skipped

    def time(self) -> float:
        """Return Unix seconds."""
        return time.time() + self._skipped

    def sleep(self, seconds: float) -> None:
        """
        Let time pass at once.

        :param seconds: how long.
        """
        self._skipped += seconds
        # The last slice of a wait is shorter than the others, since reading the clock takes time, too.
        if self._is_waiting:
            self._waits[-1] += seconds
        else:
            self._waits.append(seconds)
        self._is_waiting = seconds >= SLICE
