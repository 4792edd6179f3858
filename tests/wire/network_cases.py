"""Network faults: N1 to N29 of the fault matrix."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NoReturn
from urllib.parse import quote

from airflow_aitronos.client.clock import SystemClock
from airflow_aitronos.exceptions import (
    AitronosAuthenticationError,
    AitronosConfigurationError,
    AitronosNetworkError,
    AitronosNotFoundError,
    AitronosOutcomeUnknownError,
    AitronosResponseError,
    AitronosServerError,
)
from tests.support.addresses import blackhole, closed_port
from tests.support.connection import Step
from tests.support.fault_server import Reply, Unread
from tests.support.faults import Call, Close, Drip, Endless, Hang, Reset
from tests.support.replies import BROKEN_GZIP, CHUNKED, GZIP, chunked, gzip_bomb, http
from tests.wire.wire_case import (
    ASSISTANT,
    CONN_ID,
    DETACH,
    GOOD,
    HTML,
    KEY,
    LOOK,
    NOTHING_LINKED,
    WORKFLOW,
    Certificate,
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

SOON: dict[str, Any] = {"read_timeout": 0.3, "max_attempts": 2}
# Long enough for a busy machine to get as far as the drip, and for no single byte to be late.
DRIPPED: dict[str, Any] = {"total_timeout": 1, "read_timeout": 5}
PROXY_PASSWORD = "proxy-CANARY-pw"
ODD_PASSWORD = "p@ss/CANARY+pw"
PROXY_CREDENTIALS = b64encode(f"proxyuser:{PROXY_PASSWORD}".encode()).decode()
BEHIND_PROXY = "api.aitronos.example"
TUNNEL = f"CONNECT {BEHIND_PROXY}:443"


# --- what a case prepares --------------------------------------------------------------------------


def no_name_resolution(reason: int) -> Callable[[Scene], None]:
    def prepare(scene: Scene) -> None:
        def fail(*args: object, **kwargs: object) -> NoReturn:
            raise socket.gaierror(reason, "Name or service not known")

        scene.host = "https://api.aitronos.invalid"
        scene.patch.setattr(socket, "getaddrinfo", fail)

    return prepare


def no_address(scene: Scene) -> None:
    scene.host = "https://api.aitronos.invalid"
    scene.patch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [])


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


def behind_proxy_with_odd_password(scene: Scene) -> None:
    proxy_on(scene, scene.server.port, password=quote(ODD_PASSWORD, safe=""))


def proxy_on(scene: Scene, port: int, *, scheme: str = "http", password: str = PROXY_PASSWORD) -> None:
    scene.host = f"https://{BEHIND_PROXY}"
    scene.patch.setenv("HTTPS_PROXY", f"{scheme}://proxyuser:{password}@127.0.0.1:{port}")


BODY = GOOD.partition(b"\r\n\r\n")[2].decode()
LENGTH = f"Content-Length: {len(BODY)}"
NO_COLON = f"no header ::group:: {KEY} {'y' * 3000}"


# --- replies ---------------------------------------------------------------------------------------


PLAIN = json.dumps(detached()).encode()
PACKED = gzip.compress(PLAIN)


def cut(by: int = 5) -> bytes:
    """Return a good reply without its last bytes."""
    return GOOD[:-by]


def bad_chunk(line: bytes) -> Reply:
    return Close(http(200, b"2\r\n{ \r\n" + line, [CHUNKED]))


def headed(status_line: str, *lines: str) -> bytes:
    """Return a good reply with these header lines, whatever they look like."""
    return "\r\n".join([status_line, *lines, "", BODY]).encode()


def handshake_in_pieces() -> Drip:
    """Return the beginning of a TLS record that is long in coming."""
    return Drip(b"\x16\x03\x03\x40\x00" + b"\x02" * 500, 1, 0.05)


@cache
def bomb() -> bytes:
    return gzip_bomb(200 * 1024 * 1024)


def late_answer(scene: Scene) -> Iterable[Reply]:
    """Answer the first request only once the second is there."""
    asked_again = threading.Event()
    return [
        [Call(lambda: asked_again.wait(20)), GOOD],
        [Call(asked_again.set), NOTHING_LINKED],
    ]


def slow(*first: Step, data: bytes) -> dict[str, Any]:
    return vary(replies=[[*first, Drip(data, 1, 0.05)]])


def settled(*answer_to_look: Any, **expected: Any) -> dict[str, Any]:
    """Vary N6 in the answer to the GET."""
    lost_then_404 = [Reset(), envelope(404, "WORKFLOW_NOT_FOUND")]
    return vary(replies=[*lost_then_404, *answer_to_look], **expected)


def assistant(**fields: Any) -> bytes:
    return http(200, {"id": ASSISTANT, "name": "Support"} | fields)


LOST_AND_404: dict[str, Any] = {"status_code": 404, "code": "WORKFLOW_NOT_FOUND", "trace_id": "req_abc123xyz"}
STILL_UNKNOWN = later(AitronosOutcomeUnknownError, "404", maybe_done=True, **LOST_AND_404)
BROKEN = later(AitronosNetworkError, maybe_done=True)
OUT_OF_TIME = later(AitronosNetworkError, "total_timeout", maybe_done=True)
TOO_LARGE = later(AitronosResponseError, "response too large", maybe_done=True, status_code=200)
ENDLESS = later(AitronosResponseError, "response too large", maybe_done=True)
HANGS_BEHIND_PROXY = vary(
    replies=[[http(200, None), Hang()]] * 2,
    extra={"connect_timeout": 0.3, "max_attempts": 2, "read_timeout": 0.3},
    sent=[TUNNEL] * 2,
    within=2.5,
    never=(PROXY_PASSWORD,),
    end=later(AitronosNetworkError, "no connection to", "connect_timeout"),
)
MALFORMED = later(AitronosResponseError, "malformed response", maybe_done=True, status_code=200)
NO_TLS = later(AitronosNetworkError, "the server does not speak TLS on this port")
REFUSED_CERTIFICATE = later(AitronosNetworkError, "certificate", "CA bundle")


NETWORK_CASES = [
    WireCase(
        "N1",
        "DNS failure",
        prepare=no_name_resolution(socket.EAI_NONAME),
        sent=0,
        attempts=4,
        connections=0,
        end=later(AitronosNetworkError, "could not resolve", "api.aitronos.invalid", CONN_ID),
        variants={
            "unknown-name": {},
            "name-server-down": vary(prepare=no_name_resolution(socket.EAI_AGAIN)),
            "no-address": vary(prepare=no_address),
        },
    ),
    WireCase(
        "N2",
        "connection refused",
        prepare=nobody_listens,
        sent=0,
        attempts=4,
        connections=0,
        end=later(AitronosNetworkError, "could not connect", "refused"),
    ),
    WireCase(
        "N3",
        "connect timeout",
        prepare=nobody_answers,
        sent=0,
        connections=0,
        clock=SystemClock,
        variants={
            # Two attempts and a short wait fit into total_timeout, on a busy machine too.
            "connect-timeout": vary(
                extra={"connect_timeout": 0.3, "total_timeout": 9, "max_attempts": 2, "max_backoff": 0.05},
                attempts=2,
                within=2.5,
                end=later(AitronosNetworkError, "connect_timeout"),
            ),
            "total-timeout-is-shorter": vary(
                extra={"connect_timeout": 30, "total_timeout": 0.5},
                attempts=1,
                end=later(AitronosNetworkError, "total_timeout"),
            ),
        },
    ),
    WireCase(
        "N4",
        "reset before the request is read",
        sent=0,
        attempts=4,
        connections=4,
        variants={
            "for-ever": vary(replies=[Unread(Reset())] * 4, end=BROKEN),
            "closed-for-ever": vary(replies=[Unread(Close())] * 4, end=BROKEN),
            # The client cannot know that it was before: a null id then has to be explained.
            "then-nothing-linked": vary(
                replies=[Unread(Reset()), NOTHING_LINKED],
                sent=1,
                attempts=2,
                connections=2,
                end=done("an earlier attempt", warns=True, workflow_id=None),
            ),
        },
    ),
    WireCase(
        "N5",
        "reset after the request, then nothing is linked any more",
        replies=[Reset(), NOTHING_LINKED],
        sent=2,
        end=done("an earlier attempt", "probably detached it", warns=True, workflow_id=None),
        variants={
            "at-once": {},
            "with-a-429-between": vary(
                replies=[Reset(), envelope(429, "RATE_LIMIT_EXCEEDED"), NOTHING_LINKED], sent=3
            ),
            "the-id-still-comes": vary(replies=[Reset(), GOOD], end=done(WORKFLOW)),
        },
    ),
    WireCase(
        "N6",
        "reset after the request, then a 404 that does not name the assistant",
        sent=[DETACH, DETACH, LOOK],
        attempts=2,
        failed=2,
        end=STILL_UNKNOWN,
        variants={
            "nothing-linked": settled(
                assistant(workflow_id=None),
                end=done("an earlier attempt", warns=True, workflow_id=None, message=None),
            ),
            "no-workflow-field": settled(
                assistant(), end=done("an earlier attempt", warns=True, workflow_id=None, message=None)
            ),
            "still-linked": settled(assistant(workflow_id=WORKFLOW)),
            "assistant-is-gone": settled(
                envelope(404, "ASSISTANT_NOT_FOUND"),
                end=stop(AitronosNotFoundError, maybe_done=True, **LOST_AND_404),
            ),
            "404-of-any-form": settled(
                http(404, {"detail": "Not Found"}),
                end=stop(AitronosNotFoundError, maybe_done=True, **LOST_AND_404),
            ),
            "look-is-unavailable": settled(envelope(503, "SERVICE_UNAVAILABLE")),
            "look-is-limited": settled(envelope(429, "RATE_LIMIT_EXCEEDED", [("Retry-After", "1")])),
            "look-is-forbidden": settled(envelope(403, "ACCESS_DENIED")),
            "look-is-reset": settled(Reset()),
            "look-gives-html": settled(http(200, HTML)),
            "look-gives-an-empty-object": settled(http(200, {})),
            "look-leads-elsewhere": settled(http(302, headers=[("Location", "/login")])),
            "look-shows-another-assistant": settled(assistant(id="asst_other", workflow_id=None)),
            # An object without id and workflow_id is no assistant that was found: a wrong "done" is worst.
            "look-shows-no-assistant": settled(http(200, {"status": "ok"})),
        },
    ),
    WireCase(
        "N7",
        "reset after the request, then the assistant does not exist",
        sent=2,
        variants={
            name: vary(
                replies=[Reset(), envelope(404, code)],
                end=stop(AitronosNotFoundError, code, maybe_done=True, **LOST_AND_404 | {"code": code}),
            )
            for name, code in {
                "upper-case": "ASSISTANT_NOT_FOUND",
                "lower-case": "assistant_not_found",
            }.items()
        },
    ),
    WireCase(
        "N8",
        "close without a response, or before its headers are whole",
        sent=4,
        connections=4,
        end=BROKEN,
        variants={
            name: vary(replies=[Close(data)] * 4)
            for name, data in {
                "at-once": b"",
                "in-the-status-line": b"HTTP/1.1 200",
                "after-the-status-line": b"HTTP/1.1 200 OK\r\n",
                "in-the-headers": GOOD[:40],
                "before-the-empty-line": GOOD.partition(b"\r\n\r\n")[0] + b"\r\n",
                # Whole, it would say that all is done.
                "in-the-headers-of-a-204": b"HTTP/1.1 204 No Content\r\nX-Requ",
                "in-the-headers-of-a-103": b"HTTP/1.1 103 Early Hints\r\nLink",
            }.items()
        }
        | {
            "in-the-headers-of-tls": vary(replies=[Close(GOOD[:40])] * 4, tls=Certificate()),
            # Nothing is missing here but the connection.
            "after-a-whole-204": vary(
                replies=[Close(http(204, None))],
                sent=1,
                connections=1,
                end=done("204", warns=True, workflow_id=None, message=None),
            ),
        },
    ),
    WireCase(
        "N9",
        "the server never sends headers",
        replies=[Hang()] * 2,
        extra=SOON,
        sent=2,
        connections=2,
        within=2.5,
        end=later(AitronosNetworkError, "read_timeout", maybe_done=True),
    ),
    WireCase(
        "N10",
        "headers come below the read timeout, for ever",
        clock=SystemClock,
        extra=DRIPPED,
        end=OUT_OF_TIME,
        variants={
            "status-line": slow(data=GOOD),
            "headers": slow(b"HTTP/1.1 200 OK\r\n", data=b"X-Header: value\r\n" * 50),
            "one-long-header": slow(b"HTTP/1.1 200 OK\r\nX-Header: ", data=b"v" * 1000),
            "100-continue": slow(data=b"HTTP/1.1 100 Continue\r\n\r\n" * 50),
            "endless-100-continue": vary(
                replies=[Endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)], end=ENDLESS, extra={}
            ),
            "tls": slow(data=GOOD) | {"tls": Certificate()},
            "proxy": slow(data=http(200, None))
            | {
                "prepare": behind_proxy,
                "sent": [TUNNEL],
                "never": (PROXY_PASSWORD,),
                # Nothing was sent to the API yet.
                "end": later(AitronosNetworkError, "total_timeout"),
            },
        },
    ),
    WireCase(
        "N11",
        "the body comes below the read timeout, for ever",
        clock=SystemClock,
        extra=DRIPPED,
        end=OUT_OF_TIME,
        variants={
            "length": slow(http(200, None, [("Content-Length", "9999")]), data=b" " * 9999),
            "no-length": slow(http(200, None), data=b" " * 9999),
            "chunks": slow(http(200, None, [CHUNKED]), data=b"1\r\n \r\n" * 999),
            "one-chunk": slow(http(200, None, [CHUNKED]), data=b"ffff\r\n" + b" " * 999),
            "chunk-size": slow(http(200, None, [CHUNKED]), data=b"0" * 999),
            "trailers": slow(http(200, chunked([b"{}"], b"0\r\n"), [CHUNKED]), data=b"X-A: b\r\n" * 99),
            "endless-trailers": vary(
                replies=[[http(200, chunked([b"{}"], b"0\r\n"), [CHUNKED]), Endless(b"X-A: b\r\n" * 1000)]],
                end=TOO_LARGE,
                extra={},
            ),
            # The last read may take no longer than what is left, however long the read timeout.
            "then-nothing": vary(
                replies=[[http(200, None), Drip(b" " * 25, 1, 0.05), Hang()]],
                extra={"total_timeout": 1.5, "read_timeout": 30},
            ),
            "gzip": slow(http(200, None, [GZIP]), data=gzip.compress(bytes(range(256)) * 9, 0)),
            "tls": slow(http(200, None), data=b" " * 9999) | {"tls": Certificate()},
            # The status is known by then, and says more than the drip.
            "error-status": slow(http(503, None), data=b" " * 9999)
            | {"end": later(AitronosServerError, "total_timeout", maybe_done=True, status_code=503)},
        },
    ),
    WireCase(
        "N12",
        "stall in mid-body",
        extra=SOON,
        sent=2,
        within=2.5,
        end=later(AitronosNetworkError, "read_timeout", maybe_done=True),
        variants={
            "length": vary(replies=[[cut(), Hang()]] * 2),
            "chunked": vary(replies=[[http(200, chunked([b"{"], b""), [CHUNKED]), Hang()]] * 2),
        },
    ),
    WireCase(
        "N13",
        "body shorter than Content-Length",
        variants={
            "for-ever": vary(replies=[Close(cut())] * 4, sent=4, end=BROKEN),
            "tls": vary(replies=[Close(cut())] * 4, sent=4, end=BROKEN, tls=Certificate()),
            "no-byte-of-it": vary(replies=[Close(GOOD.partition(b"{")[0])] * 4, sent=4, end=BROKEN),
            "within-the-headers": vary(
                replies=[Close(GOOD[:40])] * 4,
                sent=4,
                end=later(AitronosNetworkError, "(closed within the headers)", maybe_done=True),
            ),
            # What is there reads as a whole object: only the length tells that the end is missing.
            "reads-as-whole": vary(replies=[Close(http(200, "{}" + " " * 99)[:-99])] * 4, sent=4, end=BROKEN),
            "then-nothing-linked": vary(
                replies=[Close(cut()), NOTHING_LINKED],
                sent=2,
                end=done("an earlier attempt", warns=True, workflow_id=None),
            ),
        },
    ),
    WireCase(
        "N14",
        "chunked body cut",
        sent=4,
        end=BROKEN,
        variants={
            "after-a-chunk": vary(replies=[Close(http(200, chunked([b"{}"], b""), [CHUNKED]))] * 4),
            "in-a-chunk": vary(replies=[Close(http(200, b"ff\r\n{}", [CHUNKED]))] * 4),
            "in-a-size": vary(replies=[Close(http(200, b"2\r\n{}\r\nf", [CHUNKED]))] * 4),
            "before-any": vary(replies=[Close(http(200, b"", [CHUNKED]))] * 4),
        },
    ),
    WireCase(
        "N15",
        "garbage chunk size",
        sent=4,
        end=BROKEN,
        variants={
            name: vary(replies=[bad_chunk(line)] * 4)
            for name, line in {
                "letters": b"zz\r\n",
                "empty": b"\r\n",
                "minus-one": b"-1\r\n}",
                "minus-five": b"-5\r\n}",
                "huge": b"f" * 400 + b"\r\n}",
                "escape-codes": b"\x1b[31m::group::\r\n}",
                # No zeros: urllib3 before 2.8 takes a line of them, however long, for the last chunk.
                "long": b"z" * 70_000 + b"\r\n\r\n",
                "key": KEY.encode() + b"\r\n",
                "cut-key": KEY[:-3].encode() + b"\r\n",
            }.items()
        },
    ),
    WireCase(
        "N16",
        "reset in mid-body",
        sent=4,
        end=BROKEN,
        variants={
            "length": vary(replies=[[cut(), Reset()]] * 4),
            "chunked": vary(replies=[[http(200, chunked([b"{"], b""), [CHUNKED]), Reset()]] * 4),
        },
    ),
    WireCase(
        "N17",
        "broken compression",
        sent=4,
        end=later(AitronosNetworkError, "decompressed", maybe_done=True),
        variants={
            "gzip": vary(replies=[http(200, BROKEN_GZIP, [GZIP])] * 4),
            "deflate": vary(replies=[http(200, b"\xff" * 40, [("Content-Encoding", "deflate")])] * 4),
            "not-gzip-at-all": vary(replies=[http(200, detached(), [GZIP])] * 4),
            "chunked": vary(replies=[http(200, chunked([BROKEN_GZIP]), [CHUNKED, GZIP])] * 4),
            # The framing is whole, so only the packing can tell.
            "cut": vary(replies=[http(200, PACKED[:-9], [GZIP])] * 4),
            "cut-to-nearly-nothing": vary(replies=[http(200, PACKED[:1], [GZIP])] * 4),
            "cut-chunked": vary(replies=[http(200, chunked([PACKED[:30]]), [CHUNKED, GZIP])] * 4),
            "cut-then-whole": vary(
                replies=[http(200, PACKED[:-9], [GZIP]), http(200, PACKED, [GZIP])], sent=2, end=done()
            ),
            "whole-deflate": vary(
                replies=[http(200, zlib.compress(PLAIN), [("Content-Encoding", "deflate")])],
                sent=1,
                end=done(),
            ),
            "nothing-after-it-counts": vary(
                replies=[http(200, PACKED + b"\0" * 9, [("Content-Encoding", " X-GZip")])],
                sent=1,
                end=done(),
            ),
            # What was not asked for is not unpacked at all: it will come again.
            "too-many-times": vary(
                replies=[http(200, "x", [("Content-Encoding", ", ".join(["gzip"] * 20))])],
                sent=1,
                end=MALFORMED,
            ),
        },
    ),
    WireCase(
        "N18",
        "gzip bomb",
        memory=True,
        end=TOO_LARGE,
        variants={
            "length": vary(replies=lambda scene: [http(200, bomb(), [GZIP])]),
            "chunked": vary(replies=lambda scene: [http(200, chunked([bomb()]), [CHUNKED, GZIP])]),
            "no-length": vary(replies=lambda scene: [[http(200, None, [GZIP]), Close(bomb())]]),
            "bomb-in-bomb": vary(
                replies=lambda scene: [
                    http(200, gzip.compress(bomb()), [("Content-Encoding", "gzip, gzip")]),
                ],
                end=MALFORMED,
            ),
        },
    ),
    WireCase(
        "N19",
        "endless body",
        memory=True,
        end=TOO_LARGE,
        variants={
            "no-length": vary(replies=[[http(200, None), Endless()]]),
            "length": vary(replies=[[http(200, None, [("Content-Length", "9" * 15)]), Endless()]]),
            "chunked": vary(
                replies=[[http(200, None, [CHUNKED]), Endless(b"10000\r\n" + b"x" * 65536 + b"\r\n")]]
            ),
            "tls": vary(replies=[[http(200, None), Endless()]], tls=Certificate()),
            # The library would read a chunk of "-1" bytes to the end of the connection, in one piece.
            "chunk-of-minus-one": vary(replies=[[http(200, None, [CHUNKED]), b"-1\r\n", Endless()]]),
            "server-error": vary(
                replies=[[http(503, None), Endless()]],
                end=later(AitronosResponseError, "too large", maybe_done=True, status_code=503),
            ),
            "trailers-of-a-server-error": vary(
                replies=[[http(503, chunked([b"{}"], b"0\r\n"), [CHUNKED]), Endless(b"X-A: b\r\n" * 1000)]],
                end=later(AitronosResponseError, "too large", maybe_done=True, status_code=503),
            ),
        },
    ),
    WireCase(
        "N20",
        "garbage where the status line belongs",
        sent=4,
        end=BROKEN,
        never=("::group::", "x" * 200),
        variants={
            name: vary(replies=[Close(line)] * 4)
            for name, line in {
                "bytes": b"\x00\x01\x02\xff\xfe garbage\r\n\r\n",
                "http-0.9": b"hello, I am an old server\n",
                "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
                "status-1000": http(1000, detached()),
                "status-99": http(99, detached()),
                "status-in-letters": b"HTTP/1.1 abc OK\r\n\r\n",
                "no-status": b"HTTP/1.1\r\n\r\n",
                "empty-line": b"\r\n\r\n",
                "escape-codes": b"\x1b[31m::group::hidden\r\n\r\n",
                "long": b"x" * 5000 + b"\r\n\r\n",
                "endless": b"x" * 70_000,
                "key": f"NOPE {KEY}\r\n\r\n".encode(),
                "cut-key": f"NOPE {KEY[:-3]}".encode(),
                # The words with which the library reports a proxy's 407; no proxy is in play here.
                "looks-like-a-proxy": b"Tunnel connection failed: 407 Proxy Authentication\r\n\r\n",
            }.items()
        },
    ),
    WireCase(
        "N21",
        "too many or too long headers, or such as cannot be read",
        sent=4,
        end=BROKEN,
        never=("::group::", "y" * 600),
        variants={
            "101-headers": vary(replies=[http(200, detached(), [(f"X-{n}", "y") for n in range(120)])] * 4),
            "70-kb-header": vary(replies=[http(200, detached(), [("X-Long", "y" * 70_000)])] * 4),
            "endless-headers": vary(
                replies=[[b"HTTP/1.1 200 OK\r\n", Endless(b"X-Header: value\r\n" * 1000)]] * 4, memory=True
            ),
            "endless-header": vary(
                replies=[[b"HTTP/1.1 200 OK\r\nX-Long: ", Endless()]] * 4,
                memory=True,
            ),
            # Where the body ends is known by then.
            "no-colon-after-the-length": vary(
                replies=[headed("HTTP/1.1 200 OK", LENGTH, NO_COLON, "X: y")], sent=1, end=done(WORKFLOW)
            ),
            "no-colon-before-the-length": vary(
                replies=[headed("HTTP/1.1 200 OK", NO_COLON, LENGTH)] * 4,
                connections=4,
                end=later(AitronosNetworkError, "a line of the headers has no colon", maybe_done=True),
            ),
            "space-before-the-colon": vary(
                replies=[headed("HTTP/1.1 200 OK", LENGTH.replace(":", " :"))] * 4, connections=4
            ),
            "no-colon-in-a-401": vary(
                replies=[headed("HTTP/1.1 401 Unauthorized", NO_COLON, LENGTH)],
                sent=1,
                end=stop(AitronosAuthenticationError, status_code=401),
            ),
            "no-name-before-the-length": vary(
                replies=[headed("HTTP/1.1 200 OK", f":{NO_COLON}", LENGTH)], sent=1, end=done(WORKFLOW)
            ),
            # Its parser writes what it cannot read to the log, with a traceback.
            "cookie": vary(
                replies=[
                    headed(
                        "HTTP/1.1 200 OK",
                        LENGTH,
                        f"Set-Cookie: {KEY}=::group::; Expires=01 Jan {'9' * 5000} 00:00:00 GMT",
                    )
                ],
                sent=1,
                end=done(WORKFLOW),
            ),
            "multipart": vary(
                replies=[headed("HTTP/1.1 200 OK", "Content-Type: multipart/mixed; boundary=x", LENGTH)],
                sent=1,
                end=done(WORKFLOW),
            ),
        },
    ),
    WireCase(
        "N22",
        "conflicting Content-Length",
        end=later(AitronosResponseError, "malformed response", maybe_done=True),
        never=("API key",),
        variants={
            "one-header": vary(replies=[Close(http(200, "{}", [("Content-Length", "5, 6")]))]),
            "two-headers": vary(
                replies=[Close(http(200, "{}", [("Content-Length", "5"), ("Content-Length", "6")]))]
            ),
            # These do not conflict; the connection stays open, and nothing waits for its end.
            "the-same-twice": vary(
                replies=[headed("HTTP/1.1 200 OK", f"{LENGTH}, {len(BODY)}")], end=done(WORKFLOW)
            ),
            "the-same-in-two-headers": vary(
                replies=[headed("HTTP/1.1 200 OK", LENGTH, LENGTH)], end=done(WORKFLOW)
            ),
        },
    ),
    WireCase(
        "N23",
        "a certificate that is no good",
        sent=0,
        attempts=1,
        connections=1,
        end=REFUSED_CERTIFICATE,
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
        sent=0,
        end=later(AitronosNetworkError),
        variants={
            "reset": vary(replies=[Unread(Reset())] * 4, attempts=4, connections=4),
            "end": vary(replies=[Unread(Close())] * 4, attempts=4, connections=4),
            "hang": vary(
                replies=[Unread(Hang())] * 2,
                extra={"connect_timeout": 0.3, "max_attempts": 2, "read_timeout": 0.3},
                attempts=2,
                connections=2,
                within=2.5,
            ),
            "dripped": vary(
                replies=[Unread(handshake_in_pieces())],
                extra=DRIPPED,
                clock=SystemClock,
                attempts=1,
                end=later(AitronosNetworkError, "total_timeout"),
            ),
            # The proxy has used up most of the time; the handshake gets the rest.
            "hang-behind-a-late-proxy": vary(
                prepare=behind_proxy,
                replies=[[Hang(1.7), http(200, None), Hang()]],
                extra={"total_timeout": 2},
                clock=SystemClock,
                sent=[TUNNEL],
                never=(PROXY_PASSWORD,),
                end=later(AitronosNetworkError, "total_timeout"),
            ),
            # By then the proxy is out of it.
            "hang-behind-a-proxy": vary(prepare=behind_proxy, **HANGS_BEHIND_PROXY),
            "hang-behind-a-tls-proxy": vary(
                prepare=behind_tls_proxy, tls=Certificate(), **HANGS_BEHIND_PROXY
            ),
            "dripped-through-a-tls-proxy": vary(
                prepare=behind_tls_proxy,
                tls=Certificate(),
                replies=[[http(200, None), handshake_in_pieces()]],
                extra=DRIPPED,
                clock=SystemClock,
                sent=[TUNNEL],
                never=(PROXY_PASSWORD,),
                end=later(AitronosNetworkError, "total_timeout"),
            ),
        },
    ),
    WireCase(
        "N25",
        "https to a port that speaks no TLS",
        prepare=https_to_plain_server,
        sent=0,
        attempts=1,
        connections=1,
        end=NO_TLS,
        variants={
            "http": vary(replies=[Unread([http(400, "This is plain HTTP.", keep_alive=False), Hang(1)])]),
            "smtp": vary(replies=[Unread([b"220 mail.example ESMTP\r\n", Hang(1)])]),
        },
    ),
    WireCase(
        "N26",
        "a proxy that does not let us through",
        prepare=behind_proxy,
        never=(PROXY_PASSWORD, PROXY_CREDENTIALS),
        variants={
            "refused": vary(
                prepare=behind_closed_proxy,
                sent=0,
                attempts=4,
                end=later(AitronosNetworkError, "proxy", "HTTPS_PROXY"),
            ),
            "connect-502": vary(
                replies=[Close(http(502))] * 4,
                sent=[TUNNEL] * 4,
                end=later(AitronosNetworkError, "proxy", "502"),
            ),
            "connect-502-with-odd-words": vary(
                replies=[Close(http(502, reason=f"\x1b[1m ::group:: {KEY}"))] * 4,
                sent=[TUNNEL] * 4,
                end=later(AitronosNetworkError, "proxy", "502"),
            ),
            "connect-407": vary(
                replies=[Close(http(407))],
                sent=[TUNNEL],
                end=stop(AitronosConfigurationError, "407", "HTTPS_PROXY"),
            ),
            # A status that only speaks of 407 does not ask for credentials.
            "connect-403-that-names-407": vary(
                replies=[Close(http(403, reason="Tunnel connection failed: 407"))] * 4,
                sent=[TUNNEL] * 4,
                end=later(AitronosNetworkError, "proxy", "403"),
            ),
            "password-repeated": vary(
                replies=[Close(http(403, reason=f"{PROXY_PASSWORD} {PROXY_CREDENTIALS}"))] * 4,
                sent=[TUNNEL] * 4,
                end=later(AitronosNetworkError, "the proxy", "***"),
            ),
            "odd-password-repeated": vary(
                prepare=behind_proxy_with_odd_password,
                replies=[Close(http(403, reason=f"{ODD_PASSWORD} p%40ss%2fCANARY%2bpw"))] * 4,
                sent=[TUNNEL] * 4,
                never=("CANARY",),
                end=later(AitronosNetworkError, "the proxy", "***"),
            ),
            "speaks-no-tls": vary(
                prepare=behind_tls_proxy,
                replies=[Unread([http(400, "This is plain HTTP.", keep_alive=False), Hang(1)])],
                sent=0,
                attempts=1,
                end=later(AitronosNetworkError, "the proxy", "does not speak TLS", "HTTPS_PROXY"),
            ),
            "unknown-ca": vary(
                prepare=behind_tls_proxy,
                tls=Certificate(known=False),
                sent=0,
                attempts=1,
                end=later(AitronosNetworkError, "certificate of the proxy", "verify"),
            ),
            # A request that never left the proxy was surely not carried out.
            "endless": vary(
                replies=[[b"HTTP/1.1 200 OK\r\n", Endless(b"X: " + b"y" * 60_000 + b"\r\n")]],
                sent=[TUNNEL],
                end=later(AitronosNetworkError, "the proxy", "too large"),
            ),
        }
        | {
            f"connect-answered-by-{name}": vary(
                replies=[reply] * 4, sent=[TUNNEL] * 4, end=later(AitronosNetworkError, "the proxy")
            )
            for name, reply in {
                "garbage": Close(b"\x00garbage\r\n\r\n"),
                "an-end": Close(),
                "a-reset": Reset(),
                "half-a-status-line": Close(b"HTTP/1.1 2"),
            }.items()
        }
        | {
            # A proxy for plain http answers in the server's place.
            "407-without-tunnel": vary(
                prepare=lambda scene: None,
                replies=[http(407, HTML)],
                end=stop(AitronosConfigurationError, "407", "proxy", status_code=407),
            ),
        },
    ),
    WireCase(
        "N27",
        "the server closes the idle connection between two attempts",
        sent=2,
        connections=2,
        end=done(WORKFLOW),
        variants={
            "unannounced": vary(replies=[Close(http(503)), GOOD]),
            "announced": vary(replies=[Close(http(503, keep_alive=False)), GOOD]),
            "asked-to-wait": vary(
                replies=[Close(http(429, headers=[("Retry-After", "5")])), GOOD], waits=[asked(5)]
            ),
        },
    ),
    WireCase(
        "N28",
        "an interim status that the library takes for the last",
        variants={
            str(status): vary(
                replies=[http(status, None) * 3 + GOOD],
                end=later(
                    AitronosResponseError, f"unexpected status {status}", maybe_done=True, status_code=status
                ),
            )
            for status in (101, 102, 103, 199)
        },
    ),
    WireCase(
        "N29",
        "the server answers after the client gave up",
        replies=late_answer,
        extra={"read_timeout": 2},
        sent=2,
        connections=2,
        end=done("an earlier attempt", warns=True, workflow_id=None),
        logs=("no answer within read_timeout",),
    ),
]
"""Every case in the order of the fault matrix."""
