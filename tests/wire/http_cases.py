"""HTTP faults: H1 to H48 of the fault matrix."""

from __future__ import annotations

import gzip
import itertools
import json
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from typing import Any

from airflow_aitronos.exceptions import (
    AitronosAuthenticationError,
    AitronosConflictError,
    AitronosError,
    AitronosNetworkError,
    AitronosNotFoundError,
    AitronosOutcomeUnknownError,
    AitronosPermissionError,
    AitronosRateLimitError,
    AitronosRedirectError,
    AitronosRequestError,
    AitronosResponseError,
    AitronosServerError,
    AitronosWrongResourceError,
)
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import Reply
from tests.support.faults import Close, Endless, Reset
from tests.support.replies import CHUNKED, GZIP, Pairs, chunked, http
from tests.wire.wire_case import (
    ASSISTANT,
    CONN_ID,
    DETACH,
    GOOD,
    HTML,
    KEY,
    LOOK,
    MESSAGE,
    NOTHING_LINKED,
    TRACE,
    UNAVAILABLE,
    WORKFLOW,
    Scene,
    WireCase,
    asked,
    detached,
    done,
    envelope,
    later,
    stop,
    vary,
)

NOW = 1_750_000_000  # where the fake wall clock begins: Sunday, 15 June 2025, 15:06:40 UTC
IN_30_S = "Sun, 15 Jun 2025 15:07:10"
ONCE = {"max_attempts": 1}
TWICE = {"max_attempts": 2}
LOCATION_PASSWORD = "location-CANARY-pw"
BIG_ESCAPE, SMALL_ESCAPE, SLASHED = "\\u002D", "\\u002d", "\\-"  # what servers write for "-"
MANY = 1024 * 1024 + 1  # bytes: more than is read of any body


class JumpingClock(FakeClock):
    """A clock whose wall time is set back an hour at every sleep."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.offset -= 3600


class LeapingClock(FakeClock):
    """A clock whose wall time is set forward an hour at every sleep."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.offset += 3600


def far_from_greenwich(scene: Scene) -> None:
    scene.stack.callback(time.tzset)  # after the variable is back
    scene.patch.setenv("TZ", "Asia/Tokyo")
    scene.stack.callback(scene.patch.delenv, "TZ")
    time.tzset()


def limited(wait: str | None = None, headers: Pairs = (), /, **fields: Any) -> bytes:
    pairs = [*headers] if wait is None else [("Retry-After", wait), *headers]
    return envelope(429, "RATE_LIMIT_EXCEEDED", pairs, **fields)


def facts(status: int, code: str | None = None, **more: Any) -> dict[str, Any]:
    """Return the attributes of the error that the documented envelope stands for."""
    return {"status_code": status, "code": code, "trace_id": TRACE if code else None} | more


def cut_404(broken: Reply) -> dict[str, Any]:
    """Return a variant in which the answer that nothing is linked comes whole only the second time."""
    return vary(
        replies=[broken, NO_WORKFLOW],
        sent=2,
        failed=1,
        end=done("no workflow linked", workflow_id=None, message=None),
    )


