"""The faults of a network once more, for a call that must not be repeated blindly."""

from __future__ import annotations

from typing import Any

from airflow_aitronos.exceptions import (
    AitronosNetworkError,
    AitronosUnsafeToRepeatError,
)
from airflow_aitronos.hooks.aitronos import AitronosHook
from tests.support.fault_server import Reply, Unread
from tests.support.faults import Close, Hang, Reset
from tests.support.replies import http
from tests.wire.network_cases import (
    behind_closed_proxy,
    https_to_plain_server,
    no_name_resolution,
    nobody_answers,
    nobody_listens,
)
from tests.wire.wire_case import (
    DEFINITION,
    MANY,
    NO_CONNECTION,
    NO_NAME,
    POST,
    SAYS_UNSAFE,
    Certificate,
    End,
    WireCase,
    asked,
    envelope,
    permanent,
    retryable,
    vary,
)

CREATED = {"id": "flow_1", "name": "nightly"}
GOOD_POST = http(201, CREATED)
LIMITED = envelope(429, "RATE_LIMIT_EXCEEDED")
DONE = End(None, (POST,), value=CREATED)


def post() -> Any:
    with AitronosHook() as hook:
        return hook.request("POST", "/v1/workflows", json=DEFINITION)


def post_case(name: str, fault: str, **fields: Any) -> WireCase:
    """Return a case; the matrix has no ids for these."""
    defaults: dict[str, Any] = {"call": post, "sent": [POST], "end": DONE}
    return WireCase(name, fault, **defaults | fields)


def lost(*replies: Reply, status: int | None = None, **fields: Any) -> Any:
    """Vary a case in what makes the outcome unknown; a good reply waits for whoever asks again."""
    end = permanent(AitronosUnsafeToRepeatError, SAYS_UNSAFE, POST, maybe_done=True, status_code=status)
    return vary(replies=[*replies, GOOD_POST], end=end, **fields)


def never_arrived(*says: str, attempts: int = 4, **fields: Any) -> Any:
    return vary(sent=[], attempts=attempts, end=retryable(AitronosNetworkError, *says), **fields)


POST_CASES = [
    post_case("POST good", "no fault", replies=[GOOD_POST]),
    post_case(
        "POST surely not carried out",
        "what never arrived, or was refused for now, is sent again",
        variants={
            "refused": never_arrived(NO_CONNECTION, prepare=nobody_listens),
            "dns": never_arrived(NO_NAME, prepare=no_name_resolution),
            "proxy-refused": never_arrived("proxy", prepare=behind_closed_proxy),
            "connect-timeout": never_arrived(
                "connect_timeout",
                attempts=2,
                prepare=nobody_answers,
                extra={"connect_timeout": 0.1, "max_attempts": 2},
            ),
            # Not sent, but not to be sent again in this call either.
            "unknown-ca": never_arrived("certificate", attempts=1, tls=Certificate(known=False)),
            "429-too-long": vary(
                replies=[http(429, "x" * MANY, [("Retry-After", "2")]), GOOD_POST],
                sent=[POST] * 2,
                waits=[asked(2)],
            ),
        },
    ),
    post_case(
        "POST outcome unknown",
        "one request, and the failure is permanent",
        variants={
            "reset": lost(Reset()),
            # What requests raises does not tell a handshake from a request that was on its way.
            "handshake": lost(Unread(Reset()), prepare=https_to_plain_server, sent=[], attempts=1),
            "cut": lost(Close(GOOD_POST[:-5])),
            "read-timeout": lost(Hang(), extra={"read_timeout": 0.3}),
            "garbage": lost(Close(b"garbage\r\n\r\n")),
            "too-long": lost(http(201, "x" * MANY), status=201),
            "after-a-429": lost(LIMITED, Reset(), sent=[POST] * 2),
            "501": lost(http(501), status=501),
        },
    ),
]
