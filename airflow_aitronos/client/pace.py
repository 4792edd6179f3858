"""How fast a task sends requests: one gate for all threads, which closes while the server asks to wait."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

from airflow_aitronos.client.deadline import SLICE, Clock, Deadline
from airflow_aitronos.exceptions import AitronosError, AitronosNetworkError

if TYPE_CHECKING:
    from airflow_aitronos.client.sanitize import Log

MOST_THREADS = 8

_CUT, _GROWTH = 0.7, 1.1
"""What is left of the rate when the server refuses requests, and what a minute makes of it afterwards."""
_LOWEST_RATE = 1.0
_UNASKED_WAIT = 60.0
"""Seconds after a 429 that does not say how long to wait; doubled for each one in a row."""
_MOST_REFUSALS = 10
_EPSILON = 1e-6
"""Seconds that are no wait: sums of floats do not come out even."""


class RunEndedError(AitronosError):
    """Raise instead of a request when no request passes any more."""


class Pace:
    """
    Let requests pass one by one, evenly spaced: none are saved up, so there is never a burst.

    The rate is the cap. Where the server refuses requests for their rate it becomes lower, and grows again
    slowly.

    :param requests_per_minute: cap; None for none.
    :param run_timeout: seconds for the whole run; None for no limit.
    :param max_retry_after: longest wait in seconds that the server may ask for: a longer one ends the run.
    :param clock: measures time and waits.
    :param log: gets a line when the gate closes.
    """

    def __init__(
        self,
        requests_per_minute: float | None,
        run_timeout: float | None,
        max_retry_after: float,
        clock: Clock,
        log: Log,
    ) -> None:
        self._cap = self._rate = requests_per_minute or math.inf
        self._max_retry_after = max_retry_after
        self._deadline = Deadline(run_timeout or math.inf, clock)
        self._late = (
            f"run_timeout of {run_timeout:g} s leaves no time for another request." if run_timeout else ""
        )
        self._log = log
        self._turnstile, self._lock = Lock(), Lock()
        self._last = -math.inf
        self._opens_at = 0.0
        self._passed_since = self._refusals = 0
        self.passed = 0
        """Requests so far."""
        self.end: AitronosError | None = None
        """Why no request passes any more."""

    def elapsed(self) -> float:
        """Return the seconds since the run began."""
        return self._deadline.elapsed()

    def remaining(self) -> float:
        """Return the seconds left of the run, infinity if it has no limit."""
        return self._deadline.remaining()

    def rate(self) -> float:
        """Return the requests a minute that may pass now, infinity for any."""
        # Not without end: a float has its limits.
        minutes = min(1_000.0, max(0.0, self.elapsed() - self._opens_at) / 60)
        return min(self._cap, self._rate * math.pow(_GROWTH, minutes))

    def close(self, end: AitronosError) -> None:
        """
        Let no request pass any more.

        :param end: why; the first reason stays.
        """
        self.end = self.end or end

    def wait(self, is_cancelled: Callable[[], bool]) -> float:
        """
        Wait until one request may be sent, and return the seconds that took; return early when cancelled.

        :param is_cancelled: whether the task was cancelled.
        :raises RunEndedError: if no request passes any more.
        """
        started = self.elapsed()
        # One thread waits at the turnstile, in slices, and the others for this one.
        with self._turnstile:
            while self.end is None and not is_cancelled():
                turn = max(self._opens_at, self._last + 60 / self.rate())
                left = max(0.0, turn - self.elapsed())
                if left >= self._deadline.remaining():
                    self.close(AitronosNetworkError(self._late))
                elif left > _EPSILON:
                    self._deadline.sleep(min(left, SLICE), is_cancelled)
                else:
                    self._last = self.elapsed()
                    self.passed, self._passed_since = self.passed + 1, self._passed_since + 1
                    break
        if self.end is not None:
            raise RunEndedError(self.end.cause)
        return self.elapsed() - started

    def refused(self, error: AitronosError) -> None:
        """
        Close the gate for as long as the server asks for, and lower the rate.

        :param error: a 429, or a 503 that says how long to wait.
        """
        with self._lock:
            now, asked = self.elapsed(), error.retry_after
            if now < self._opens_at:  # another request that was under way, too
                self._opens_at = max(self._opens_at, now + (asked or 0.0))
                return
            # More than can be under way at once: some of them have worked.
            self._refusals = 1 if self._passed_since > MOST_THREADS else self._refusals + 1
            wait = _UNASKED_WAIT * 2 ** (self._refusals - 1) if asked is None else asked
            measured = self._passed_since * 60 / max(1.0, now - self._opens_at)
            self._rate = max(_LOWEST_RATE, _CUT * min(measured, self.rate()))
            self._opens_at, self._passed_since = now + wait, 0
        if wait > self._max_retry_after:
            which = "asks to wait" if asked is not None else "names no wait; the next one would be"
            why = (
                f"The server {which} {wait:g} s, longer than max_retry_after of {self._max_retry_after:g} s."
            )
        elif self._refusals > _MOST_REFUSALS:
            why = f"The server refused {self._refusals} requests in a row for their rate."
            wait = max(wait, _UNASKED_WAIT)
        else:
            rate = f"{self._rate:.0f} requests/min"
            self._log.warning(f"{error.cause} All requests wait {wait:.1f} s; then at most {rate}.")
            return
        self.close(type(error)(f"{error.cause} {why}", retry_after=wait, **error.of_response()))
