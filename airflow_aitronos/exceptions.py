"""
The one tree of errors that everything in this package raises.

Every error is an :class:`AitronosError`. The ones that trying again cannot help are Airflow's
``AirflowFailException`` too, so that the task fails at once whatever its ``retries`` say; all others leave
the decision to the task's ``retries``.

No error holds the API key, a request, a response or a header.
"""

from __future__ import annotations

from typing import Any

from airflow_aitronos._compat import AirflowException, AirflowFailException


class AitronosError(AirflowException):
    """
    Base of every error of this package.

    :param message: one line for the person who reads the task log: what happened, to what, through which
        connection, whether trying again can help, and what to do.
    :param status_code: HTTP status of the reply; None where there was none.
    :param code: ``error.code`` of the reply's error envelope, such as ``INVALID_API_KEY``.
    :param error_type: ``error.type`` of the envelope, such as ``authentication_error``.
    :param system_message: ``error.system_message`` of the envelope, the vendor's text for logs.
    :param details: ``error.details`` of the envelope, shortened and JSON-safe.
    :param trace_id: ``error.trace_id`` of the envelope, else the reply's ``x-request-id``: what to tell
        the vendor's support.
    :param request_id: the ``x-request-id`` header of the reply.
    :param retry_after: seconds that the server asked to wait before the next request.
    :param attempts: number of attempts that the call used; 0 means that nothing was sent.
    :param maybe_done: whether the call may have taken effect all the same.
    :param assistant_id: the assistant that the call was about.
    :param workflow_id: the workflow that the call was about, or that the answer spoke of.

    An operator adds ``conn_id``, and which task it ran in: ``dag_id``, ``task_id``, ``run_id``, ``map_index``
    and ``try_number``; None for a hook that is used without one.
    """

    conn_id: str | None = None
    dag_id: str | None = None
    task_id: str | None = None
    run_id: str | None = None
    map_index: int | None = None
    try_number: int | None = None

    def __init__(
        self,
        message: str = "",
        *,
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
    ) -> None:
        # The text goes into args, where Airflow's redaction of exceptions looks for secrets; all else are
        # plain attributes, so that the default pickling of exceptions (args and __dict__) carries them.
        super().__init__(message)
        # Airflow gives its exceptions a class attribute of this name, the status of its own API's reply.
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

    @property
    def outcome(self) -> str:
        """Return ``stop`` if trying again cannot help, else ``later``."""
        return "stop" if isinstance(self, AirflowFailException) else "later"


# --- stop: trying again cannot help, the task fails at once -------------------------------------------


class AitronosConfigurationError(AitronosError, AirflowFailException):
    """Raise when the connection, its Extra or an argument has a value that cannot be used."""


class AitronosInputError(AitronosError, AirflowFailException, ValueError):
    """Raise when an id, a path or a body cannot be sent; nothing was sent."""


class AitronosAuthenticationError(AitronosError, AirflowFailException):
    """Raise when the API answers 401: it does not know the key."""


class AitronosPermissionError(AitronosError, AirflowFailException):
    """Raise when the API answers 403: the key may not do this."""


class AitronosNotFoundError(AitronosError, AirflowFailException):
    """Raise when the API answers 404."""


class AitronosRequestError(AitronosError, AirflowFailException):
    """Raise when the API answers another 4xx that the same request will always get."""


class AitronosRedirectError(AitronosError, AirflowFailException):
    """Raise when the answer is a redirect, which is never followed: it would carry the key elsewhere."""


class AitronosWrongResourceError(AitronosError, AirflowFailException):
    """Raise when the answer speaks of another assistant than the one that was asked for."""


class AitronosWorkflowMismatchError(AitronosError, AirflowFailException):
    """
    Raise when another workflow is linked than the one that was expected.

    ``workflow_id`` is the one that is linked, or that was taken off.

    :param expected_workflow_id: the workflow that was expected.
    """

    def __init__(self, message: str = "", *, expected_workflow_id: str | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.expected_workflow_id = expected_workflow_id


class AitronosNotAttachedError(AitronosError, AirflowFailException):
    """Raise when no workflow is linked, and that was asked to be a failure."""


class AitronosUnsafeToRepeatError(AitronosError, AirflowFailException):
    """Raise when it is unknown whether the call was carried out, and sending it again may do harm."""


# --- later: trying again may help, the task's retries are used ----------------------------------------


class AitronosOutcomeUnknownError(AitronosError):
    """Raise when it is unknown whether the call was carried out, and sending it again does no harm."""


class AitronosConflictError(AitronosError):
    """Raise when the API answers 409."""


class AitronosRateLimitError(AitronosError):
    """Raise when the API answers 429 until attempts, patience or time run out."""


class AitronosServerError(AitronosError):
    """Raise when the API answers 5xx until attempts or time run out."""


class AitronosNetworkError(AitronosError):
    """Raise on faults of the network, of TLS, on timeouts, and when ``total_timeout`` is used up."""


class AitronosResponseError(AitronosError):
    """Raise when an answer makes no sense."""


class AitronosCancelledError(AitronosError):
    """Raise when the task was told to stop."""
