"""Reply body to value, or to the failure that it stands for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from airflow_aitronos.client.mask import Mask
from airflow_aitronos.client.network_faults import proxy_refused
from airflow_aitronos.client.reply import Failure, Reply
from airflow_aitronos.client.retry_after import asked_wait
from airflow_aitronos.client.safe_text import json_safe, optional_text, safe_text, shortened
from airflow_aitronos.exceptions import (
    AitronosAuthenticationError,
    AitronosConflictError,
    AitronosError,
    AitronosNetworkError,
    AitronosNotFoundError,
    AitronosPermissionError,
    AitronosRateLimitError,
    AitronosRedirectError,
    AitronosRequestError,
    AitronosResponseError,
    AitronosServerError,
)

TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, *range(520, 525)})
"""What the same request may pass after, a little later."""

_QUOTE_LIMIT = 200
"""Characters of a reply that are quoted in a message."""


_TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True)
class Expected:
    """
    What a good reply to a call looks like.

    :param statuses: the documented ones.
    :param empty: whether 204 is a success too; its value is an empty dict.
    :param null: whether a body of JSON's null is a success too; its value is an empty dict.
    """

    statuses: frozenset[int] = frozenset({200})
    empty: bool = False
    null: bool = False


def read_reply(reply: Reply, expected: Expected, *, mask: Mask, now: float) -> dict[str, Any] | Failure:
    """
    Return the JSON object of a good reply, or the failure that another one stands for.

    The HTTP status decides and the error envelope refines ("Errors" page of the vendor's documentation),
    but for a 2xx whose body says ``"success": false``: there the envelope's status counts.

    :param reply: the reply.
    :param expected: what a good reply looks like.
    :param mask: replaces secrets.
    :param now: the wall clock, in Unix seconds.
    """
    if reply.status == 204 and expected.empty:
        return {}
    is_expected = reply.status in expected.statuses
    # Of an error the rest of the envelope is worth more than one odd number in it.
    body, problem = _decode(reply.body, mask, strict=is_expected)
    envelope = error_envelope(body)
    failed = partial(_ReplyFailure, reply, body, mask=mask, now=now)
    if not is_expected:
        return failed(reply.status, envelope).failure()
    if isinstance(body, dict) and (body.get("success", True) is not True or envelope):
        status = _sane_status(envelope.get("status"))
        return failed(status, envelope).failure()
    if isinstance(body, dict) and body:
        return body
    if expected.null and body is None and problem is None:
        return {}
    if problem is None:
        problem = "an empty JSON object" if body == {} else "a body that is JSON but not an object"
    return failed(reply.status, {}).nonsense(problem)


def error_envelope(body: object) -> dict[str, Any]:
    """
    Return the object under ``error``, empty if the body is no error envelope.

    :param body: a decoded reply.
    """
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _decode(raw: bytes, mask: Mask, *, strict: bool) -> tuple[Any, str | None]:
    """Return the decoded body, and what is wrong with it."""
    if not raw.strip():
        return None, "an empty body"
    try:
        # utf-8-sig since some gateways put a byte order mark in front, which json refuses.
        decoded = json.loads(raw.decode("utf-8-sig", errors="replace"))
        return json_safe(decoded, mask=mask, strict=strict), None
    except (ValueError, RecursionError):
        return None, "a malformed response: a body that is not JSON"


def _sane_status(value: object) -> int | None:
    # 407 is a proxy's to say, and no proxy writes the API's envelope.
    if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599 and value != 407:
        return value
    return None


@dataclass(frozen=True)
class _ReplyFailure:
    """
    A reply that is no success.

    :param reply: the reply.
    :param body: its body, decoded and masked; None if it is not JSON, or nothing but null.
    :param status: the one that decides; None if the reply says "no" without saying why.
    :param envelope: the object under ``error``, empty if there is none.
    :param mask: replaces secrets.
    :param now: the wall clock, in Unix seconds.
    """

    reply: Reply
    body: Any
    status: int | None
    envelope: Mapping[str, Any]
    _: KW_ONLY
    mask: Mask
    now: float

    def failure(self) -> Failure:
        """Return what the status stands for."""
        status = self.status
        if status is None:
            return self._refused_without_status()
        if status == 407:
            return proxy_refused(status)
        if 300 <= status < 400:
            return self._redirect()
        if not 400 <= status < 600:
            return self.nonsense("")
        error, advice = _meaning_of(status, has_envelope=bool(self.envelope))
        transient = status in TRANSIENT_STATUSES
        return Failure(
            error,
            self._what(),
            advice,
            transient=transient,
            # A definite 4xx says that nothing was done; 408 says that the server lost patience.
            maybe_done=status >= 500 or status == 408,
            facts=self._facts(with_wait=transient),
            has_envelope=bool(self.envelope),
        )

    def nonsense(self, problem: str) -> Failure:
        """
        Return the failure of an answer that makes no sense, with what it said: it may name a workflow.

        :param problem: what is wrong with it; empty if its status is.
        """
        status = self.reply.status
        lead = f"HTTP {status} with {problem}" if problem else f"unexpected status {status}"
        quoted = self._quoted_body()
        return Failure(
            AitronosResponseError,
            lead + (f": {quoted}" if quoted else ""),
            "Check that Host of the connection is the API and not a proxy, a login page or another server.",
            maybe_done=True,
            facts=self._facts(with_wait=False),
        )

    def _refused_without_status(self) -> Failure:
        return Failure(
            AitronosResponseError,
            f"the body of a success reports an error: {self._what()}",
            "See what the API reports; its documentation knows no such reply.",
            maybe_done=True,
            facts=self._facts(with_wait=False),
        )

    def _redirect(self) -> Failure:
        target = self._redirect_host()
        return Failure(
            AitronosRedirectError,
            f"HTTP {self.status}, a redirect{f' to {target}' if target else ''}, which is never followed",
            "Check Host of the connection: it has to be the address of the API itself.",
            # A redirect is an answer instead of the deed, but some servers act and then redirect.
            maybe_done=True,
            facts=self._facts(with_wait=False),
        )

    def _redirect_host(self) -> str:
        """Return scheme and host of the target, without what may hold secrets: user, path and query."""
        try:
            # Masked before it is read, which turns a host's name into small letters.
            parts = urlsplit(self.mask(self.reply.headers.get("Location", "").strip()))
            host, port = parts.hostname, parts.port
        except ValueError:
            return "an unreadable address"
        if not host:
            return "another path of the same host" if parts.path else ""
        host = f"[{host}]" if ":" in host else host
        # In "http://me:5/x@host" the 5 begins a password, whatever the rules of addresses say.
        if port is not None and "@" not in parts.path + parts.query + parts.fragment:
            host += f":{port}"
        return safe_text(f"{parts.scheme or 'https'}://{host}", mask=self.mask, limit=100)

    def _what(self) -> str:
        code = self._text("code", limit=100)
        text = self._text("message", limit=_QUOTE_LIMIT)
        quoted = (f'"{text}"' if text else "") if self.envelope else self._quoted_body()
        status = f"HTTP {self.status or self.reply.status}"
        if self.status == 429:
            status = f"rate limited, {status}"
        if self.status not in (None, self.reply.status):
            status += f" (inside an HTTP {self.reply.status})"
        return status + (f" {code}" if code else "") + (f": {quoted}" if quoted else "")

    def _quoted_body(self) -> str:
        """Return the beginning of the body, without tags and in quotes; empty if there is none."""
        # Decoded where it can be: no escape then hides the key.
        text = (
            self.reply.body.decode("utf-8", errors="replace")
            if self.body is None
            else json.dumps(self.body, ensure_ascii=False)
        )
        text = self.mask(text)
        bare = "".join(_TAG.sub("", text).split())
        if self.mask(bare) != bare:
            return '"***"'  # the key stands in there in pieces
        shown = optional_text(" ".join(_TAG.sub(" ", text).split()), mask=self.mask, limit=_QUOTE_LIMIT)
        return f'"{shown}"' if shown else ""

    def _facts(self, *, with_wait: bool) -> dict[str, Any]:
        request_id = optional_text(self.reply.headers.get("x-request-id"), mask=self.mask, limit=200)
        details = self.envelope.get("details")
        return {
            "status_code": self.status or self.reply.status,
            "code": self._text("code", limit=100),
            "error_type": self._text("type", limit=100),
            "system_message": self._text("system_message"),
            "details": shortened(details, mask=self.mask) if details else None,
            "trace_id": self._text("trace_id", limit=200) or request_id,
            "request_id": request_id,
            "retry_after": asked_wait(self.reply.headers, self.envelope, now=self.now) if with_wait else None,
        }

    def _text(self, name: str, limit: int = 500) -> str | None:
        return optional_text(self.envelope.get(name), mask=self.mask, limit=limit)


_Kind = tuple[type[AitronosError], str]

_MEANINGS: dict[int, _Kind] = {
    401: (AitronosAuthenticationError, "Put a valid API key into Password of the connection."),
    403: (
        AitronosPermissionError,
        "Give the key's owner the permission, or put a key that has it into Password of the connection.",
    ),
    408: (AitronosNetworkError, "If this repeats, look at the network between here and the server."),
    409: (AitronosConflictError, "Something else is changing the same resource; it may pass."),
    425: (AitronosNetworkError, "If this repeats, look at the network between here and the server."),
    429: (AitronosRateLimitError, "Spread the calls, for example with a pool; the limit is per minute."),
}
_SERVER_ERROR: _Kind = (
    AitronosServerError,
    "The fault is on the server's side; if it lasts, tell the vendor the trace id.",
)
_REQUEST_ERROR: _Kind = (AitronosRequestError, "The API does not accept this request: check its arguments.")
_NOT_FOUND: _Kind = (
    AitronosNotFoundError,
    "Check the id, and that the key belongs to the same organization.",
)
_NO_SUCH_ADDRESS: _Kind = (
    AitronosNotFoundError,
    "This is not the API's way to say so: check Host and path prefix of the connection.",
)


def _meaning_of(status: int, *, has_envelope: bool) -> _Kind:
    if status == 404:
        return _NOT_FOUND if has_envelope else _NO_SUCH_ADDRESS
    return _MEANINGS.get(status) or (_SERVER_ERROR if status >= 500 else _REQUEST_ERROR)
