"""How many requests the sandbox allows: a rate per minute and a quota per day."""

from __future__ import annotations

import math

from airflow_aitronos.sandbox.clock import Clock
from airflow_aitronos.sandbox.errors import ApiError


class Limit:
    """
    Allow a number of requests at once, and as many again in each period.

    :param size: number of requests
    :param period: seconds
    :param refills_evenly: whether they come back one by one (a token bucket), or all when the period is over
    :param clock: tells the time
    :raises ValueError: for a size below 1
    """

    def __init__(self, size: int, period: float, *, refills_evenly: bool, clock: Clock) -> None:
        if size < 1:
            raise ValueError(f"A rate limit is a whole number from 1; this is {size}.")
        self.size = size
        self._left = float(size)
        self._period = period
        self._refills_evenly = refills_evenly
        self._clock = clock
        self._refilled_at = clock.monotonic()

    def wait(self) -> float:
        """Return the seconds until a request is allowed, 0 if one is allowed now."""
        self._refill()
        # Sums of floats: what lacks a millionth counts as there, or the wait asked for would be too short.
        if self._left > 1 - 1e-6:
            return 0.0
        return (1 - self._left) * self._period / self.size if self._refills_evenly else self._until_full()

    def take(self) -> None:
        """Count one request."""
        self._left -= 1

    def headers(self) -> dict[str, str]:
        """Return the rate limit headers of a response; the reset is when all requests are allowed again."""
        return {
            "x-ratelimit-limit": str(self.size),
            "x-ratelimit-remaining": str(max(0, int(self._left))),
            "x-ratelimit-reset": str(math.ceil(self._clock.time() + self._until_full())),
        }

    def _refill(self) -> None:
        now = self._clock.monotonic()
        passed = now - self._refilled_at
        if self._refills_evenly or passed >= self._period:
            self._left = min(self.size, self._left + passed * self.size / self._period)
            self._refilled_at = now

    def _until_full(self) -> float:
        if self._refills_evenly:
            return (self.size - self._left) * self._period / self.size
        return self._refilled_at + self._period - self._clock.monotonic()


class RateLimits:
    """
    Admit or refuse requests, one at a time.

    :param per_minute: rate, any unless given
    :param per_day: quota, any unless given
    :param send_retry_after: whether a 429 has the header ``Retry-After``
    :param clock: tells the time
    :raises ValueError: for a limit below 1
    """

    def __init__(
        self, per_minute: int | None, per_day: int | None, *, send_retry_after: bool, clock: Clock
    ) -> None:
        self._send_retry_after = send_retry_after
        self._limits = []
        if per_minute is not None:
            self._limits.append(Limit(per_minute, 60, refills_evenly=True, clock=clock))
        if per_day is not None:
            self._limits.append(Limit(per_day, 24 * 60 * 60, refills_evenly=False, clock=clock))

    def admit(self) -> dict[str, str]:
        """
        Count a request.

        :return: the rate limit headers of its response
        :raises ApiError: with status 429 if a limit is reached; the request is not counted then
        """
        for limit in self._limits:
            if (wait := limit.wait()) > 0:
                hint = {"retry-after": str(math.ceil(wait))} if self._send_retry_after else {}
                headers = limit.headers() | hint
                raise ApiError(429, "RATE_LIMIT_EXCEEDED", "Too many requests.", headers=headers)
        for limit in self._limits:
            limit.take()
        return self._limits[0].headers() if self._limits else {}
