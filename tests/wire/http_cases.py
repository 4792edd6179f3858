"""HTTP faults: H1 to H48 of the fault matrix."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from email.utils import formatdate
from typing import Any

from airflow_aitronos.exceptions import (
    AitronosAuthenticationError,
    AitronosRateLimitError,
    AitronosRedirectError,
    AitronosRequestError,
    AitronosResponseError,
    AitronosServerError,
)
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import Reply
from tests.support.faults import Endless
from tests.support.replies import Pairs, http
from tests.wire.wire_case import (
    GOOD,
    HTML,
    KEY,
    RATE_LIMITED,
    Scene,
    Wait,
    WireCase,
    asked,
    detached,
    done,
    envelope,
    facts,
    permanent,
    retryable,
    vary,
)

NOW = 1_750_000_000  # where the fake wall clock begins: Sunday, 15 June 2025, 15:06:40 UTC
IN_30_S = "Sun, 15 Jun 2025 15:07:10"
LOCATION_PASSWORD = "location-CANARY-pw"
ESCAPED_KEY = KEY.replace("-", "\\u002D")


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


def limited(wait: str | None = None, headers: Pairs = (), /, **fields: Any) -> bytes:
    pairs = [*headers] if wait is None else [("Retry-After", wait), *headers]
    return envelope(429, "RATE_LIMIT_EXCEEDED", pairs, **fields)


def unexpected(error: Any, **more: Any) -> dict[str, Any]:
    """Vary H48 in what stands under `error`."""
    end = permanent(AitronosRequestError, "HTTP 422", **{"status_code": 422, **more})
    return vary(replies=[http(422, {"success": False, "error": error})], end=end)


def waiting(reply: bytes, wait: Wait = None) -> dict[str, Any]:
    return vary(replies=[reply, GOOD], waits=[wait])


NO_SENSE = retryable(AitronosResponseError, maybe_done=True, status_code=200)
LIMITED = facts(429, "RATE_LIMIT_EXCEEDED")
NO_KEY = facts(401, "INVALID_API_KEY")

WAITS = [
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
        variants={
            "imf": waiting(limited(f"{IN_30_S} GMT"), asked(30)),
        },
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
            for name, value in {
                "letters": "abc",
                "full-width": "\uff15",
                "year-100000": "Sun, 15 Jun 100000 15:07:10 GMT",
                "5000-digits": "5" * 5000,
            }.items()
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
        "H7",
        "429 with more than max_retry_after",
        variants={
            name: vary(
                replies=[limited(value)],
                extra={"max_retry_after": cap},
                end=retryable(
                    AitronosRateLimitError, "max_retry_after", f"{seconds}", **LIMITED, retry_after=seconds
                ),
            )
            for name, value, cap, seconds in [
                ("hour", "3600", 60, 3600),
                ("date", formatdate(NOW + 3600, usegmt=True), 60, 3600),
                ("cap-of-the-connection", "10", 9, 10),
            ]
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
        "H9",
        "429 for ever",
        end=retryable(AitronosRateLimitError, RATE_LIMITED, **LIMITED),
        variants={
            "default": vary(replies=[limited()] * 4),
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
        variants={
            "seconds": waiting(http(503, headers=[("Retry-After", "2")]), asked(2)),
            "over-cap": vary(
                replies=[http(503, headers=[("Retry-After", "3600")])],
                end=retryable(
                    AitronosServerError, "3600", maybe_done=True, status_code=503, retry_after=3600.0
                ),
            ),
        },
    ),
    WireCase(
        "H12",
        "Retry-After where it does not count, and its stand-ins where it is missing",
        variants={
            "200": vary(replies=[http(200, detached(), [("Retry-After", "30")])]),
            "x-ratelimit": waiting(limited("x", [("X-RateLimit-Retry-After", "3")]), asked(3)),
            "401": vary(
                replies=[envelope(401, "INVALID_API_KEY", [("Retry-After", "30")])],
                end=permanent(AitronosAuthenticationError, **NO_KEY),
            ),
        },
    ),
]

SERVER_AT_FAULT = [
    WireCase(
        "H16",
        "502 with a page of a load balancer",
        end=retryable(AitronosServerError, "HTTP 502", maybe_done=True, status_code=502),
        never=("<html", "<h1>", "y" * 201, "::endgroup::", "[31m"),
        variants={
            "short": vary(replies=[http(502, HTML)] * 4),
            "escape-codes": vary(
                replies=[http(502, f"<h1>\x1b[31mred\x1b[0m</h1>\n::endgroup::\x00{KEY}")] * 4
            ),
        },
    ),
    WireCase(
        "H20",
        "501, 505 and other 5xx that do not pass by themselves",
        variants={
            str(status): vary(
                replies=[http(status)],
                end=retryable(AitronosServerError, f"HTTP {status}", maybe_done=True, status_code=status),
            )
            for status in (501, 505, 525)
        },
    ),
]

REFUSED = [
    WireCase(
        "H22",
        "401 in any other form",
        end=permanent(AitronosAuthenticationError, "HTTP 401", status_code=401),
        variants={
            name: vary(replies=[reply])
            for name, reply in {
                "empty": http(401),
                "key": http(401, f"no user for key {KEY}"),
                "key-in-json-escapes": http(401, f'{{"detail": "no {ESCAPED_KEY}"}}'),
            }.items()
        },
    ),
]

FOR_XCOM: dict[str, Any] = {
    "nan": (detached(message=float("nan")), NO_SENSE),
    "1e999": (json.dumps(detached(workflow_id=7)).replace("7", "1e999"), NO_SENSE),
    # Airflow's worker cannot hand on a number over 64 bits, and finds out when the task is done.
    "huge": (detached(extra=[2**63]), NO_SENSE),
    "surrogate": (detached(message="a\ud800b"), done(message="a\ufffdb")),
    "nul-in-message": (detached(message="a\x00b"), done(message="a\ufffdb")),
    # The name of a field of Airflow's own serialisation, as a value and as a key.
    "classname": (
        detached(__classname__="os.system", message="__classname__"),
        done(message="__classname__"),
    ),
}

TWO_HUNDREDS = [
    WireCase(
        "H44",
        "200 with what XCom refuses",
        variants={name: vary(replies=[http(200, body)], end=end) for name, (body, end) in FOR_XCOM.items()},
    ),
]


def redirect(location: str, status: int = 302) -> dict[str, Any]:
    """Vary H46; `{other}` in the location is a server that nobody may connect to."""

    def replies(scene: Scene) -> Iterable[Reply]:
        return [http(status, HTML, [("Location", location.format(other=scene.elsewhere.port))])]

    # Some servers act, and then redirect: the outcome is unknown.
    return vary(replies=replies, end=permanent(AitronosRedirectError, maybe_done=True, status_code=status))


REDIRECTS = [
    WireCase(
        "H46",
        "a redirect",
        never=(LOCATION_PASSWORD,),
        variants={
            **{
                str(status): redirect("http://127.0.0.1:{other}/x", status) for status in (301, 303, 307, 308)
            },
            "userinfo": redirect(f"http://me:{LOCATION_PASSWORD}@127.0.0.1:{{other}}/?t={LOCATION_PASSWORD}"),
            "key": redirect(f"http://{KEY}.example/{KEY}"),
        },
    ),
]

UNEXPECTED = [
    WireCase(
        "H48",
        "an unexpected envelope",
        never=("::endgroup::", "[31m"),
        variants={
            "code-long": unexpected({"code": "C" * 9000}, code="C" * 99 + "…"),
            "status-contradicts": unexpected({"status": 401, "code": "X"}, code="X"),
            "trace-1-mb": unexpected({"trace_id": "t" * 1_000_000}, trace_id="t" * 199 + "…"),
            "trace-lines": unexpected({"trace_id": "a\nERROR b\r"}, trace_id="a\\nERROR b\\r"),
            "key-everywhere": unexpected(
                dict.fromkeys(("code", "message", "system_message", "type", "trace_id", "details"), KEY),
                **dict.fromkeys(("code", "trace_id", "system_message", "error_type", "details"), "***"),
            ),
            "colours": unexpected({"code": "\x1b[31mred\x1b[0m"}, code="red"),
            # A pattern that looks for the end of an unfinished sequence from each of its beginnings would
            # take minutes here, and no deadline stops a pattern.
            "unfinished-escapes": unexpected({"message": "\x90\x9d\x1b]" * 40_000}),
            "request-id": vary(
                replies=[http(422, headers=[("x-request-id", f"{KEY}\x1b[31m" + "r" * 900)])],
                end=permanent(
                    AitronosRequestError,
                    status_code=422,
                    trace_id="***" + "r" * 196 + "…",
                    request_id="***" + "r" * 196 + "…",
                ),
            ),
        },
    )
]

HTTP_CASES = [*WAITS, *SERVER_AT_FAULT, *REFUSED, *TWO_HUNDREDS, *REDIRECTS, *UNEXPECTED]
