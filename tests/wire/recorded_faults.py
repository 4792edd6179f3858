"""Faults of the matrix that a detach meets; `call_outcomes.txt` records what it makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from tests.support.fake_clock import FakeClock
from tests.support.fault_server import Reply
from tests.support.faults import Close, Reset
from tests.support.replies import BROKEN_GZIP, CHUNKED, GZIP, chunked, http
from tests.wire.wire_case import (
    ASSISTANT,
    GONE_404,
    GOOD,
    HTML,
    KEY,
    MANY,
    MESSAGE,
    NO_WORKFLOW,
    NOTHING_LINKED,
    UNAVAILABLE,
    WORKFLOW,
    detached,
    envelope,
    shown_assistant,
)

Answers = Mapping[str, list[Reply]]


@dataclass(frozen=True)
class RecordedFault:
    """One case of the fault matrix.

    :param id: of the fault matrix.
    :param fault: what goes wrong.
    :param answers: the replies of each of its variants, by name.
    """

    id: str
    fault: str
    answers: Answers


def only(*replies: Reply) -> Answers:
    """Return the one variant of a fault."""
    return {"alone": list(replies)}


def bodies(**bodies: Any) -> Answers:
    """Return a variant for each body of a 200."""
    return {name: [http(200, body)] for name, body in bodies.items()}


def in_a_200(status: Any, times: int = 1) -> list[Reply]:
    error = {"code": "NO", "message": "No.", "status": status}
    return [http(200, {"success": False, "error": error})] * times


def redirect(location: str, status: int = 302) -> list[Reply]:
    return [http(status, HTML, [("Location", location)])]


def unexpected(**error: Any) -> list[Reply]:
    return [http(422, {"success": False, "error": error})]


INVALID_KEY = envelope(401, "INVALID_API_KEY")

IN_AN_HOUR = formatdate(FakeClock().time() + 3600, usegmt=True)
ESCAPED_KEY = KEY.replace("-", "\\u002D")
LOST = Reset()
A_CHUNK = http(200, chunked([b"{"], b""), [CHUNKED])
NO_MESSAGE = {"assistant_id": ASSISTANT, "workflow_id": WORKFLOW}
NO_ASSISTANT = envelope(404, "ASSISTANT_NOT_FOUND")
OF_A_FRAMEWORK = http(404, {"detail": "Not Found"})

RECORDED_FAULTS = [
    RecordedFault(
        "N5",
        "reset after the request, then nothing is linked any more",
        {"at once": [LOST, NOTHING_LINKED], "the id still comes": [LOST, GOOD]},
    ),
    RecordedFault(
        "N6",
        "reset, then a 404 that does not name the assistant",
        {
            "none linked": [LOST, GONE_404, shown_assistant(workflow_id=None)],
            "one linked": [LOST, GONE_404, shown_assistant(workflow_id=f"{KEY} {'x' * 200}")],
            "an empty id": [LOST, GONE_404, shown_assistant(workflow_id="")],
            "no field": [LOST, GONE_404, shown_assistant()],
            "no such assistant": [LOST, GONE_404, NO_ASSISTANT],
            "the GET fails once": [LOST, GONE_404, UNAVAILABLE, GONE_404, shown_assistant(workflow_id=None)],
        },
    ),
    RecordedFault("N7", "reset, then no such assistant", only(LOST, NO_ASSISTANT)),
    RecordedFault(
        "N8",
        "close without a response",
        # Nothing is missing after the 204 but the connection.
        {"for ever": [Close()] * 4, "after a whole 204": [Close(http(204, None))]},
    ),
    RecordedFault(
        "N13",
        "body shorter than Content-Length",
        {
            "for ever": [Close(GOOD[:-5])] * 4,
            # What is there reads as a whole object: only the length tells that the end is missing.
            "reads as whole": [Close(http(200, "{}" + " " * 99)[:-99])] * 4,
            "then none linked": [Close(GOOD[:-5]), NOTHING_LINKED],
        },
    ),
    RecordedFault(
        "N14",
        "chunked body cut",
        {
            "after a chunk": [Close(A_CHUNK)] * 4,
            "in a chunk": [Close(http(200, b"ff\r\n{}", [CHUNKED]))] * 4,
        },
    ),
    RecordedFault(
        "N16",
        "reset in mid-body",
        {"length": [[GOOD[:-5], Reset()]] * 4, "chunked": [[A_CHUNK, Reset()]] * 4},
    ),
    RecordedFault(
        "N17",
        "broken compression",
        {
            "gzip": [http(200, BROKEN_GZIP, [GZIP])],
            "deflate": [http(200, b"\xff" * 40, [("Content-Encoding", "deflate")])],
        },
    ),
    RecordedFault(
        "N20",
        "garbage where the status line belongs",
        {
            name: [Close(garbage)] * 4
            for name, garbage in {
                "HTTP/0.9": b"hello, I am an old server\n",
                "status 1000": http(1000, detached()),
                "escape codes": b"\x1b[31m::group::hidden\r\n\r\n",
                "key": f"NOPE {KEY}\r\n\r\n".encode(),
                # The words with which the library reports a proxy's 407; no proxy is involved here.
                "looks like a proxy": b"Tunnel connection failed: 407 Proxy Authentication\r\n\r\n",
            }.items()
        },
    ),
    RecordedFault(
        "N22",
        "conflicting Content-Length",
        only(Close(http(200, "{}", [("Content-Length", "5"), ("Content-Length", "6")]))),
    ),
    RecordedFault(
        "N28",
        "an interim status that the library takes for the last",
        {str(status): [http(status, None) * 3 + GOOD] for status in (101, 103)},
    ),
    RecordedFault(
        "H7",
        "429 with more than max_retry_after",
        {
            name: [envelope(429, "RATE_LIMIT_EXCEEDED", [("Retry-After", value)])]
            for name, value in {"hour": "3600", "date": IN_AN_HOUR}.items()
        },
    ),
    RecordedFault("H9", "429 for ever", only(*[envelope(429, "RATE_LIMIT_EXCEEDED")] * 4)),
    RecordedFault("H13", "408", {"none linked": [http(408), NOTHING_LINKED], "for ever": [http(408)] * 4}),
    # "Too Early" refuses to process: nothing was done.
    RecordedFault("H14", "425", only(http(425), NOTHING_LINKED)),
    RecordedFault("H15", "500", only(*[envelope(500, "INTERNAL", [("x-request-id", "rq-1")])] * 4)),
    RecordedFault(
        "H16",
        "502 with a page of a load balancer",
        {
            "short": [http(502, HTML)] * 4,
            "escape codes": [http(502, f"<h1>\x1b[31mred\x1b[0m</h1>\n::endgroup::\x00{KEY}")] * 4,
        },
    ),
    RecordedFault("H17", "503 with an empty body", only(http(503), GOOD)),
    RecordedFault("H18", "504, then none is linked", only(http(504), NOTHING_LINKED)),
    RecordedFault("H19", "520 to 524", {str(status): [http(status)] * 4 for status in range(520, 525)}),
    RecordedFault(
        "H20", "other 5xx that do not pass", {str(status): [http(status)] for status in (501, 505, 525)}
    ),
    RecordedFault("H21", "401 with the envelope", only(INVALID_KEY)),
    RecordedFault(
        "H22",
        "401 in any other form",
        {
            "empty": [http(401)],
            "key": [http(401, f"no user for key {KEY}")],
            "key in JSON escapes": [http(401, f'{{"detail": "no {ESCAPED_KEY}"}}')],
        },
    ),
    RecordedFault("H23", "403 with the envelope", only(envelope(403, "INSUFFICIENT_PERMISSIONS"))),
    RecordedFault("H24", "403 with a page of a firewall", only(http(403, HTML, [("Retry-After", "5")]))),
    RecordedFault(
        "H25",
        "the key is refused later",
        # A 429 says that nothing was done: there is nothing to warn of.
        {"after a 503": [UNAVAILABLE, INVALID_KEY], "after a 429": [http(429), INVALID_KEY]},
    ),
    RecordedFault(
        "H26",
        "400 and 422 with details",
        {
            "400": [envelope(400, "BAD", details={"field": "x", "n": [1, 2.5, None, 10**30]})],
            "422": [envelope(422, "BAD", details={KEY: [f"not {KEY}", "\x00\ud800"]})],
            "of a framework": [http(422, {"detail": [{"loc": ["path"], "msg": "too short", "type": "x"}]})],
        },
    ),
    RecordedFault(
        "H27",
        "other 4xx",
        {
            str(status): [http(status, headers=[("Retry-After", "1")])]
            for status in (402, 405, 406, 410, 413, 414, 415, 451, 499)
        },
    ),
    RecordedFault(
        "H28",
        "404",
        {
            "of the assistant": [NO_ASSISTANT],
            "old envelope": [http(404, {"error": {"code": "assistant_not_found"}})],
            "of a framework": [OF_A_FRAMEWORK],
            "of the link": [NO_WORKFLOW],
            "503, then of a framework": [UNAVAILABLE, OF_A_FRAMEWORK],
            "lost, then no code": [LOST, http(404, {"error": {"message": "?"}}), http(404, {"error": {}})],
            # Its body tells what it means, so a part of it is no response; but a 404 has done nothing.
            "cut": [Close(NO_WORKFLOW[:-9]), NO_WORKFLOW],
        },
    ),
    RecordedFault("H29", "409", only(envelope(409, "CONFLICT", [("Retry-After", "1")]))),
    RecordedFault(
        "H30",
        "200 with more fields than documented",
        only(http(200, detached(success=True, extra={"a": [1]}, secret=KEY, error=None))),
    ),
    RecordedFault("H31", "200 with no workflow", only(NOTHING_LINKED)),
    RecordedFault(
        "H32",
        "200 with an error envelope",
        {
            "429, then good": [*in_a_200(429), GOOD],
            "503 for ever": in_a_200(503, 4),
            "documented fields, too": [http(200, detached(success=False))],
            **{f"status {status!r}": in_a_200(status) for status in (401, 422, None, "401", True, 200)},
            **{
                f"success {success!r}": [
                    http(200, {"success": success, "error": {"status": 401}, "message": ""})
                ]
                for success in (None, "false", 0)
            },
        },
    ),
    RecordedFault("H33", "200 with a page", bodies(html=HTML)),
    RecordedFault("H34", "200 with an empty body", bodies(empty="", blanks="  \r\n")),
    RecordedFault("H35", "204", only(http(204))),
    RecordedFault(
        "H36", "another 2xx", {str(status): [http(status, detached())] for status in (201, 202, 206, 299)}
    ),
    RecordedFault("H37", "200 without a message", bodies(missing=NO_MESSAGE)),
    RecordedFault(
        "H38",
        "200 without the assistant's id",
        bodies(
            missing={"workflow_id": WORKFLOW, "message": MESSAGE},
            only_message={"message": MESSAGE},
            empty={},
            text={"error": "broken"},
        ),
    ),
    RecordedFault(
        "H39",
        "200 for another assistant",
        bodies(**{str(other): detached(assistant_id=other) for other in ("asst_other", 5)}),
    ),
    RecordedFault(
        "H40", "200 with no object", bodies(list="[]", null="null", text='"a"', number="5", flag="true")
    ),
    RecordedFault(
        "H41", "200 with a byte order mark", bodies(bom=b"\xef\xbb\xbf" + json.dumps(detached()).encode())
    ),
    RecordedFault(
        "H42",
        "200 with invalid UTF-8",
        bodies(
            message=json.dumps(detached(message="~")).encode().replace(b"~", b"\xff"),
            assistant=json.dumps(detached(assistant_id="~")).encode().replace(b"~", b"\xc3"),
        ),
    ),
    RecordedFault(
        "H43",
        "200 with JSON that cannot be read",
        bodies(
            deep="[" * 100_000,
            digits='{"assistant_id": ' + "9" * 5000 + "}",
            utf_16=json.dumps(detached()).encode("utf-16"),
            trailing=json.dumps(detached()) + "x",
        ),
    ),
    RecordedFault(
        "H44",
        "200 with what XCom refuses",
        bodies(
            nan=detached(message=float("nan")),
            infinite=json.dumps(detached(workflow_id=7)).replace("7", "1e999"),
            # Airflow's worker cannot hand on a number over 64 bits, and finds out when the task is done.
            huge=detached(extra=[2**63]),
            surrogate=detached(message="a\ud800b"),
            nul=detached(message="a\x00b"),
            # The name of a field of Airflow's own serialisation, as a value and as a key.
            classname=detached(__classname__="os.system", message="__classname__"),
        ),
    ),
    RecordedFault(
        "H45",
        "200 with a long text",
        bodies(message=detached(message="m" * 3 * 1024 * 1024), too_long=detached(message="m" * MANY)),
    ),
    # That nobody goes there: test_redirects_are_never_followed.
    RecordedFault(
        "H46",
        "a redirect",
        {
            **{str(status): redirect("https://login.example/x", status) for status in (301, 303, 307, 308)},
            "userinfo": redirect("https://me:location-CANARY-pw@login.example/?t=location-CANARY-pw"),
            "key": redirect(f"https://{KEY}.example/{KEY}"),
        },
    ),
    RecordedFault("H47", "300, 304, 305", {str(status): [http(status)] for status in (300, 304, 305)}),
    RecordedFault(
        "H48",
        "an unexpected envelope",
        {
            "long code": unexpected(code="C" * 9000),
            "status contradicts": unexpected(status=401, code="X"),
            "trace id of 1 MB": unexpected(trace_id="t" * 1_000_000),
            "trace id of two lines": unexpected(trace_id="a\nERROR b\r"),
            "key everywhere": unexpected(
                **dict.fromkeys(("code", "message", "system_message", "type", "trace_id", "details"), KEY)
            ),
            "colours": unexpected(code="\x1b[31mred\x1b[0m"),
            # A pattern that looks for the end of an unfinished sequence from each of its beginnings would
            # take minutes here, and no deadline stops a pattern.
            "unfinished escapes": unexpected(message="\x90\x9d\x1b]" * 40_000),
            "id of the request": [http(422, headers=[("x-request-id", f"{KEY}\x1b[31m" + "r" * 900)])],
        },
    ),
]
