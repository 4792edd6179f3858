"""HTTP faults that tell a client how long to wait; the others stand in `recorded_faults.py`."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

from airflow_aitronos.exceptions import AitronosAuthenticationError, AitronosRateLimitError
from tests.support.fake_clock import FakeClock
from tests.support.faults import Endless
from tests.support.replies import http
from tests.wire.wire_case import (
    GOOD,
    Scene,
    Wait,
    WireCase,
    asked,
    detached,
    envelope,
    facts,
    permanent,
    retryable,
    vary,
)

NOW = 1_750_000_000  # where the fake wall clock begins: Sunday, 15 June 2025, 15:06:40 UTC
IN_30_S = "Sun, 15 Jun 2025 15:07:10"


class JumpingClock(FakeClock):
    """A clock whose wall time is set back an hour at every sleep."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.offset -= 3600


def far_from_greenwich(scene: Scene) -> None:
    scene.stack.callback(time.tzset)  # after the variable is back
    scene.patch.setenv("TZ", "Asia/Tokyo")
    scene.stack.callback(scene.patch.delenv, "TZ")
    time.tzset()


def limited(wait: str, *headers: tuple[str, str]) -> bytes:
    return envelope(429, "RATE_LIMIT_EXCEEDED", [("Retry-After", wait), *headers])


def waiting(reply: bytes, wait: Wait = None) -> dict[str, Any]:
    return vary(replies=[reply, GOOD], waits=[wait])


LIMITED = facts(429, "RATE_LIMIT_EXCEEDED")

HTTP_CASES = [
    WireCase(
        "H1",
        "429 with Retry-After: 2, then 200",
        waits=[asked(2)],
        variants={
            "envelope": vary(replies=[limited("2"), GOOD]),
            # Status and header say all that there is to know.
            "endless": vary(
                replies=[[http(429, None, [("Retry-After", "2")]), Endless()], GOOD], memory=True
            ),
        },
    ),
    WireCase(
        "H2",
        "429 with a date in 30 s",
        **waiting(limited(f"{IN_30_S} GMT"), asked(30)),
    ),
    WireCase(
        "H3",
        "429 with a moment that has passed",
        variants={
            "zero": waiting(limited("0")),
            "date": waiting(limited(formatdate(NOW - 3600, usegmt=True))),
        },
    ),
    WireCase(
        "H4",
        "429 with a Retry-After that cannot be read",
        extra={"max_attempts": 2},
        end=retryable(AitronosRateLimitError, "HTTP 429", **LIMITED),
        variants={
            name: vary(replies=[limited(value)] * 2)
            for name, value in {"letters": "abc", "5000-digits": "5" * 5000}.items()
        },
    ),
    WireCase("H5", "429 with 1.5", replies=[limited("1.5"), GOOD], waits=[asked(1.5)]),
    WireCase(
        "H6",
        "429 with a date that names no zone",
        prepare=far_from_greenwich,
        variants={
            "none": waiting(limited(IN_30_S), asked(30)),
            "-0000": waiting(limited(f"{IN_30_S} -0000"), asked(30)),
        },
    ),
    WireCase(
        "H8",
        "429 with more than the deadline leaves",
        extra={"total_timeout": 20},
        variants={
            "at-once": vary(
                replies=[limited("50")],
                end=retryable(AitronosRateLimitError, "50", "total_timeout", **LIMITED, retry_after=50.0),
            ),
            "just-fits": vary(replies=[limited("19.9"), GOOD], waits=[(19.9, 20)]),
        },
    ),
    WireCase(
        "H10",
        "429 with a date, and the wall clock jumps back while waiting",
        replies=[limited(f"{IN_30_S} GMT"), GOOD],
        waits=[asked(30)],
        clock=JumpingClock,
    ),
    WireCase(
        "H11",
        "503 with Retry-After",
        **waiting(http(503, headers=[("Retry-After", "2")]), asked(2)),
    ),
    WireCase(
        "H12",
        "Retry-After where it does not count, and its stand-ins where it is missing",
        variants={
            "200": vary(replies=[http(200, detached(), [("Retry-After", "30")])]),
            "x-ratelimit": waiting(limited("x", ("X-RateLimit-Retry-After", "3")), asked(3)),
            "401": vary(
                replies=[envelope(401, "INVALID_API_KEY", [("Retry-After", "30")])],
                end=permanent(AitronosAuthenticationError, **facts(401, "INVALID_API_KEY")),
            ),
        },
    ),
]
