"""Network faults of the fault matrix; those that need no surroundings stand in `recorded_faults.py`."""

from __future__ import annotations

import socket
import threading
from base64 import b64encode
from collections.abc import Iterable
from functools import cache
from typing import Any, NoReturn
from urllib.parse import quote

from airflow_aitronos.exceptions import (
    AitronosConfigurationError,
    AitronosNetworkError,
    AitronosResponseError,
)
from tests.support.addresses import blackhole, closed_port
from tests.support.connection import Step
from tests.support.fault_server import Reply, Unread
from tests.support.faults import Call, Close, Drip, Endless, Hang, Reset
from tests.support.replies import CHUNKED, GZIP, chunked, gzip_bomb, http
from tests.wire.wire_case import (
    CONN_ID,
    GOOD,
    KEY,
    NO_CONNECTION,
    NO_NAME,
    NO_TLS,
    NOTHING_LINKED,
    TOO_LARGE,
    WORKFLOW,
    Certificate,
    Scene,
    WireCase,
    detached,
    detached_before,
    done,
    permanent,
    real_clock,
    retryable,
    vary,
)

SOON: dict[str, Any] = {"read_timeout": 0.3, "max_attempts": 2}
# Long enough for a busy machine to get as far as the slow part, and for no single byte to be late.
SLOW: dict[str, Any] = {"total_timeout": 1, "read_timeout": 5}
PROXY_PASSWORD = "proxy-CANARY-pw"
ESCAPED_PASSWORD = "p@ss/CANARY+pw"
PROXY_CREDENTIALS = b64encode(f"proxyuser:{PROXY_PASSWORD}".encode()).decode()
BEHIND_PROXY = "api.aitronos.example"
TUNNEL = f"CONNECT {BEHIND_PROXY}:443"


# --- what a case prepares --------------------------------------------------------------------------


