"""A clock on which waits cost nothing."""

from __future__ import annotations

import time

from airflow_aitronos.client.retry import SLICE


class SkippingClock:
    """
    Run with the time of this machine, and skip every wait.

    Time goes on by what was skipped, so ``total_timeout`` is used up as it would be.
    """

    def __init__(self) -> None:
        self._skipped = 0.0
        self._slices: list[float] = []
        self._is_waiting = False

    @property
    def waits(self) -> list[float]:
        """Return every wait so far, in seconds, to the millisecond."""
        return [round(seconds, 3) for seconds in self._slices]

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
        # The client waits in slices; the last one is shorter, as reading the clock takes its time, too.
        if self._is_waiting:
            self._slices[-1] += seconds
        else:
            self._slices.append(seconds)
        self._is_waiting = seconds >= SLICE
