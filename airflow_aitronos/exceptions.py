"""
The errors of this package, all below :class:`AitronosError`.

A *permanent* error is an ``AirflowFailException`` too, so the task fails at once whatever its ``retries``
are. A *retryable* error leaves the decision to the task's ``retries``. No error holds the API key, a request,
a response or a header.
"""

from __future__ import annotations

from typing import Any, Literal

from airflow_aitronos._compat import AirflowException, AirflowFailException


class AitronosError(AirflowException):
    """
    Base of every error of this package.

    :param cause: what happened, as one sentence.
    :param fix: what to do about it, as whole sentences.
    :param about: what the text says in brackets after both; a call completes it with the connection, the
        attempts and the trace id.
    :param status_code: HTTP status of the response; None if there was none.
    :param code: ``error.code`` of the error envelope, such as ``INVALID_API_KEY`` ("Errors" page).
    :param error_type: ``error.type`` of the envelope, such as ``authentication_error``.
    :param system_message: ``error.system_message`` of the envelope, the vendor's text for logs.
    :param details: ``error.details`` of the envelope, shortened and JSON-safe.
    :param trace_id: ``error.trace_id`` of the envelope, else the ``x-request-id`` header: what to tell the
        vendor's support.
    :param request_id: the ``x-request-id`` header of the response.
    :param retry_after: seconds that the server asked to wait before the next request.
    :param attempts: attempts in which the call sent a request; 0 if nothing was sent.
    :param maybe_done: whether the call may have changed something all the same.
    :param assistant_id: the assistant that the call was about.
    :param workflow_id: the workflow that the call was about, or that the response named.
    :param may_pass_now: internal: whether the same request may succeed if it is repeated right away.
    :param has_envelope: internal: whether the response was the API's own error envelope.
    """

    def __init__(
        self,
        cause: str = "",
        *,
        fix: str = "",
        about: str = "",
        status_code: int | None = None,
        code: str | None = None,
        error_type: str | None = None,
        system_message: str | None = None,
        details: Any = None,
        trace_id: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        attempts: int = 0,
        maybe_done: bool = False,
        assistant_id: str | None = None,
        workflow_id: str | None = None,
        may_pass_now: bool = False,
        has_envelope: bool = False,
    ) -> None:
        # The text stands in args, where Airflow's redaction of exceptions looks for secrets. All else is
        # plain data, so that the default pickling of exceptions (args and __dict__) carries it.
        super().__init__(cause)
        self.cause = cause
        self.fix = fix
        # Airflow's exceptions have a class attribute of this name: the status of its own API's response.
        self.status_code: int | None = status_code  # type: ignore[assignment]  # see the line above
        self.code = code
        self.error_type = error_type
        self.system_message = system_message
        self.details = details
        self.trace_id = trace_id
        self.request_id = request_id
        self.retry_after = retry_after
        self.attempts = attempts
        self.maybe_done = maybe_done
        self.assistant_id = assistant_id
        self.workflow_id = workflow_id
        self.may_pass_now = may_pass_now
        self.has_envelope = has_envelope
        if fix or about:
            self.tell(about)

    def tell(self, about: str) -> None:
        """
        Make the error's text: cause, fix, whether a retry can help, and one suffix in brackets.

        :param about: the suffix, empty for none.
        """
        retry = "Not retryable." if self.outcome == "permanent" else "Retryable."
        suffix = f"{retry} ({about})" if about else ""
        self.args = (" ".join(filter(None, [self.cause, self.fix, suffix])),)

    def of_response(self) -> dict[str, Any]:
        """Return what the response said, for an error that replaces this one."""
        names = ("status_code", "code", "error_type", "system_message", "details", "trace_id", "request_id")
        return {name: getattr(self, name) for name in names}

    @property
    def outcome(self) -> Literal["permanent", "retryable"]:
        """Return ``permanent`` if a retry cannot help, else ``retryable``."""
        return "permanent" if isinstance(self, AirflowFailException) else "retryable"


# --- permanent: the task fails at once ---


class AitronosConfigurationError(AitronosError, AirflowFailException):
    """Raise when the connection, its Extra, an option or a proxy cannot be used."""


class AitronosInputError(AitronosError, AirflowFailException, ValueError):
    """Raise when an id or an argument cannot be sent."""


class AitronosAuthenticationError(AitronosError, AirflowFailException):
    """Raise on 401: the API does not accept the key."""


class AitronosPermissionError(AitronosError, AirflowFailException):
    """Raise on 403: the key may not do this, or a firewall in front refused the request."""


class AitronosNotFoundError(AitronosError, AirflowFailException):
    """Raise on 404."""


class AitronosRequestError(AitronosError, AirflowFailException):
    """Raise on any other 4xx that the same request will always get."""


class AitronosRedirectError(AitronosError, AirflowFailException):
    """Raise on a redirect, which is never followed: it would carry the key to another host."""


class AitronosWrongResourceError(AitronosError, AirflowFailException):
    """Raise when the response is about another assistant or workflow than the one asked for."""


class AitronosWorkflowMismatchError(AitronosError, AirflowFailException):
    """
    Raise when another workflow is linked, or was detached, than the expected one.

    ``workflow_id`` is the workflow that is linked, or that was detached.

    :param expected_workflow_id: the workflow that was expected.
    """

    def __init__(self, cause: str = "", *, expected_workflow_id: str | None = None, **facts: Any) -> None:
        super().__init__(cause, **facts)
        self.expected_workflow_id = expected_workflow_id


class AitronosNotAttachedError(AitronosError, AirflowFailException):
    """Raise when no workflow is linked and ``if_not_attached`` is ``"fail"``."""


class AitronosUnsafeToRepeatError(AitronosError, AirflowFailException):
    """Raise when it is unknown whether a call was carried out that must not be repeated."""


# --- retryable: the task's retries are used ---


class AitronosOutcomeUnknownError(AitronosError):
    """Raise when it is unknown whether a call was carried out that may be repeated."""


class AitronosConflictError(AitronosError):
    """Raise on 409."""


class AitronosRateLimitError(AitronosError):
    """Raise on 429, when attempts or time run out or the server asks to wait for too long."""


class AitronosServerError(AitronosError):
    """Raise on 5xx, when attempts or time run out."""


class AitronosNetworkError(AitronosError):
    """Raise on network and TLS errors, timeouts, 408 and 425, and when ``total_timeout`` is used up."""

    never_arrived = False
    """Internal: whether no connection was made, so that another call would fail in the same way."""


class AitronosResponseError(AitronosError):
    """Raise on a response that is not as documented."""


class AitronosCancelledError(AitronosError):
    """Raise when the task was cancelled."""
