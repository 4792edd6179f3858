"""HTTP faults: H1 to H48 of the fault matrix."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
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
from tests.support.replies import Pairs, http
from tests.wire.wire_case import (
    ASSISTANT,
    ASSISTANT_READ,
    CONN_ID,
    DETACH,
    EMPTY_BODY,
    GOOD,
    HTML,
    KEY,
    MANY,
    MESSAGE,
    NO_WORKFLOW,
    NOT_JSON,
    NOTHING_LINKED,
    RATE_LIMITED,
    TOO_LARGE,
    TRACE,
    UNAVAILABLE,
    UNEXPECTED_STATUS,
    WORKFLOW,
    End,
    Scene,
    Wait,
    WireCase,
    asked,
    detached,
    detached_before,
    done,
    envelope,
    facts,
    nothing_linked,
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


def answers(variants: Mapping[str, tuple[Any, End]]) -> dict[str, dict[str, Any]]:
    """Return a variant for each body of a 200 and what it results in."""
    return {name: vary(replies=[http(200, body)], end=end) for name, (body, end) in variants.items()}


def each_status(statuses: Iterable[int], make: Callable[[int], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {str(status): make(status) for status in statuses}


def four_times(status: int, error: type[AitronosError], *, maybe_done: bool = True) -> dict[str, Any]:
    """Vary a case into four bare replies of one status, and the error that leaves the task its retries."""
    end = retryable(error, f"HTTP {status}", status_code=status, maybe_done=maybe_done)
    return vary(replies=[http(status)] * 4, end=end)


def in_a_200(end: End, times: int = 1, **error: Any) -> dict[str, Any]:
    body = {"success": False, "error": {"code": "NO", "message": "No.", "trace_id": TRACE} | error}
    return vary(replies=[http(200, body)] * times, end=end)


def redirect(status: int, location: str | None) -> dict[str, Any]:
    """Vary H46; `{other}` in the location is a server that nobody may connect to."""

    def replies(scene: Scene) -> Iterable[Reply]:
        target = [] if location is None else [("Location", location.format(other=scene.elsewhere.port))]
        return [http(status, HTML, target)]

    return vary(replies=replies, end=redirected(status))


def redirected(status: int) -> End:
    # Some servers act, and then redirect: the outcome is unknown.
    return permanent(AitronosRedirectError, maybe_done=True, status_code=status)


def unexpected(error: Any, **more: Any) -> dict[str, Any]:
    """Vary H48 in what stands under `error`."""
    end = permanent(AitronosRequestError, "HTTP 422", **{"status_code": 422, **more})
    return vary(replies=[http(422, {"success": False, "error": error})], end=end)


def waiting(reply: bytes, wait: Wait = None) -> dict[str, Any]:
    return vary(replies=[reply, GOOD], waits=[wait])


def no_sense(*says: str) -> End:
    return retryable(AitronosResponseError, *says, maybe_done=True, status_code=200)


LIMITED = facts(429, "RATE_LIMIT_EXCEEDED")
NO_KEY = facts(401, "INVALID_API_KEY")
WRONG_ASSISTANT = permanent(AitronosWrongResourceError, maybe_done=True, status_code=200)

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
                "negative": "-5",
                "letters": "abc",
                "empty": "",
                "nan": "nan",
                "full-width": "\uff15",
                "list": "5, 10",
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
            "401": vary(
                replies=[envelope(401, "INVALID_API_KEY", [("Retry-After", "30")])],
                end=permanent(AitronosAuthenticationError, **NO_KEY),
            ),
            "x-ratelimit": waiting(limited("x", [("X-RateLimit-Retry-After", "3")]), asked(3)),
            "header-wins": waiting(limited("2", [("X-RateLimit-Retry-After", "9")], retry_after=9), asked(2)),
            "error-number": waiting(limited(retry_after=2.5), asked(2.5)),
            "negative": waiting(limited(retry_after=-3)),
        },
    ),
]

SERVER_AT_FAULT = [
    WireCase(
        "H13",
        "408",
        variants={
            "then-nothing-linked": vary(replies=[http(408), NOTHING_LINKED], end=detached_before()),
            "for-ever": four_times(408, AitronosNetworkError),
        },
    ),
    WireCase(
        "H14",
        "425",
        variants={
            # "Too Early" refuses to process: nothing was done.
            "then-nothing-linked": vary(replies=[http(425), NOTHING_LINKED], end=nothing_linked())
        },
    ),
    WireCase(
        "H15",
        "500 with the envelope",
        replies=[envelope(500, "INTERNAL_ERROR", [("x-request-id", "req_header")])] * 4,
        end=retryable(
            AitronosServerError,
            "HTTP 500",
            "INTERNAL_ERROR",
            "It did not work.",
            TRACE,
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
        end=retryable(AitronosServerError, "HTTP 502", maybe_done=True, status_code=502),
        never=("<html", "<h1>", "y" * 201, "::endgroup::", "[31m"),
        variants={
            "short": vary(replies=[http(502, HTML)] * 4),
            "escape-codes": vary(
                replies=[http(502, f"<h1>\x1b[31mred\x1b[0m</h1>\n::endgroup::\x00{KEY}")] * 4
            ),
        },
    ),
    WireCase("H17", "503 with an empty body", variants={"then-good": vary(replies=[http(503), GOOD])}),
    WireCase(
        "H18", "504, then nothing is linked", replies=[http(504), NOTHING_LINKED], end=detached_before()
    ),
    WireCase(
        "H19",
        "520 to 524, of a CDN",
        variants=each_status(range(520, 525), lambda status: four_times(status, AitronosServerError)),
    ),
    WireCase(
        "H20",
        "501, 505 and other 5xx that do not pass by themselves",
        variants=each_status(
            (501, 505, 525),
            lambda status: vary(
                replies=[http(status)],
                end=retryable(AitronosServerError, f"HTTP {status}", maybe_done=True, status_code=status),
            ),
        ),
    ),
]

REFUSED = [
    WireCase(
        "H21",
        "401 with the envelope",
        replies=[envelope(401, "INVALID_API_KEY")],
        end=permanent(AitronosAuthenticationError, CONN_ID, "INVALID_API_KEY", "Password", **NO_KEY),
    ),
    WireCase(
        "H22",
        "401 in any other form",
        end=permanent(AitronosAuthenticationError, "HTTP 401", status_code=401),
        variants={
            name: vary(replies=[reply])
            for name, reply in {
                "empty": http(401),
                # The status says all before the body is there.
                "endless": [http(401, None), Endless()],
                "cut": Close(http(401, HTML)[:-9]),
                "broken-gzip": http(401, HTML, [("Content-Encoding", "gzip")]),
                "key": http(401, f"no user for key {KEY}"),
                "key-in-json-escapes": http(401, f'{{"detail": "no {ESCAPED_KEY}"}}'),
            }.items()
        },
    ),
    WireCase(
        "H23",
        "403 with the envelope",
        replies=[envelope(403, "INSUFFICIENT_PERMISSIONS")],
        end=permanent(
            AitronosPermissionError, "INSUFFICIENT_PERMISSIONS", **facts(403, "INSUFFICIENT_PERMISSIONS")
        ),
    ),
    WireCase(
        "H24",
        "403 with a page of a firewall",
        end=permanent(AitronosPermissionError, "HTTP 403", "firewall", "gateway", status_code=403),
        never=("<html",),
        variants={"retry-after": vary(replies=[http(403, HTML, [("Retry-After", "5")])])},
    ),
    WireCase(
        "H25",
        "503, then the key is refused",
        variants={
            "401": vary(
                replies=[UNAVAILABLE, envelope(401, "INVALID_API_KEY")],
                end=permanent(AitronosAuthenticationError, maybe_done=True, **NO_KEY),
            ),
            # A 429 says that nothing was done: there is nothing to warn of.
            "401-after-429": vary(
                replies=[limited(), envelope(401, "INVALID_API_KEY")],
                end=permanent(AitronosAuthenticationError, **NO_KEY),
            ),
        },
    ),
    WireCase(
        "H26",
        "400 and 422 with details",
        variants={
            "400": vary(
                replies=[envelope(400, "BAD", details={"field": "x", "n": [1, 2.5, None]})],
                end=permanent(
                    AitronosRequestError, **facts(400, "BAD"), details={"field": "x", "n": [1, 2.5, None]}
                ),
            ),
            "422-framework": vary(
                replies=[http(422, {"detail": [{"loc": ["path"], "msg": "too short", "type": "value"}]})],
                end=permanent(AitronosRequestError, "HTTP 422", "too short", status_code=422),
            ),
        }
        | {
            f"422-{name}": vary(
                replies=[envelope(422, "BAD", details=given)],
                end=permanent(AitronosRequestError, **facts(422, "BAD"), details=kept),
            )
            for name, given, kept in [
                ("long", {"rows": ["x" * 9000] * 90}, {"rows": ["x" * 499 + "…"] * 20}),
                ("secret", {KEY: [f"not {KEY}", "\x00\ud800"]}, {"***": ["not ***", "\ufffd\ufffd"]}),
                ("huge", {"n": 10**30, "m": 5}, {"n": f"1{'0' * 30}", "m": 5}),
            ]
        },
    ),
    WireCase(
        "H27",
        "other 4xx",
        variants=each_status(
            (402, 405, 406, 410, 413, 414, 415, 451, 499),
            lambda status: vary(
                replies=[http(status, headers=[("Retry-After", "1")])],
                end=permanent(AitronosRequestError, f"HTTP {status}", status_code=status),
            ),
        ),
    ),
    WireCase(
        "H28",
        "404",
        variants={
            "assistant": vary(
                replies=[envelope(404, "ASSISTANT_NOT_FOUND")],
                end=permanent(AitronosNotFoundError, **facts(404, "ASSISTANT_NOT_FOUND")),
            ),
            "old-envelope": vary(
                replies=[http(404, {"error": {"code": "assistant_not_found"}})],
                end=permanent(AitronosNotFoundError, status_code=404, code="assistant_not_found"),
            ),
            "framework": vary(
                replies=[http(404, {"detail": "Not Found"})],
                end=permanent(AitronosNotFoundError, "HTTP 404", status_code=404),
            ),
            # Names the link: the operator's if_not_attached says what that means, and its default is success.
            "link": vary(replies=[NO_WORKFLOW], end=nothing_linked(message=None)),
            "lost-then-framework": vary(
                replies=[UNAVAILABLE, http(404, {"detail": "Not Found"})],
                end=retryable(AitronosOutcomeUnknownError, "404", maybe_done=True, status_code=404),
            ),
            "lost-then-no-code": vary(
                replies=[Reset(), http(404, {"error": {"message": "?"}}), http(404, {"error": {"a": 1}})],
                sent=[DETACH, DETACH, ASSISTANT_READ],
                end=permanent(AitronosNotFoundError, maybe_done=True, status_code=404),
            ),
            # Its body tells what it means, so a part of it is no response, and leaves the outcome open.
            "cut": vary(replies=[Close(NO_WORKFLOW[:-9]), NO_WORKFLOW], end=detached_before(message=None)),
        },
    ),
    WireCase(
        "H29",
        "409",
        replies=[envelope(409, "CONFLICT", [("Retry-After", "1")])],
        end=retryable(AitronosConflictError, "HTTP 409", **facts(409, "CONFLICT")),
    ),
]

TWO_HUNDREDS = [
    WireCase(
        "H30",
        "200 with more fields than documented",
        replies=[http(200, detached(success=True, extra={"a": [1]}, secret=KEY, error=None))],
        never=("extra",),
    ),
    WireCase("H31", "200 with no workflow", replies=[NOTHING_LINKED], end=nothing_linked()),
    WireCase(
        "H32",
        "200 with an error envelope",
        variants={
            "401": in_a_200(permanent(AitronosAuthenticationError, **facts(401, "NO")), status=401),
            "422": in_a_200(permanent(AitronosRequestError, **facts(422, "NO")), status=422),
            "429-then-good": vary(
                replies=[http(200, {"success": False, "error": {"status": 429}}), GOOD], sent=2
            ),
            "503-for-ever": in_a_200(
                retryable(AitronosServerError, maybe_done=True, **facts(503, "NO")), 4, status=503
            ),
            "documented-fields-too": vary(replies=[http(200, detached(success=False))], end=no_sense()),
        }
        | {
            f"status-{status!r}": in_a_200(
                retryable(AitronosResponseError, maybe_done=True, **facts(200, "NO")), status=status
            )
            for status in (None, "401", True, 200)
        },
    ),
    WireCase(
        "H33",
        "200 with a page",
        end=no_sense(NOT_JSON),
        never=("<html",),
        variants={
            "html": vary(replies=[http(200, HTML)]),
        },
    ),
    WireCase(
        "H34",
        "200 with an empty body",
        variants=answers({"empty": ("", no_sense(EMPTY_BODY)), "blanks": ("  \r\n", no_sense(EMPTY_BODY))}),
    ),
    WireCase("H35", "204", replies=[http(204)], end=done(warns=True, workflow_id=None, message=None)),
    WireCase(
        "H36",
        "another 2xx",
        variants=each_status(
            (201, 202, 206, 299),
            lambda status: vary(
                replies=[http(status, detached())],
                end=retryable(
                    AitronosResponseError, UNEXPECTED_STATUS, f"{status}", maybe_done=True, status_code=status
                ),
            ),
        ),
    ),
    WireCase(
        "H37",
        "200 without a message",
        variants=answers(
            {
                "missing": ({"assistant_id": ASSISTANT, "workflow_id": WORKFLOW}, done(message=None)),
            }
        ),
    ),
    WireCase(
        "H38",
        "200 without the assistant's id",
        variants=answers(
            {
                "missing": ({"workflow_id": WORKFLOW, "message": MESSAGE}, done(warns=True)),
                "empty-object": ({}, no_sense()),
                "error-is-text": ({"error": "broken"}, no_sense()),
            }
        ),
    ),
    WireCase(
        "H39",
        "200 for another assistant",
        variants=answers(
            {
                name: (detached(assistant_id=other), WRONG_ASSISTANT)
                for name, other in {
                    "other": "asst_other",
                    "number": 5,
                    "key": KEY,
                }.items()
            }
        ),
    ),
    WireCase(
        "H40",
        "200 with JSON that is no object",
        variants=answers({text: (text, no_sense()) for text in ("[]", "null", '"text"', "5", "true")}),
    ),
    WireCase(
        "H41",
        "200 with a byte order mark",
        replies=[http(200, b"\xef\xbb\xbf" + json.dumps(detached()).encode())],
    ),
    WireCase(
        "H42",
        "200 with invalid UTF-8",
        variants=answers(
            {
                "message": (
                    json.dumps(detached(message="~")).encode().replace(b"~", b"\xff"),
                    done(message="\ufffd"),
                ),
                "assistant": (
                    json.dumps(detached(assistant_id="~")).encode().replace(b"~", b"\xc3"),
                    WRONG_ASSISTANT,
                ),
            }
        ),
    ),
    WireCase(
        "H43",
        "200 with JSON that cannot be read",
        variants=answers(
            {
                name: (body, no_sense())
                for name, body in {
                    "deep": "[" * 100_000,
                    "5000-digits": '{"assistant_id": ' + "9" * 5000 + "}",
                    "utf-16": json.dumps(detached()).encode("utf-16"),
                    "trailing": json.dumps(detached()) + "x",
                }.items()
            }
        ),
    ),
    WireCase(
        "H44",
        "200 with what XCom refuses",
        variants=answers(
            {
                "nan": (detached(message=float("nan")), no_sense()),
                "1e999": (json.dumps(detached(workflow_id=7)).replace("7", "1e999"), no_sense()),
                # Airflow's worker cannot hand on a number over 64 bits, and finds out when the task is done.
                "huge": (detached(extra=[2**63]), no_sense()),
                "surrogate": (detached(message="a\ud800b"), done(message="a\ufffdb")),
                "nul-in-message": (detached(message="a\x00b"), done(message="a\ufffdb")),
                # The name of a field of Airflow's own serialisation, as a value and as a key.
                "classname": (
                    detached(__classname__="os.system", message="__classname__"),
                    done(message="__classname__"),
                ),
            }
        ),
    ),
    WireCase(
        "H45",
        "200 with a long text",
        variants=answers(
            {
                "message": (detached(message="m" * 3 * 1024 * 1024), done(message="m" * 499 + "…")),
                "too-long": (detached(message="m" * MANY), no_sense(TOO_LARGE)),
            }
        ),
    ),
]

REDIRECTS = [
    WireCase(
        "H46",
        "a redirect",
        never=(LOCATION_PASSWORD, "[31m"),
        variants={
            f"{status}-other-host": redirect(status, "http://127.0.0.1:{other}/x")
            for status in (301, 302, 303, 307, 308)
        }
        | {
            "userinfo": redirect(
                302, f"http://me:{LOCATION_PASSWORD}@127.0.0.1:{{other}}/?t={LOCATION_PASSWORD}"
            ),
            "key": redirect(302, f"http://{KEY}.example/{KEY}"),
            "endless-body": vary(
                replies=[[http(302, None, [("Location", "/login")]), Endless()]],
                memory=True,
                end=redirected(302),
            ),
            "after-a-503": vary(
                replies=[UNAVAILABLE, http(302, headers=[("Location", "/login")])], end=redirected(302)
            ),
        },
    ),
    WireCase(
        "H47",
        "300, 304, 305",
        variants=each_status(
            (300, 304, 305), lambda status: vary(replies=[http(status)], end=redirected(status))
        ),
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
