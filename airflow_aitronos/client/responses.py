"""HTTP status and error envelope -> the JSON object, or the AitronosError that the response stands for."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_aitronos.client.retry import RETRIED_STATUSES, asked_wait
from airflow_aitronos.client.sanitize import Redact, json_safe, optional_text, safe_text, shortened
from airflow_aitronos.client.settings import BODY_LIMIT, proxy_wants_credentials
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

if TYPE_CHECKING:
    from airflow_aitronos.client.http import Response

TOO_LARGE = {"longest_body_bytes": BODY_LIMIT}
"""``details`` of the error of a body that is too large."""

_CHECK_HOST = "Check that Host of the connection is the API, not a proxy, a login page or another server."
_CHECK_NETWORK = "If this repeats, check the network between here and the server."
_MEANINGS: dict[int, tuple[type[AitronosError], str]] = {
    401: (AitronosAuthenticationError, "Put a valid API key into Password of the connection."),
    403: (AitronosPermissionError, "Give the key's owner the permission, or use a key that has it."),
    404: (AitronosNotFoundError, "Check the id, the organization of the key, and Host of the connection."),
    408: (AitronosNetworkError, _CHECK_NETWORK),
    409: (AitronosConflictError, "Something else is changing the same resource; it may pass."),
    425: (AitronosNetworkError, _CHECK_NETWORK),
    429: (AitronosRateLimitError, "Spread the calls, for example with a pool; the limit is per minute."),
}
_SERVER_ERROR = (AitronosServerError, "The server has a fault; if it lasts, tell the vendor the trace id.")
_REQUEST_ERROR = (AitronosRequestError, "The API does not accept this request: check its arguments.")
_ASK_FIREWALL = "Ask whoever runs it to allow this request."
# Seen in the vendor's own test notes.
_FIREWALLS_DISLIKE = (
    " Such filters refuse emoji, HTML tags, SQL-like text, @example.com and names like org_id."
)
_BEGINNING = 10_000
"""Characters of a body that is no envelope in which a text to show is looked for."""
_LARGEST_ENVELOPE = 2 << 20
"""Bytes up to which the body of a failure is decoded as JSON, which needs 40 times as much memory."""
_TAG = re.compile(r"<[^<>]*>")


def read_response(
    response: Response,
    accepted: frozenset[int],
    *,
    null: bool,
    has_body: bool,
    redact: Redact,
    now: float,
) -> dict[str, Any]:
    """
    Return the JSON object of a good response.

    The HTTP status decides and the envelope refines ("Errors" page). Only of a documented success whose body
    says ``"success": false`` does the envelope's ``status`` decide.

    :param response: the response.
    :param accepted: the documented statuses of success; the value of a 204 is an empty dict.
    :param null: whether a body of JSON's null is a success too, with an empty dict as its value.
    :param has_body: whether the request had one, which a firewall may have disliked.
    :param redact: replaces secrets.
    :param now: the wall clock, in Unix seconds.
    :raises AitronosError: the error that any other response stands for.
    """
    status = response.status
    if status == 204 and 204 in accepted:
        return {}
    body, problem = _decode(response.body, redact, strict=status in accepted)
    reading = _Reading(response, body, redact, now, has_body)
    if response.is_too_large and not (300 <= status < 500 and status != 408):  # those decide alone
        raise reading.invalid(f"HTTP {status}: response too large, over {BODY_LIMIT >> 20} MiB", TOO_LARGE)
    if status not in accepted:
        raise reading.error(status)
    if isinstance(body, dict) and (body.get("success") is False or reading.is_refusal):
        claimed = reading.envelope.get("status")
        # 407 is a proxy's to say, and no proxy writes the API's envelope.
        if type(claimed) is int and 400 <= claimed <= 599 and claimed != 407:
            raise reading.error(claimed)
        raise reading.invalid(f"HTTP {status} whose body reports an error")
    if isinstance(body, dict) and body:
        return body
    if body is None and problem is None and null:
        return {}
    problem = problem or ("is an empty JSON object" if body == {} else "is not a JSON object")
    raise reading.invalid(f"HTTP {status} whose body {problem}")


def _decode(raw: bytes, redact: Redact, *, strict: bool) -> tuple[Any, str | None]:
    """Return the decoded body, or its text and what is wrong with it."""
    if not raw.strip():
        return None, "is empty"
    if len(raw) > _LARGEST_ENVELOPE and not strict:
        return raw.decode("utf-8", errors="replace"), None
    try:
        # utf-8-sig: some gateways put a byte order mark in front, which json refuses.
        decoded = json.loads(raw.decode("utf-8-sig", errors="replace"))
        return json_safe(decoded, redact, strict=strict), None
    except (ValueError, RecursionError):
        return raw.decode("utf-8", errors="replace"), "is not JSON (malformed response)"


class _Reading:
    """
    A response that is no success, and the error that it stands for.

    :param response: the response.
    :param body: decoded, or its text; None if it is empty.
    :param redact: replaces secrets.
    :param now: the wall clock, in Unix seconds.
    :param has_body: whether the request had one.
    """

    def __init__(self, response: Response, body: Any, redact: Redact, now: float, has_body: bool) -> None:
        self.response, self.body, self.redact, self.now, self.has_body = response, body, redact, now, has_body
        error = body.get("error") if isinstance(body, dict) else None
        self.has_envelope = isinstance(error, dict)
        self.is_refusal = bool(error) and self.has_envelope and body.get("success") is not True
        self.envelope: dict[str, Any] = error if isinstance(error, dict) else {}

    def error(self, status: int) -> AitronosError:
        """Return the error of a status, which the response has or its envelope names."""
        if status == 407:
            return proxy_wants_credentials(407)
        if 300 <= status < 400:
            return AitronosRedirectError(
                f"HTTP {status}, a redirect{self.target()}, which is never followed.",
                fix="Check Host of the connection: it has to be the address of the API itself.",
                maybe_done=True,  # some servers act, and then redirect
                **self.facts(status),
            )
        if not 400 <= status < 600:
            return self.invalid(f"Unexpected status {status}")
        kind, fix = _MEANINGS.get(status) or (_SERVER_ERROR if status >= 500 else _REQUEST_ERROR)
        inside = f" (inside an HTTP {self.response.status})" if status != self.response.status else ""
        cause = f"HTTP {status}{inside}"
        if status == 403 and not self.has_envelope:
            cause = "HTTP 403 from a firewall or gateway in front of the API, not from the API"
            fix = _ASK_FIREWALL + (_FIREWALLS_DISLIKE if self.has_body else "")
        elif status == 404 and not self.has_envelope:
            fix = "The API itself did not answer: check Host and path prefix of the connection."
        is_retried = status in RETRIED_STATUSES
        wait = asked_wait(status, self.response.headers, self.envelope, self.now) if is_retried else None
        return kind(
            self.with_text(cause),
            fix=fix,
            may_pass_now=is_retried,
            # A definite 4xx says that nothing was done; 408 says only that the server stopped waiting.
            maybe_done=status >= 500 or status == 408,
            has_envelope=self.has_envelope,
            retry_after=wait,
            **self.facts(status),
        )

    def invalid(self, cause: str, details: Any = None) -> AitronosResponseError:
        """Return the error of an unexpected response, with what it said: it may name a workflow."""
        facts = self.facts(self.response.status)
        facts["details"] = details or facts["details"]
        return AitronosResponseError(self.with_text(cause), fix=_CHECK_HOST, maybe_done=True, **facts)

    def facts(self, status: int) -> dict[str, Any]:
        """Return the attributes of an error."""
        request_id = optional_text(self.response.headers.get("x-request-id"), self.redact, limit=200)
        details = self.envelope.get("details")
        return {
            "status_code": status,
            "code": self.text("code", 100),
            "error_type": self.text("type", 100),
            "system_message": self.text("system_message", 500),
            "details": shortened(details) if details else None,
            "trace_id": self.text("trace_id", 200) or request_id,
            "request_id": request_id,
        }

    def text(self, name: str, limit: int) -> str | None:
        """Return a text of the envelope."""
        return optional_text(self.envelope.get(name), self.redact, limit=limit)

    def with_text(self, cause: str) -> str:
        """Return a cause with the envelope's code and message, else with the beginning of the body."""
        code, text = self.text("code", 100), self.text("message", 200)
        if not self.has_envelope and self.body is not None:
            shown = self.body if isinstance(self.body, str) else json.dumps(self.body, ensure_ascii=False)
            shown = _TAG.sub(" ", self.redact(shown)[:_BEGINNING])
            text = optional_text(" ".join(shown.split()), self.redact, limit=200)
        return cause + (f" {code}" if code else "") + (f': "{text}"' if text else ".")

    def target(self) -> str:
        """Return where a redirect leads: scheme and host, without what may hold secrets."""
        try:
            parts = urlsplit(self.redact(self.response.headers.get("Location", "")).strip())
            host = parts.hostname or ""
        except ValueError:
            return " to an unreadable address"
        if not host:
            return " to another path of the same host" if parts.path else ""
        shown = f"[{host}]" if ":" in host else host
        return safe_text(f" to {parts.scheme or 'https'}://{shown}", self.redact, limit=100)
