"""The classes of faults once more, for a call that must not be repeated blindly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_aitronos.exceptions import (
    AitronosAuthenticationError,
    AitronosConflictError,
    AitronosError,
    AitronosNetworkError,
    AitronosRateLimitError,
    AitronosRedirectError,
    AitronosRequestError,
    AitronosServerError,
    AitronosUnsafeToRepeatError,
)
from airflow_aitronos.hooks.aitronos import AitronosHook
from tests.support.fault_server import Reply, Unread
from tests.support.faults import Close, Endless, Hang, Reset
from tests.support.replies import CHUNKED, chunked, http
from tests.wire.http_cases import MANY
from tests.wire.network_cases import (
    TUNNEL,
    behind_closed_proxy,
    behind_proxy,
    https_to_plain_server,
    no_name_resolution,
    nobody_answers,
    nobody_listens,
)
from tests.wire.wire_case import (
    DEFINITION,
    HTML,
    POST,
    Certificate,
    End,
    WireCase,
    asked,
    envelope,
    later,
    stop,
    vary,
)

CREATED = {"id": "flow_1", "name": "nightly"}
GOOD_POST = http(201, CREATED)
LIMITED = envelope(429, "RATE_LIMIT_EXCEEDED")


def post() -> Any:
    with AitronosHook() as hook:
        return hook.request("POST", "/v1/workflows", json=DEFINITION)


def upsert() -> Any:
    with AitronosHook() as hook:
        return hook.request("POST", "/v1/workflows", json=DEFINITION, idempotent=True)


def created() -> End:
    return End(None, (POST,), value=CREATED)


def post_case(name: str, fault: str, **fields: Any) -> WireCase:
    """Return a case; the matrix has no ids for these."""
    defaults: dict[str, Any] = {"call": post, "sent": [POST], "end": created()}
    return WireCase(name, fault, **defaults | fields)


def unsafe(status: int | None = None, **facts: Any) -> End:
    """End without knowing whether the call was carried out, and name what to look at first."""
    return stop(
        AitronosUnsafeToRepeatError,
        "it is unknown whether it was carried out",
        f"Read what {POST} changes",
        maybe_done=True,
        status_code=status,
        **facts,
    )


def lost(*replies: Reply, status: int | None = None, **fields: Any) -> Any:
    """Vary a case in what makes the outcome unknown; a good reply waits for whoever asks again."""
    return vary(replies=[*replies, GOOD_POST], end=unsafe(status), **fields)


def surely(*says: str, error: type[AitronosError] = AitronosNetworkError, **facts: Any) -> End:
    return later(error, *says, **facts)


def refused(status: int, code: str) -> Sequence[bytes]:
    return [envelope(status, code), GOOD_POST]


FACTS: dict[str, Any] = {"trace_id": "req_abc123xyz"}

POST_CASES = [
    post_case(
        "POST good",
        "no fault",
        variants={"201": vary(replies=[GOOD_POST]), "200": vary(replies=[http(200, CREATED)])},
    ),
    post_case(
        "POST surely not carried out",
        "what never arrived, or was refused for now, is sent again",
        variants={
            "refused": vary(prepare=nobody_listens, sent=[], attempts=4, end=surely("could not connect")),
            "dns": vary(prepare=no_name_resolution(-2), sent=[], attempts=4, end=surely("could not resolve")),
            "proxy-refused": vary(prepare=behind_closed_proxy, sent=[], attempts=4, end=surely("proxy")),
            "connect-timeout": vary(
                prepare=nobody_answers,
                extra={"connect_timeout": 0.1, "max_attempts": 2},
                sent=[],
                attempts=2,
                end=surely("connect_timeout"),
            ),
            "429": vary(replies=[LIMITED, LIMITED, GOOD_POST], sent=[POST] * 3),
            "425": vary(replies=[http(425), GOOD_POST], sent=[POST] * 2),
            "429-too-long": vary(
                replies=[http(429, "x" * MANY, [("Retry-After", "2")]), GOOD_POST],
                sent=[POST] * 2,
                waits=[asked(2)],
            ),
            "425-too-long": vary(replies=[http(425, "x" * MANY), GOOD_POST], sent=[POST] * 2),
            # It did not let the request through, whatever it says without end.
            "proxy-endless": vary(
                prepare=behind_proxy,
                replies=[[b"HTTP/1.1 200 OK\r\n", Endless(b"X: " + b"y" * 60_000 + b"\r\n")]],
                sent=[TUNNEL],
                attempts=1,
                end=surely("the proxy", "too large"),
            ),
            "429-for-ever": vary(
                replies=[LIMITED] * 4,
                sent=[POST] * 4,
                end=later(AitronosRateLimitError, status_code=429, code="RATE_LIMIT_EXCEEDED", **FACTS),
            ),
            "handshake": vary(
                replies=[Unread(Reset())] * 4,
                prepare=https_to_plain_server,
                sent=[],
                attempts=4,
                end=surely("could not connect"),
            ),
            # Not sent, but not to be sent again in this call either.
            "unknown-ca": vary(tls=Certificate(known=False), sent=[], attempts=1, end=surely("certificate")),
        },
    ),
    post_case(
        "POST outcome unknown",
        "one request, and the task stops",
        variants={
            "reset": lost(Reset()),
            "reset-before-it-is-read": lost(Unread(Reset()), sent=[], attempts=1),
            "closed": lost(Close()),
            "cut": lost(Close(GOOD_POST[:-5])),
            "cut-in-the-headers": lost(Close(GOOD_POST[:40])),
            "no-colon-in-the-headers": lost(b"HTTP/1.1 201 Created\r\nno colon\r\n\r\n"),
            "cut-chunks": lost(Close(http(201, chunked([b"{"], b""), [CHUNKED]))),
            "read-timeout": lost(Hang(), extra={"read_timeout": 0.3}),
            "stall": lost([GOOD_POST[:-5], Hang()], extra={"read_timeout": 0.3}),
            "garbage": lost(Close(b"garbage\r\n\r\n")),
            "103": lost(http(103, None), status=103),
            "202": lost(http(202, CREATED), status=202),
            "html": lost(http(200, HTML), status=200),
            "empty": lost(http(201), status=201),
            "too-long": lost([http(201, None), Endless()], status=201),
            "204": lost(http(204, None), status=204),
            "success-false": lost(http(200, {"success": False, "error": {}}), status=200),
            "after-a-429": lost(LIMITED, Reset(), sent=[POST] * 2),
        }
        | {
            str(status): lost(http(status), status=status)
            for status in (408, 500, 501, 502, 503, 504, 520, 524, 599)
        },
    ),
    post_case(
        "POST definite",
        "an answer that settles the call ends it as any other",
        variants={
            "401": vary(
                replies=refused(401, "NO"),
                end=stop(AitronosAuthenticationError, status_code=401, code="NO", **FACTS),
            ),
            "422": vary(
                replies=refused(422, "NO"),
                end=stop(AitronosRequestError, status_code=422, code="NO", **FACTS),
            ),
            "409": vary(
                replies=refused(409, "NO"),
                end=later(AitronosConflictError, status_code=409, code="NO", **FACTS),
            ),
            "302": vary(
                replies=[http(302, headers=[("Location", "/login")]), GOOD_POST],
                end=stop(AitronosRedirectError, maybe_done=True, status_code=302),
            ),
        },
    ),
    post_case(
        "POST upsert",
        "who says that it may be repeated gets it repeated",
        call=upsert,
        sent=[POST] * 2,
        variants={
            "reset": vary(replies=[Reset(), GOOD_POST]),
            "503": vary(replies=[http(503), GOOD_POST]),
            "503-for-ever": vary(
                replies=[http(503)] * 4,
                sent=[POST] * 4,
                end=later(AitronosServerError, maybe_done=True, status_code=503),
            ),
        },
    ),
]