def no_name_resolution(scene: Scene) -> None:
    def fail(*args: object, **kwargs: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    scene.host = "https://api.aitronos.invalid"
    scene.patch.setattr(socket, "getaddrinfo", fail)


def nobody_listens(scene: Scene) -> None:
    port = closed_port()
    scene.host = f"http://127.0.0.1:{port}"
    scene.ports.add(port)


def nobody_answers(scene: Scene) -> None:
    port = scene.stack.enter_context(blackhole())
    scene.host = f"http://127.0.0.1:{port}"
    scene.ports.add(port)


def https_to_plain_server(scene: Scene) -> None:
    scene.host = f"https://127.0.0.1:{scene.server.port}"


def behind_proxy(scene: Scene) -> None:
    proxy_on(scene, scene.server.port)


def behind_closed_proxy(scene: Scene) -> None:
    port = closed_port()
    scene.ports.add(port)
    proxy_on(scene, port)


def behind_tls_proxy(scene: Scene) -> None:
    proxy_on(scene, scene.server.port, scheme="https")


def behind_proxy_with_escaped_password(scene: Scene) -> None:
    proxy_on(scene, scene.server.port, password=quote(ESCAPED_PASSWORD, safe=""))


def proxy_on(scene: Scene, port: int, *, scheme: str = "http", password: str = PROXY_PASSWORD) -> None:
    scene.host = f"https://{BEHIND_PROXY}"
    scene.patch.setenv("HTTPS_PROXY", f"{scheme}://proxyuser:{password}@127.0.0.1:{port}")


# --- replies ---------------------------------------------------------------------------------------

BODY = GOOD.partition(b"\r\n\r\n")[2].decode()
LENGTH = f"Content-Length: {len(BODY)}"
NO_COLON = f"no header ::group:: {KEY} {'y' * 3000}"
CUT = GOOD[:-5]
A_CHUNK = http(200, chunked([b"{"], b""), [CHUNKED])


def headed(status_line: str, *lines: str) -> bytes:
    """Return a good reply with these header lines, whatever they look like."""
    return "\r\n".join([status_line, *lines, "", BODY]).encode()


@cache
def bomb() -> bytes:
    return gzip_bomb(200 * 1024 * 1024)


def late_answer(scene: Scene) -> Iterable[Reply]:
    """Answer the first request only once the second is there."""
    asked_again = threading.Event()
    return [[Call(lambda: asked_again.wait(20)), GOOD], [Call(asked_again.set), NOTHING_LINKED]]


def slow(*first: Step, data: bytes) -> dict[str, Any]:
    return vary(replies=[[*first, Drip(data, 1, 0.05)]])


def four(**replies: Reply) -> dict[str, dict[str, Any]]:
    return {name.replace("_", "-"): vary(replies=[reply] * 4) for name, reply in replies.items()}


BROKEN = retryable(AitronosNetworkError, maybe_done=True)
READ_TIMEOUT = retryable(AitronosNetworkError, "read_timeout", maybe_done=True)
BODY_TOO_LARGE = retryable(AitronosResponseError, TOO_LARGE, maybe_done=True, status_code=200)


NETWORK_CASES = [
    WireCase(
        "N1",
        "DNS failure",
        prepare=no_name_resolution,
        attempts=4,
        connections=0,
        end=retryable(AitronosNetworkError, NO_NAME, "api.aitronos.invalid", CONN_ID),
    ),
    WireCase(
        "N2",
        "connection refused",
        prepare=nobody_listens,
        attempts=4,
        connections=0,
        end=retryable(AitronosNetworkError, NO_CONNECTION, "refused"),
    ),
    WireCase(
        "N3",
        "connect timeout",
        prepare=nobody_answers,
        connections=0,
        clock=real_clock,
        # Two attempts and a short wait fit into total_timeout, on a busy machine too.
        extra={"connect_timeout": 0.3, "total_timeout": 9, "max_attempts": 2, "max_backoff": 0.05},
        attempts=2,
        within=2.5,
        end=retryable(AitronosNetworkError, "connect_timeout"),
    ),
    WireCase(
        "N4",
        "reset before the request is read",
        # The client cannot know that it was before: a null id then has to be explained.
        replies=[Unread(Reset()), NOTHING_LINKED],
        attempts=2,
        connections=2,
        end=detached_before(),
    ),
    WireCase(
        "N9",
        "the server never sends headers",
        replies=[Hang()] * 2,
        extra=SOON,
        connections=2,
        within=2.5,
        end=READ_TIMEOUT,
    ),
    # Given up: total_timeout does not bound headers that come byte by byte. They are read while they come.
    WireCase(
        "N10",
        "headers come below the read timeout",
        replies=[Drip(GOOD, 6, 0.05)],
        extra={"read_timeout": 1},
        clock=real_clock,
    ),
    WireCase(
        "N11",
        "the body comes below the read timeout, for ever",
        clock=real_clock,
        extra=SLOW,
        end=retryable(AitronosNetworkError, "total_timeout", maybe_done=True),
        variants={
            "length": slow(http(200, None, [("Content-Length", "9999")]), data=b" " * 9999),
            "chunks": slow(http(200, None, [CHUNKED]), data=b"1\r\n \r\n" * 999),
            "tls": slow(http(200, None), data=b" " * 9999) | {"tls": Certificate()},
        },
    ),
    WireCase(
        "N12",
        "stall in mid-body",
        extra=SOON,
        within=2.5,
        end=READ_TIMEOUT,
        variants={
            "length": vary(replies=[[CUT, Hang()]] * 2),
            "chunked": vary(replies=[[A_CHUNK, Hang()]] * 2),
        },
    ),
    WireCase(
        "N15",
        "garbage chunk size",
        end=BROKEN,
        variants=four(
            **{
                name: Close(http(200, b"2\r\n{ \r\n" + line + b"\r\n}", [CHUNKED]))
                for name, line in {"letters": b"zz", "key": KEY.encode()}.items()
            }
        ),
    ),
    WireCase(
        "N18",
        "gzip bomb",
        memory=True,
        end=BODY_TOO_LARGE,
        variants={
            "length": vary(replies=lambda scene: [http(200, bomb(), [GZIP])]),
            "chunked": vary(replies=lambda scene: [http(200, chunked([bomb()]), [CHUNKED, GZIP])]),
        },
    ),
    WireCase(
        "N19",
        "endless body",
        memory=True,
        end=BODY_TOO_LARGE,
        variants={
            "no-length": vary(replies=[[http(200, None), Endless()]]),
            "chunked": vary(
                replies=[[http(200, None, [CHUNKED]), Endless(b"10000\r\n" + b"x" * 65536 + b"\r\n")]]
            ),
        },
    ),
    WireCase(
        "N21",
        "too many or too long headers, or such as cannot be read",
        end=done(WORKFLOW),
        never=("::group::", "y" * 600),
        variants={
            "101-headers": vary(
                replies=[http(200, detached(), [(f"X-{n}", "y") for n in range(120)])] * 4, end=BROKEN
            ),
            "70-kb-header": vary(replies=[http(200, detached(), [("X-Long", "y" * 70_000)])] * 4, end=BROKEN),
            # Where the body ends is known by then. Whatever a library says of the line, it holds the key.
            "no-colon": vary(replies=[headed("HTTP/1.1 200 OK", LENGTH, NO_COLON, "X: y")]),
        },
    ),
    WireCase(
        "N23",
        "a certificate that is no good",
        attempts=1,
        connections=1,
        end=retryable(AitronosNetworkError, "certificate", "CA bundle"),
        never=("verify=False", "verify=false", "verify to false"),
        variants={
            "unknown-ca": vary(tls=Certificate(known=False)),
            "expired": vary(tls=Certificate(expired=True)),
            "other-host": vary(tls=Certificate("other.example")),
        },
    ),
    WireCase(
        "N24",
        "the TLS handshake breaks off",
        prepare=https_to_plain_server,
        # What requests raises does not tell a handshake from a request that was on its way.
        end=BROKEN,
        variants={
            "reset": vary(replies=[Unread(Reset())] * 4, connections=4),
            "end": vary(replies=[Unread(Close())] * 4, connections=4),
            "hang": vary(
                replies=[Unread(Hang())] * 2,
                extra={"connect_timeout": 0.3, "max_attempts": 2, "read_timeout": 0.3},
                attempts=2,
                connections=2,
                within=2.5,
            ),
        },
    ),
    WireCase(
        "N25",
        "https to a port that speaks no TLS",
        prepare=https_to_plain_server,
        replies=[Unread([http(400, "This is plain HTTP.", keep_alive=False), Hang(1)])],
        attempts=1,
        connections=1,
        end=retryable(AitronosNetworkError, NO_TLS),
    ),
    WireCase(
        "N26",
        "a proxy that does not let us through",
        prepare=behind_proxy,
        never=(PROXY_PASSWORD, PROXY_CREDENTIALS, "CANARY+pw", "CANARY%2bpw"),
        sent=[TUNNEL] * 4,
        end=retryable(AitronosNetworkError, "proxy"),
        variants={
            "refused": vary(prepare=behind_closed_proxy, sent=0, attempts=4),
            **four(
                connect_502=Close(http(502)),
                # A status that only speaks of 407 does not ask for credentials.
                connect_403_that_names_407=Close(http(403, reason="Tunnel connection failed: 407")),
                password_repeated=Close(http(403, reason=f"{PROXY_PASSWORD} {PROXY_CREDENTIALS}")),
            ),
            # What requests raises does not tell whether the proxy had passed a request on.
            **{
                f"connect-answered-by-{name}": vary(
                    replies=[reply] * 4, end=retryable(AitronosNetworkError, "broke", maybe_done=True)
                )
                for name, reply in {"garbage": Close(b"\x00garbage\r\n\r\n"), "an-end": Close()}.items()
            },
            "escaped-password-repeated": vary(
                prepare=behind_proxy_with_escaped_password,
                replies=[Close(http(403, reason=f"{ESCAPED_PASSWORD} p%40ss%2fCANARY%2bpw"))] * 4,
            ),
            "connect-407": vary(
                replies=[Close(http(407))],
                sent=[TUNNEL],
                end=permanent(AitronosConfigurationError, "407", "HTTPS_PROXY"),
            ),
            "speaks-no-tls": vary(
                prepare=behind_tls_proxy,
                replies=[Unread([http(400, "This is plain HTTP.", keep_alive=False), Hang(1)])],
                sent=0,
                attempts=1,
                end=retryable(AitronosNetworkError, "proxy", NO_TLS),
            ),
        },
    ),
    WireCase(
        "N27",
        "the server closes the idle connection between two attempts",
        replies=[Close(http(503)), GOOD],
        connections=2,
    ),
    WireCase(
        "N29",
        "the server answers after the client gave up",
        replies=late_answer,
        sent=2,
        extra={"read_timeout": 2},
        connections=2,
        end=detached_before(),
    ),
]