def every(statuses: Iterable[int], make: Callable[[int], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {str(status): make(status) for status in statuses}


def given_up(status: int, error: type[AitronosError], **more: Any) -> dict[str, Any]:
    """Vary a case into four bare replies of one status, and the end that leaves the task its retries."""
    return vary(
        replies=[http(status)] * 4, sent=4, end=later(error, f"HTTP {status}", status_code=status, **more)
    )


def inside_200(status: Any, end: Any, **more: Any) -> dict[str, Any]:
    body = {"success": False, "error": {"code": "NO", "message": "No.", "status": status, "trace_id": TRACE}}
    return vary(replies=[http(200, body)], end=end) | more


def answer(body: Any) -> dict[str, Any]:
    return vary(replies=[http(200, body)])


def redirect(status: int, location: str | None, *says: str) -> dict[str, Any]:
    """Vary H46; `{other}` in the location is a server that nobody may connect to."""

    def replies(scene: Scene) -> Iterable[Reply]:
        target = [] if location is None else [("Location", location.format(other=scene.elsewhere.port))]
        return [http(status, HTML, target)]

    return vary(replies=replies, end=redirected(status, *says))


def redirected(status: int, *says: str) -> Any:
    # Some servers act, and then redirect: nobody knows.
    return stop(
        AitronosRedirectError,
        "redirect",
        "Host of the connection",
        *says,
        maybe_done=True,
        status_code=status,
    )


def odd(error: Any, **more: Any) -> dict[str, Any]:
    """Vary H48 in what stands under `error`."""
    return vary(
        replies=[http(422, {"success": False, "error": error})],
        end=stop(AitronosRequestError, "HTTP 422", **{"status_code": 422, **more}),
    )


NO_SENSE = later(AitronosResponseError, "not JSON", "Host", maybe_done=True, status_code=200)
MALFORMED = later(AitronosResponseError, "malformed response", maybe_done=True, status_code=200)
NO_OBJECT = later(AitronosResponseError, maybe_done=True, status_code=200)
LIMITED = facts(429, "RATE_LIMIT_EXCEEDED")
NO_KEY = facts(401, "INVALID_API_KEY")
NO_WORKFLOW = envelope(404, "WORKFLOW_NOT_FOUND")

WAITS = [
    WireCase(
        "H1",
        "429 with Retry-After: 2, then 200",
        sent=2,
        waits=[asked(2)],
        variants={
            "envelope": vary(
                replies=[limited("2"), GOOD], logs=(TRACE, "AitronosRateLimitError", "HTTP 429")
            ),
            # Status and header say all that there is to know.
            "too-long": vary(replies=[http(429, "x" * MANY, [("Retry-After", "2")]), GOOD]),
            "endless": vary(
                replies=[[http(429, None, [("Retry-After", "2")]), Endless()], GOOD], memory=True
            ),
        },
    ),
    WireCase(
        "H2",
        "429 with a date in 30 s",
        sent=2,
        waits=[asked(30)],
        variants={
            name: vary(replies=[limited(date), GOOD])
            for name, date in {
                "imf": f"{IN_30_S} GMT",
                "rfc-850": "Sunday, 15-Jun-25 15:07:10 GMT",
                "asctime": "Sun Jun 15 15:07:10 2025",
                "offset": "Sun, 15 Jun 2025 17:07:10 +0200",
            }.items()
        },
    ),
    WireCase(
        "H3",
        "429 with a moment that has passed",
        sent=2,
        variants={
            name: vary(replies=[limited(value), GOOD])
            for name, value in {
                "zero": "0",
                "zero-point-zero": "0.0",
                "date": formatdate(NOW - 3600, usegmt=True),
                "1970": formatdate(0, usegmt=True),
            }.items()
        },
    ),
    WireCase(
        "H4",
        "429 with a Retry-After that cannot be read",
        extra=TWICE,
        sent=2,
        end=later(AitronosRateLimitError, "HTTP 429", **LIMITED),
        variants={
            name: vary(replies=[limited(value)] * 2)
            for name, value in {
                "negative": "-5",
                "plus": "+5",
                "letters": "abc",
                "empty": "",
                "nan": "nan",
                "inf": "inf",
                "exponent": "1e3",
                "underscore": "5_0",
                "full-width": "\uff15",
                "superscript": "\xb2",
                "hex": "0x10",
                "list": "5, 10",
                "unit": "5s",
                "iso-date": "2025-06-15T15:07:10Z",
                "year-100000": "Sun, 15 Jun 100000 15:07:10 GMT",
                "day-32": "Sun, 32 Jun 2025 15:07:10 GMT",
                "wild-offset": "Sun, 15 Jun 2025 15:07:10 +99999999",
                "5000-digits": "5" * 5000,
                "escape-codes": "\x1b[31m5",
            }.items()
        },
    ),
    WireCase("H5", "429 with 1.5", replies=[limited("1.5"), GOOD], sent=2, waits=[asked(1.5)]),
    WireCase(
        "H6",
        "429 with a date that names no zone",
        sent=2,
        waits=[asked(30)],
        variants={
            name: vary(replies=[limited(date), GOOD], prepare=far_from_greenwich)
            for name, date in {"none": IN_30_S, "-0000": f"{IN_30_S} -0000"}.items()
        },
    ),
    WireCase(
        "H7",
        "429 with more than max_retry_after",
        variants={
            name: vary(
                replies=[limited(value), GOOD],
                end=later(
                    AitronosRateLimitError, "max_retry_after", shown, **LIMITED, retry_after=float(seconds)
                ),
            )
            for name, value, shown, seconds in [
                ("hour", "3600", "3600", 3600),
                ("just-over", "61", "61", 61),
                ("nine-digits", "999999999", "s", 999_999_999),
                ("forty-digits", "9" * 40, "s", float("9" * 40)),
                ("date", formatdate(NOW + 3600, usegmt=True), "3600", 3600),
            ]
        }
        | {
            "at-the-last-attempt": vary(
                replies=[limited("3600")],
                extra=ONCE,
                end=later(AitronosRateLimitError, "3600", **LIMITED, retry_after=3600.0),
            ),
            "cap-of-the-connection": vary(
                replies=[limited("10")],
                extra={"max_retry_after": 9},
                end=later(AitronosRateLimitError, "10", "max_retry_after", **LIMITED, retry_after=10.0),
            ),
        },
    ),
    WireCase(
        "H8",
        "429 with more than the deadline leaves",
        extra={"total_timeout": 20},
        variants={
            "at-once": vary(
                replies=[limited("50")],
                end=later(AitronosRateLimitError, "50", "total_timeout", **LIMITED, retry_after=50.0),
            ),
            "after-two-waits": vary(
                replies=[limited("8")] * 3,
                sent=3,
                waits=[asked(8), asked(8)],
                end=later(AitronosRateLimitError, "8", "total_timeout", **LIMITED, retry_after=8.0),
            ),
            "just-fits": vary(replies=[limited("19.9"), GOOD], sent=2, waits=[(19.9, 20)]),
        },
    ),
    WireCase(
        "H9",
        "429 for ever",
        replies=itertools.repeat(limited()),
        variants={
            "default": vary(sent=4, end=later(AitronosRateLimitError, "rate limited", **LIMITED)),
            "bare": vary(
                replies=itertools.repeat(http(429)),
                sent=4,
                end=later(AitronosRateLimitError, "rate limited", status_code=429),
            ),
            "one-attempt": vary(
                extra=ONCE, sent=1, end=later(AitronosRateLimitError, "rate limited", **LIMITED)
            ),
            "ten-attempts": vary(
                extra={"max_attempts": 10, "max_backoff": 1},
                sent=10,
                end=later(AitronosRateLimitError, "rate limited", **LIMITED),
            ),
        },
    ),
    WireCase(
        "H10",
        "429 with a date, and the wall clock jumps while waiting",
        replies=[limited(f"{IN_30_S} GMT"), GOOD],
        sent=2,
        waits=[asked(30)],
        variants={"back": vary(clock=JumpingClock), "forward": vary(clock=LeapingClock)},
    ),
    WireCase(
        "H11",
        "503 with Retry-After",
        sent=2,
        variants={
            "seconds": vary(
                replies=[http(503, headers=[("Retry-After", "2")]), GOOD],
                waits=[asked(2)],
            ),
            "date": vary(
                replies=[http(503, headers=[("Retry-After", f"{IN_30_S} GMT")]), GOOD], waits=[asked(30)]
            ),
            "unreadable": vary(replies=[http(503, headers=[("Retry-After", "soon")]), GOOD]),
            "over-cap": vary(
                replies=[http(503, headers=[("Retry-After", "3600")])],
                sent=1,
                end=later(
                    AitronosServerError,
                    "3600",
                    "max_retry_after",
                    maybe_done=True,
                    status_code=503,
                    retry_after=3600.0,
                ),
            ),
            "over-deadline": vary(
                replies=[http(503, headers=[("Retry-After", "50")])],
                extra={"total_timeout": 20},
                sent=1,
                end=later(
                    AitronosServerError,
                    "50",
                    "total_timeout",
                    maybe_done=True,
                    status_code=503,
                    retry_after=50.0,
                ),
            ),
        },
    ),
    WireCase(
        "H12",
        "Retry-After where it does not count, and its stand-ins where it is missing",
        variants={
            "200": vary(replies=[http(200, detached(), [("Retry-After", "30")])]),
            "401": vary(
                replies=[envelope(401, "INVALID_API_KEY", [("Retry-After", "30")])],
                end=stop(AitronosAuthenticationError, **NO_KEY),
            ),
        }
        | {
            name: vary(replies=[reply, GOOD], sent=2, waits=[wait])
            for name, reply, wait in [
                ("x-ratelimit", limited(None, [("X-RateLimit-Retry-After", "3")]), asked(3)),
                ("unreadable-and-x-ratelimit", limited("x", [("X-RateLimit-Retry-After", "3")]), asked(3)),
                ("header-wins", limited("2", [("X-RateLimit-Retry-After", "9")], retry_after=9), asked(2)),
                ("error-number", limited(retry_after=3), asked(3)),
                ("error-fraction", limited(retry_after=2.5), asked(2.5)),
                ("error-text", limited(retry_after="3"), asked(3)),
                ("details", limited(details={"retry_after": 3}), asked(3)),
                ("details-is-text", limited(details="retry_after"), None),
                ("true", limited(retry_after=True), None),
                ("negative", limited(retry_after=-3), None),
                ("full-width", limited(retry_after="\uff15"), None),
                ("superscript", limited(retry_after="\xb2"), None),
                ("huge-number", limited(retry_after=10**80), None),
                ("list", limited(retry_after=[3]), None),
                ("null", limited(retry_after=None), None),
            ]
        }
        | {
            "body-over-cap": vary(
                replies=[limited(retry_after=3600)],
                end=later(AitronosRateLimitError, "3600", **LIMITED, retry_after=3600.0),
            ),
        },
    ),
]

SERVER_AT_FAULT = [
    WireCase(
        "H13",
        "408",
        variants={
            "then-nothing-linked": vary(
                replies=[http(408), NOTHING_LINKED],
                sent=2,
                end=done("an earlier attempt", warns=True, workflow_id=None),
            ),
            "for-ever": given_up(408, AitronosNetworkError, maybe_done=True),
        },
    ),
    WireCase(
        "H14",
        "425",
        variants={
            "then-good": vary(replies=[http(425), GOOD], sent=2),
            # "Too Early" refuses to process: nothing was done.
            "then-nothing-linked": vary(
                replies=[http(425), NOTHING_LINKED], sent=2, end=done(workflow_id=None)
            ),
            "too-long": vary(replies=[http(425, "x" * MANY), GOOD], sent=2),
            "for-ever": given_up(425, AitronosNetworkError),
        },
    ),
    WireCase(
        "H15",
        "500 with the envelope",
        replies=itertools.repeat(envelope(500, "INTERNAL_ERROR", [("x-request-id", "req_header")])),
        sent=4,
        end=later(
            AitronosServerError,
            "HTTP 500",
            "INTERNAL_ERROR",
            "It did not work.",
            TRACE,
            "req_header",
            maybe_done=True,
            **facts(500, "INTERNAL_ERROR"),
            error_type="some_error",
            system_message="It did not work, says the system.",
            request_id="req_header",
            details=None,
        ),
    ),
    WireCase(
        "H16",
        "502 with a page of a load balancer",
        sent=4,
        never=("<html", "<h1>", "y" * 201),
        variants={
            "short": vary(
                replies=[http(502, HTML)] * 4,
                end=later(AitronosServerError, "HTTP 502", "Bad Gateway", maybe_done=True, status_code=502),
            ),
            "long": vary(
                replies=[http(502, f"<html><p>{'y' * 100_000}</p></html>")] * 4,
                end=later(AitronosServerError, "HTTP 502", "y" * 199, maybe_done=True, status_code=502),
            ),
            "escape-codes": vary(
                replies=[http(502, f"<h1>\x1b[31mred\x1b[0m</h1>\n::endgroup::\x00{KEY}")] * 4,
                end=later(AitronosServerError, "red", "***", maybe_done=True, status_code=502),
                never=("<h1>", "::endgroup::", "[31m"),
            ),
        },
    ),
    WireCase(
        "H17",
        "503 with an empty body",
        variants={
            "then-good": vary(replies=[http(503), GOOD], sent=2),
            "for-ever": given_up(503, AitronosServerError, maybe_done=True),
        },
    ),
    WireCase(
        "H18",
        "504",
        variants={
            "then-nothing-linked": vary(
                replies=[http(504), NOTHING_LINKED],
                sent=2,
                end=done("an earlier attempt", warns=True, workflow_id=None),
            ),
            "for-ever": given_up(504, AitronosServerError, maybe_done=True),
        },
    ),
    WireCase(
        "H19",
        "520 to 524, of a CDN",
        variants=every(
            range(520, 525), lambda status: given_up(status, AitronosServerError, maybe_done=True)
        ),
    ),
    WireCase(
        "H20",
        "501, 505 and other 5xx that do not pass by themselves",
        variants=every(
            (501, 505, 506, 507, 508, 510, 511, 519, 525, 530, 599),
            lambda status: vary(
                replies=[http(status)],
                end=later(AitronosServerError, f"HTTP {status}", maybe_done=True, status_code=status),
            ),
        ),
    ),
]

REFUSED = [
    WireCase(
        "H21",
        "401 with the envelope",
        variants={
            code: vary(
                replies=[envelope(401, code)],
                end=stop(
                    AitronosAuthenticationError, CONN_ID, code, "Password", "API key", **facts(401, code)
                ),
            )
            for code in ("INVALID_API_KEY", "API_KEY_EXPIRED", "AUTHENTICATION_REQUIRED")
        },
    ),
    WireCase(
        "H22",
        "401 in any other form",
        end=stop(AitronosAuthenticationError, "HTTP 401", status_code=401),
        variants={
            name: vary(replies=[http(401, body)])
            for name, body in {
                "html": HTML,
                "empty": "",
                "list": "[1]",
                "key": f"no user for key {KEY}",
            }.items()
        }
        # What the status says is settled before the body is there: "401, 403 in any form".
        | {
            "bytes": vary(replies=[http(401, b"\xff\xfe\x00\x1b")]),
            "too-long": vary(replies=[http(401, "x" * MANY)]),
            "endless": vary(replies=[[http(401, None), Endless()]]),
            "cut": vary(replies=[Close(http(401, HTML)[:-9])] * 4),
            "cut-in-the-headers": vary(replies=[Close(b"HTTP/1.1 401 Unauthorized\r\nX-Requ")]),
            "broken-gzip": vary(replies=[http(401, HTML, [("Content-Encoding", "gzip")])] * 4),
        }
        | {
            f"key-{name}": vary(replies=[reply], never=("CANARY",))
            for name, reply in {
                "in-json": http(401, {"detail": f"no user for {KEY}"}),
                "in-json-escapes": http(401, f'{{"detail": "no {KEY.replace("-", BIG_ESCAPE)}"}}'),
                "in-escapes-of-no-json": http(401, f'{{"detail": {KEY.replace("-", SMALL_ESCAPE)}'),
                "in-slashes": http(401, f'{{"detail": {KEY.replace("-", SLASHED)}'),
                "in-percent": http(401, f"no user for {KEY.replace('-', '%2d')}"),
                "in-entities": http(401, f"<p>no user for {KEY.replace('-', '&#x2d;')}</p>"),
                "in-decimal-entities": http(401, f"<p>no user for {KEY.replace('-', '&#45;')}</p>"),
                "in-pieces-of-html": http(401, f"<p>{KEY[:12]}<wbr>{KEY[12:]}</p>"),
                "on-two-lines": http(401, f"{KEY[:12]}\r\n  {KEY[12:]}"),
                "cut": Close(http(401, f"no user for {KEY}")[:-3]),
                # Nothing says that these are not whole.
                "cut-without-length": Close(http(401, None) + f"no user for {KEY[:-3]}".encode()),
                "cut-by-the-server": http(401, f"no user for {KEY[:-3]}"),
                "cut-in-json-text": http(401, {"error": {"message": f"no {KEY[:12]}... ({KEY[:-9]})"}}),
                "cut-in-packing": http(401, gzip.compress(KEY.encode() * 9)[:-20], [GZIP]),
                "cut-in-json": Close(http(401, {"error": {"code": "X", "message": KEY}})[:-6]),
                "cut-in-chunks": Close(http(401, chunked([KEY[:-2].encode()], b""), [CHUNKED])),
            }.items()
        },
    ),
    WireCase(
        "H23",
        "403 with the envelope",
        replies=[envelope(403, "INSUFFICIENT_PERMISSIONS")],
        end=stop(
            AitronosPermissionError,
            "INSUFFICIENT_PERMISSIONS",
            "permission",
            **facts(403, "INSUFFICIENT_PERMISSIONS"),
        ),
    ),
    WireCase(
        "H24",
        "403 with a page of a firewall",
        end=stop(AitronosPermissionError, "HTTP 403", status_code=403),
        never=("<html",),
        variants={
            "plain": vary(replies=[http(403, HTML)]),
            "retry-after": vary(replies=[http(403, HTML, [("Retry-After", "5")])]),
            "empty": vary(replies=[http(403)]),
            "too-long": vary(replies=[http(403, "x" * MANY)]),
        },
    ),
    WireCase(
        "H25",
        "503, then the key is refused",
        sent=2,
        variants={
            "401": vary(
                replies=[UNAVAILABLE, envelope(401, "INVALID_API_KEY")],
                end=stop(AitronosAuthenticationError, "earlier attempt", maybe_done=True, **NO_KEY),
            ),
            "403": vary(
                replies=[UNAVAILABLE, http(403)],
                end=stop(AitronosPermissionError, "earlier attempt", maybe_done=True, status_code=403),
            ),
            # A 429 says that nothing was done: there is nothing to warn of.
            "401-after-429": vary(
                replies=[limited(), envelope(401, "INVALID_API_KEY")],
                end=stop(AitronosAuthenticationError, **NO_KEY),
            ),
        },
    ),
    WireCase(
        "H26",
        "400 and 422 with details",
        variants={
            "400": vary(
                replies=[envelope(400, "INVALID_FIELD_VALUE", details={"field": "x", "n": [1, 2.5, None]})],
                end=stop(
                    AitronosRequestError,
                    "HTTP 400",
                    **facts(400, "INVALID_FIELD_VALUE"),
                    details={"field": "x", "n": [1, 2.5, None]},
                ),
            ),
            "422-long": vary(
                replies=[envelope(422, "VALIDATION_ERROR", details={"rows": ["x" * 9000] * 90})],
                end=stop(
                    AitronosRequestError,
                    **facts(422, "VALIDATION_ERROR"),
                    details={"rows": ["x" * 499 + "…"] * 20},
                ),
            ),
            "422-deep": vary(
                replies=[envelope(422, "VALIDATION_ERROR", details={"a": {"b": {"c": {"d": {"e": 1}}}}})],
                end=stop(
                    AitronosRequestError,
                    **facts(422, "VALIDATION_ERROR"),
                    details={"a": {"b": {"c": {"d": "…"}}}},
                ),
            ),
            "422-secret": vary(
                replies=[envelope(422, "VALIDATION_ERROR", details={KEY: [f"not {KEY}", "\x00\ud800"]})],
                end=stop(
                    AitronosRequestError,
                    **facts(422, "VALIDATION_ERROR"),
                    details={"***": ["not ***", "\ufffd\ufffd"]},
                ),
            ),
            "422-nan": vary(
                replies=[envelope(422, "VALIDATION_ERROR", details={"n": float("nan")})],
                end=stop(AitronosRequestError, **facts(422, "VALIDATION_ERROR"), details={"n": "nan"}),
            ),
            "422-huge": vary(
                replies=[envelope(422, "VALIDATION_ERROR", details={"n": 10**30, "m": 5})],
                end=stop(
                    AitronosRequestError,
                    **facts(422, "VALIDATION_ERROR"),
                    details={"n": f"1{'0' * 30}", "m": 5},
                ),
            ),
            "422-framework": vary(
                replies=[
                    http(422, {"detail": [{"loc": ["path"], "msg": "too short", "type": "value_error"}]})
                ],
                end=stop(AitronosRequestError, "HTTP 422", "too short", status_code=422),
            ),
        },
    ),
    WireCase(
        "H27",
        "other 4xx",
        variants=every(
            (
                402,
                405,
                406,
                410,
                411,
                412,
                413,
                414,
                415,
                416,
                418,
                421,
                423,
                424,
                426,
                428,
                431,
                444,
                451,
                460,
                499,
            ),
            lambda status: vary(
                replies=[http(status, headers=[("Retry-After", "1")])],
                end=stop(AitronosRequestError, f"HTTP {status}", status_code=status),
            ),
        ),
    ),
    WireCase(
        "H28",
        "404",
        variants={
            name: vary(replies=[reply], end=stop(AitronosNotFoundError, "HTTP 404", **expected))
            for name, reply, expected in [
                ("assistant", envelope(404, "ASSISTANT_NOT_FOUND"), facts(404, "ASSISTANT_NOT_FOUND")),
                ("other", envelope(404, "RESOURCE_NOT_FOUND"), facts(404, "RESOURCE_NOT_FOUND")),
                (
                    "old-envelope",
                    http(404, {"error": {"code": "assistant_not_found"}}),
                    {"status_code": 404, "code": "assistant_not_found"},
                ),
                ("framework", http(404, {"detail": "Not Found"}), {"status_code": 404}),
                ("html", http(404, HTML), {"status_code": 404}),
                ("empty", http(404), {"status_code": 404}),
            ]
        }
        | {
            f"lost-then-{name}": vary(replies=[Reset(), reply], sent=2, end=end)
            for name, reply, end in [
                (
                    "assistant",
                    envelope(404, "ASSISTANT_NOT_FOUND"),
                    stop(AitronosNotFoundError, maybe_done=True, **facts(404, "ASSISTANT_NOT_FOUND")),
                ),
                (
                    "old-envelope",
                    http(404, {"error": {"code": "assistant_not_found"}}),
                    stop(AitronosNotFoundError, maybe_done=True, status_code=404, code="assistant_not_found"),
                ),
            ]
        }
        | {
            f"lost-then-{name}": vary(
                replies=[UNAVAILABLE, reply],
                sent=2,
                end=later(AitronosOutcomeUnknownError, "404", maybe_done=True, status_code=404),
            )
            for name, reply in {
                "framework": http(404, {"detail": "Not Found"}),
                "html": http(404, HTML),
                "empty": http(404),
                "error-is-text": http(404, {"error": "assistant_not_found"}),
            }.items()
        }
        | {
            "503-then-workflow": vary(
                replies=[UNAVAILABLE, envelope(404, "X"), http(200, {"id": ASSISTANT, "workflow_id": None})],
                sent=[DETACH, DETACH, LOOK],
                failed=2,
                end=done("an earlier attempt", warns=True, workflow_id=None, message=None),
            ),
            "lost-then-no-code": vary(
                replies=[Reset(), http(404, {"error": {"message": "?"}}), http(404, {"error": {"a": 1}})],
                sent=[DETACH, DETACH, LOOK],
                end=stop(AitronosNotFoundError, maybe_done=True, status_code=404),
            ),
            "429-then-other": vary(
                replies=[limited(), envelope(404, "RESOURCE_NOT_FOUND")],
                sent=2,
                end=stop(AitronosNotFoundError, **facts(404, "RESOURCE_NOT_FOUND")),
            ),
            # Its body tells what it means, so a part of it is no answer. It still says that nothing was done.
            "cut": cut_404(Close(NO_WORKFLOW[:-9])),
            "cut-in-the-headers": cut_404(Close(NO_WORKFLOW[:60])),
            "cut-at-a-line-of-the-headers": cut_404(Close(b"HTTP/1.1 404 Not Found\r\nX-Requ\r\n\r\n{")),
            "reset": cut_404([NO_WORKFLOW[:-9], Reset()]),
            "cut-in-packing": cut_404(http(404, gzip.compress(NO_WORKFLOW)[:-20], [GZIP])),
            "cut-again-and-again": vary(
                replies=[Close(NO_WORKFLOW[:-9])] * 4, sent=4, end=later(AitronosNetworkError, "broke off")
            ),
            "lost-then-cut": vary(
                replies=[
                    Reset(),
                    Close(NO_WORKFLOW[:-9]),
                    NO_WORKFLOW,
                    http(200, {"id": ASSISTANT, "workflow_id": None}),
                ],
                sent=[DETACH, DETACH, DETACH, LOOK],
                failed=3,
                end=done("an earlier attempt", warns=True, workflow_id=None, message=None),
            ),
            # Names the link: the operator's if_not_attached says what that means, and its default is success.
            "link": vary(
                replies=[NO_WORKFLOW],
                failed=0,
                end=done("no workflow linked", workflow_id=None, message=None),
            ),
        },
    ),
    WireCase(
        "H29",
        "409",
        replies=[envelope(409, "CONFLICT", [("Retry-After", "1")])],
        end=later(AitronosConflictError, "HTTP 409", **facts(409, "CONFLICT")),
    ),
]

TWO_HUNDREDS = [
    WireCase(
        "H30",
        "200 with more fields than documented",
        replies=[http(200, detached(success=True, extra={"a": [1]}, secret=KEY, error=None))],
        never=("extra",),
    ),
    WireCase("H31", "200 with no workflow", replies=[NOTHING_LINKED], end=done(workflow_id=None)),
    WireCase(
        "H32",
        "200 with an error envelope",
        variants={
            "401": inside_200(401, stop(AitronosAuthenticationError, "401", **facts(401, "NO"))),
            "403": inside_200(403, stop(AitronosPermissionError, "403", **facts(403, "NO"))),
            "404": inside_200(404, stop(AitronosNotFoundError, "404", **facts(404, "NO"))),
            "409": inside_200(409, later(AitronosConflictError, "409", **facts(409, "NO"))),
            "422": inside_200(422, stop(AitronosRequestError, "422", **facts(422, "NO"))),
            "429-then-good": inside_200(429, done(WORKFLOW), sent=2)
            | {"replies": [http(200, {"success": False, "error": {"status": 429}}), GOOD]},
            "503-for-ever": vary(
                replies=[http(200, {"success": False, "error": {"status": 503}})] * 4,
                sent=4,
                end=later(AitronosServerError, "503", maybe_done=True, status_code=503),
            ),
            "no-success": vary(
                replies=[http(200, {"error": {"code": "NO", "status": 401}})],
                end=stop(AitronosAuthenticationError, status_code=401, code="NO"),
            ),
            "documented-fields-too": vary(
                replies=[http(200, detached(success=False))],
                end=later(AitronosResponseError, "success", maybe_done=True, status_code=200),
            ),
        }
        | {
            f"status-{name}": inside_200(
                status,
                later(AitronosResponseError, "success", maybe_done=True, **facts(200, "NO")),
            )
            for name, status in {
                "missing": None,
                "text": "401",
                "true": True,
                "fraction": 401.5,
                "200": 200,
                "302": 302,
                "zero": 0,
                "huge": 2**63 - 1,
                "list": [401],
            }.items()
        }
        | {"status-of-no-computer": inside_200(10**30, MALFORMED)},
    ),
    WireCase(
        "H33",
        "200 with a page",
        replies=[http(200, HTML)],
        end=NO_SENSE,
        never=("<html",),
        variants={
            "html": {},
            "as-json": vary(replies=[http(200, HTML, [("Content-Type", "application/json")])]),
            "text": vary(replies=[http(200, "OK")]),
            "key": vary(replies=[http(200, f"your key is {KEY}")]),
        },
    ),
    WireCase(
        "H34",
        "200 with an empty body",
        end=later(AitronosResponseError, "empty", maybe_done=True, status_code=200),
        variants={"empty": answer(""), "blanks": answer("  \r\n\t")},
    ),
    WireCase(
        "H35",
        "204",
        end=done("204", warns=True, workflow_id=None, message=None),
        variants={
            "plain": vary(replies=[http(204, None)]),
            "with-length": vary(replies=[http(204)]),
            "of-any-encoding": vary(replies=[http(204, headers=[("Content-Encoding", "br")])]),
        },
    ),
    WireCase(
        "H36",
        "another 2xx",
        variants=every(
            (201, 202, 203, 205, 206, 226, 299),
            lambda status: vary(
                replies=[http(status, detached())],
                end=later(
                    AitronosResponseError, f"unexpected status {status}", maybe_done=True, status_code=status
                ),
            ),
        )
        | every(
            (600, 999),
            lambda status: vary(
                replies=[http(status, detached())],
                end=later(
                    AitronosResponseError, f"unexpected status {status}", maybe_done=True, status_code=status
                ),
            ),
        ),
    ),
    WireCase(
        "H37",
        "200 without a message",
        end=done(WORKFLOW, message=None),
        variants={
            "missing": answer({"assistant_id": ASSISTANT, "workflow_id": WORKFLOW}),
            "null": answer(detached(message=None)),
            "number": answer(detached(message=5)),
            "list": answer(detached(message=["a"])),
        },
    ),
    WireCase(
        "H38",
        "200 without the assistant's id",
        variants={
            "missing": answer({"workflow_id": WORKFLOW, "message": MESSAGE}) | {"end": done(warns=True)},
            "null": answer(detached(assistant_id=None)) | {"end": done(warns=True)},
            "message-only": answer({"message": MESSAGE}) | {"end": done(warns=True, workflow_id=None)},
            "empty-object": answer({}) | {"end": NO_OBJECT},
            "foreign-object": answer({"status": "ok"}) | {"end": NO_OBJECT},
            "success-only": answer({"success": True}) | {"end": NO_OBJECT},
            "error-is-text": answer({"error": "broken"}) | {"end": NO_OBJECT},
        },
    ),
    WireCase(
        "H39",
        "200 for another assistant",
        end=stop(AitronosWrongResourceError, "assistant", maybe_done=True, status_code=200),
        variants={
            "other": answer(detached(assistant_id="asst_other"))
            | {"end": stop(AitronosWrongResourceError, "asst_other", maybe_done=True, status_code=200)},
            "other-case": answer(detached(assistant_id=ASSISTANT.upper())),
            "prefix": answer(detached(assistant_id=ASSISTANT[:-1])),
            "number": answer(detached(assistant_id=5)),
            "list": answer(detached(assistant_id=[ASSISTANT])),
            "false": answer(detached(assistant_id=False)),
            "empty": answer(detached(assistant_id="")),
            "key": answer(detached(assistant_id=KEY)),
            "long-and-odd": answer(detached(assistant_id="\x1b[1m::group::\n" * 9000)),
            "after-a-429": vary(
                replies=[limited(), http(200, detached(assistant_id="asst_other"))],
                sent=2,
            ),
        },
    ),
    WireCase(
        "H40",
        "200 with JSON that is no object",
        end=NO_OBJECT,
        variants={
            text: answer(text) for text in ("[]", "[1]", "null", '"text"', "5", "1.5", "true", "false", "0")
        },
    ),
    WireCase(
        "H41",
        "200 with a byte order mark",
        variants={
            "object": answer(b"\xef\xbb\xbf" + json.dumps(detached()).encode()),
            "nothing-else": answer(b"\xef\xbb\xbf") | {"end": NO_SENSE},
        },
    ),
    WireCase(
        "H42",
        "200 with invalid UTF-8",
        variants={
            "message": answer(json.dumps(detached(message="~")).encode().replace(b"~", b"\xff"))
            | {"end": done(message="\ufffd")},
            "assistant": answer(json.dumps(detached(assistant_id="~")).encode().replace(b"~", b"\xc3"))
            | {"end": stop(AitronosWrongResourceError, maybe_done=True, status_code=200)},
            # What encoding a header claims does not matter: JSON is UTF-8.
            "latin-1": vary(
                replies=[
                    http(
                        200,
                        json.dumps(detached(message="é"), ensure_ascii=False),
                        [("Content-Type", "application/json; charset=latin-1")],
                    )
                ],
                end=done(message="é"),
            ),
        },
    ),
    WireCase(
        "H43",
        "200 with JSON that cannot be read",
        end=MALFORMED,
        variants={
            "deep": answer("[" * 100_000),
            "deep-and-closed": answer("[" * 100_000 + "]" * 100_000),
            "deep-in-a-field": answer(
                json.dumps(detached())[:-1] + ',"x":' + "[" * 50_000 + "]" * 50_000 + "}"
            ),
            "deep-objects": answer('{"a":' * 50_000 + "1" + "}" * 50_000),
            "5000-digits": answer('{"assistant_id": ' + "9" * 5000 + "}"),
            "utf-16": answer(json.dumps(detached()).encode("utf-16")),
            "utf-32": answer(json.dumps(detached()).encode("utf-32")),
            "trailing": answer(json.dumps(detached()) + "x"),
            "two-objects": answer(json.dumps(detached()) * 2),
            "single-quotes": answer(repr(detached())),
            "unfinished": answer(json.dumps(detached())[:-1]),
            "nul": answer(json.dumps(detached()) + "\x00"),
            "newline-in-a-string": answer(json.dumps(detached(message="~")).replace("~", "\n")),
        },
    ),
    WireCase(
        "H44",
        "200 with what XCom refuses",
        variants={
            "nan": answer(detached(message=float("nan"))) | {"end": MALFORMED},
            "infinity": answer(detached(workflow_id=float("inf"))) | {"end": MALFORMED},
            "negative-infinity": answer(detached(extra=[float("-inf")])) | {"end": MALFORMED},
            "1e999": answer(json.dumps(detached(message=7)).replace("7", "1e999")) | {"end": MALFORMED},
            # Airflow's worker cannot hand on a number over 64 bits, and finds out when the task is done.
            "huge": answer(detached(extra=[2**63])) | {"end": MALFORMED},
            "huge-and-negative": answer(detached(message=-(2**63) - 1)) | {"end": MALFORMED},
            "64-bits": answer(detached(extra=[2**63 - 1, -(2**63)])),
            "nul-in-message": answer(detached(message="a\x00b")) | {"end": done(message="a\ufffdb")},
            "nul-in-workflow": answer(detached(workflow_id="a\x00")) | {"end": done(workflow_id="a\ufffd")},
            "surrogate": answer(detached(message="a\ud800b")) | {"end": done(message="a\ufffdb")},
            "surrogate-pair": answer(detached(message="\U0001f600")) | {"end": done(message="\U0001f600")},
            "nul-in-assistant": answer(detached(assistant_id=f"{ASSISTANT}\x00"))
            | {"end": stop(AitronosWrongResourceError, maybe_done=True, status_code=200)},
            # The name of a field of Airflow's own serialisation, as a value and as a key.
            "classname": answer(detached(__classname__="os.system", message="__classname__"))
            | {"end": done(message="__classname__")},
        },
    ),
    WireCase(
        "H45",
        "200 with a long text",
        variants={
            "message": answer(detached(message="m" * 500_000)) | {"end": done(message="m" * 499 + "…")},
            "workflow": answer(detached(workflow_id="w" * 500_000))
            | {"end": done(workflow_id="w" * 499 + "…")},
            "almost-too-long": answer(detached(message="m" * 1_000_000))
            | {"end": done(message="m" * 499 + "…")},
            "too-long": answer(detached(message="m" * MANY))
            | {"end": later(AitronosResponseError, "too large", maybe_done=True, status_code=200)},
        },
    ),
]

REDIRECTS = [
    WireCase(
        "H46",
        "a redirect",
        never=(LOCATION_PASSWORD,),
        variants={
            f"{status}-{name}": redirect(status, location, *says)
            for status in (301, 302, 303, 307, 308)
            for name, location, says in [
                ("other-host", "http://127.0.0.1:{other}/x", ("http://127.0.0.1:",)),
                ("same-host", "/login", ()),
                ("nowhere", None, ()),
            ]
        }
        | {
            "userinfo": redirect(
                302, f"http://me:{LOCATION_PASSWORD}@127.0.0.1:{{other}}/?t={LOCATION_PASSWORD}", "127.0.0.1"
            ),
            "folded": redirect(302, "http://127.0.0.1:{other}/\r\n X-Injected: ::group::"),
            "injected": redirect(302, "http://127.0.0.1:{other}/\r\nX-Injected: yes"),
            # What follows the slash is no part of the host, though someone may have meant it for one.
            "userinfo-slash": redirect(302, f"http://me:{LOCATION_PASSWORD}/x@127.0.0.1:{{other}}/"),
            "userinfo-question": redirect(302, f"http://me:{LOCATION_PASSWORD}?x@127.0.0.1:{{other}}/"),
            "userinfo-hash": redirect(302, f"http://me:{LOCATION_PASSWORD}#x@127.0.0.1:{{other}}/"),
            "userinfo-digits": redirect(302, "http://me:54321/x@127.0.0.1:{other}/") | {"never": ("54321",)},
            "ipv6": redirect(302, "http://[::1]:{other}/", "http://[::1]:"),
            "no-scheme": redirect(307, f"//me:{LOCATION_PASSWORD}@127.0.0.1:{{other}}/"),
            "key": redirect(302, f"http://{KEY}.example/{KEY}", "***"),
            "escape-codes": redirect(302, "http://\x1b[31mevil.example/"),
            "unreadable": redirect(302, "http://[::1/"),
            "empty": redirect(302, ""),
            "long": redirect(302, "http://127.0.0.1:{other}/" + "x" * 60_000),
            "too-long-body": vary(
                replies=[http(302, "x" * MANY, [("Location", "/login")])], end=redirected(302)
            ),
            "endless-body": vary(
                replies=[[http(302, None, [("Location", "/login")]), Endless()]],
                memory=True,
                end=redirected(302),
            ),
            "cut-body": vary(
                replies=[Close(http(302, HTML, [("Location", "/login")])[:-9])] * 4, end=redirected(302)
            ),
            "after-a-503": vary(
                replies=[UNAVAILABLE, http(302, headers=[("Location", "/login")])],
                sent=2,
                end=redirected(302),
            ),
        },
    ),
    WireCase(
        "H47",
        "300, 304, 305 and other 3xx",
        variants=every(
            (300, 304, 305, 306, 310, 399),
            lambda status: vary(replies=[http(status)], end=redirected(status)),
        ),
    ),
]

ODD = [
    WireCase(
        "H48",
        "an odd envelope",
        never=("::endgroup::", "[31m"),
        variants={
            "text": odd("broken"),
            "null": odd(None),
            "list": odd([{"code": "X"}]),
            "empty": odd({}),
            "code-number": odd({"code": 5}),
            "code-list": odd({"code": ["X"]}),
            "code-blank": odd({"code": "  "}),
            "code-long": odd({"code": "C" * 9000}, code="C" * 99 + "…"),
            "status-contradicts": odd({"status": 401, "code": "X"}, code="X"),
            "status-200": odd({"status": 200, "code": "X"}, code="X"),
            "success-true": vary(
                replies=[http(422, {"success": True, "error": {"code": "X"}})],
                end=stop(AitronosRequestError, status_code=422, code="X"),
            ),
            "trace-1-mb": odd({"trace_id": "t" * 1_000_000}, trace_id="t" * 199 + "…"),
            "trace-lines": odd({"trace_id": "a\nERROR b\r"}, trace_id="a\\nERROR b\\r"),
            "trace-number": odd({"trace_id": 7}),
            "message-key": odd({"message": f"unknown key {KEY}"}),
            "key-everywhere": odd(
                dict.fromkeys(("code", "message", "system_message", "type", "trace_id", "details"), KEY),
                code="***",
                trace_id="***",
                system_message="***",
                error_type="***",
                details="***",
            ),
            "key-in-colours": odd({"code": KEY[:9] + "\x1b[31m" + KEY[9:]}, code="***"),
            "colours": odd({"code": "\x1b[31mred\x1b[0m"}, code="red"),
            "colours-in-c1": odd({"code": "\x9b31mred\x9b0m"}, code="red"),
            "fold-marker": odd(
                {"message": "::endgroup::\n::group::x", "code": "::endgroup::"}, code=": :endgroup::"
            ),
            "message-list": odd({"message": ["a"], "details": {"a": "\x1b[31m::endgroup::"}}),
            "right-to-left": odd({"code": "a\u202eb\u200b"}, code="a\\u202eb\\u200b"),
            # A pattern that looks for the end of an unfinished sequence from each of its beginnings would
            # take minutes here, and no deadline stops a pattern.
            "unfinished-escapes": odd({"message": "\x9d" * 40_000}),
            "unfinished-colours": odd({"message": "\x1b[" * 100_000}),
            "many-brackets": odd({"message": "<" * 300_000}),
            "long-with-brackets": vary(
                replies=[http(422, "<" * 900_000)],
                end=stop(AitronosRequestError, "HTTP 422", status_code=422),
            ),
            "request-id-key": vary(
                replies=[http(422, headers=[("x-request-id", f"{KEY}\x1b[31m" + "r" * 900)])],
                end=stop(
                    AitronosRequestError,
                    status_code=422,
                    trace_id="***" + "r" * 196 + "…",
                    request_id="***" + "r" * 196 + "…",
                ),
            ),
            "request-id-for-trace": vary(
                replies=[http(422, headers=[("X-Request-ID", "req_header")])],
                end=stop(
                    AitronosRequestError, status_code=422, trace_id="req_header", request_id="req_header"
                ),
            ),
        },
    ),
]

HTTP_CASES = [*WAITS, *SERVER_AT_FAULT, *REFUSED, *TWO_HUNDREDS, *REDIRECTS, *ODD]
