"""One call of a hook: attempts, deadline, log lines, and the text of the error that it results in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenacity import AttemptManager, RetryCallState, Retrying, retry_if_exception

from airflow_aitronos.client.deadline import Clock, Deadline
from airflow_aitronos.client.http import NO_RESPONSE, Http
from airflow_aitronos.client.network_errors import network_error
from airflow_aitronos.client.responses import read_response
from airflow_aitronos.client.retry import Backoff, error_of
from airflow_aitronos.client.sanitize import Log, optional_text
from airflow_aitronos.exceptions import (
    AitronosCancelledError,
    AitronosError,
    AitronosNetworkError,
    AitronosResponseError,
    AitronosUnsafeToRepeatError,
    AitronosWrongResourceError,
)

if TYPE_CHECKING:
    from airflow_aitronos.client.pace import Pace

OK = frozenset({200})
OK_OR_EMPTY = frozenset({200, 204})
CREATED = frozenset({200, 201})
"""Statuses of success of a POST ("API reference": 201 where something is created)."""


@dataclass
class Client:
    """
    What all calls of a hook share.

    :param http: sends requests; knows the settings.
    :param log: gets a line for each attempt that is retried, and one for each success.
    :param clock: measures time and waits.
    :param is_cancelled: whether the task was cancelled; nothing is sent from then on.
    :param pace: asked before each request; None for a call of its own.
    """

    http: Http
    log: Log
    clock: Clock
    is_cancelled: Callable[[], bool]
    pace: Pace | None = None
    last_request_id: str | None = None


class Call:
    """
    One call.

    :param client: what all calls of the hook share.
    :param intent: what the call does, such as ``read workflow 'flow_1'``.
    :param ids: ``assistant_id`` and ``workflow_id``, as far as the caller has named them.
    :param repeatable: whether the call may be repeated when it may have been carried out.
    :param check_first: what to check by hand before a call is repeated that is not repeatable.
    :param maybe_done: whether the request may have been carried out already, by an earlier try of the task.
    """

    def __init__(
        self,
        client: Client,
        intent: str,
        *,
        ids: Mapping[str, str | None] | None = None,
        repeatable: bool = True,
        check_first: str = "",
        maybe_done: bool = False,
    ) -> None:
        self.client = client
        self.settings = client.http.settings
        self.redact = self.settings.redact
        self.intent = intent
        self.ids = dict(ids or {})
        self.maybe_done = maybe_done
        self._changes = False
        self._status: int | None = None
        self._repeatable = repeatable
        self._check_first = check_first
        self._deadline = Deadline(self.settings.total_timeout, client.clock)
        self._backoff = Backoff(self.settings, self._deadline)
        self._attempt = 0
        self.attempts_sent = 0
        self.has_succeeded = False

    def attempts(self) -> Iterator[AttemptManager]:
        """
        Yield tenacity's attempts, each for a ``with attempt:``; raise the last one's error, completed.

        Only an :class:`AitronosError` that may pass is retried. Anything else, such as Airflow's
        ``AirflowTaskTimeout``, leaves after one attempt.
        """
        attempts = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, AitronosError) and error.may_pass_now),
            wait=lambda state: 0.0 if self._is_paced(state) else self._backoff.wait(state),
            stop=self._is_last,
            sleep=lambda seconds: self._deadline.sleep(seconds, self._has_ended),
            before_sleep=self._log_retry,
            reraise=True,
        )
        try:
            for attempt in attempts:
                self._attempt = attempt.retry_state.attempt_number
                yield attempt
        except AitronosError as error:
            final = self._completed(error)
        else:
            return
        # Outside of the except block, where it would get the error that it may replace as its context.
        raise final.with_traceback(None)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Any = None,
        accepted: frozenset[int] = OK,
        null: bool = False,
    ) -> dict[str, Any]:
        """
        Send one request and return the JSON object of its response.

        :param method: HTTP method.
        :param path: below the base URL, its ids checked.
        :param json: body, None for none.
        :param params: query, None for none.
        :param accepted: the documented statuses of success; the value of a 204 is an empty dict.
        :param null: whether JSON's null is a success too, with an empty dict as its value.
        :raises AitronosError: what any other response, or none, stands for.
        """
        client = self.client
        if client.pace is not None:
            self._deadline.leave_out(client.pace.wait(client.is_cancelled))
        if client.is_cancelled():
            raise AitronosCancelledError("The task was cancelled before the request was sent.")
        if self._deadline.remaining() <= 0:
            raise AitronosNetworkError(
                f"total_timeout of {self.settings.total_timeout:g} s was used up before the request.",
                fix="If the server needs longer, raise total_timeout.",
            )
        self._status = client.last_request_id = None
        try:
            prepared = client.http.prepare(method, path, json, params)
            self.attempts_sent, self._changes = self._attempt, self._changes or method != "GET"
            response = client.http.send(prepared, self._deadline)
            self._status, request_id = response.status, response.headers.get("x-request-id")
            client.last_request_id = optional_text(request_id, self.redact, limit=200)
            has_body, now = json is not None, client.clock.time()
            return read_response(
                response, accepted, null=null, has_body=has_body, redact=self.redact, now=now
            )
        except AitronosError as raised:
            error = raised
        except NO_RESPONSE as raised:
            error = network_error(raised, self.settings, is_late=self._deadline.remaining() <= 0)
            # Only its body is missing: nothing was done.
            error.maybe_done = error.maybe_done and client.http.status != 404
        except BaseException as raised:  # noqa: BLE001  # it is raised again
            # Of AirflowTaskTimeout and its like: the frames of requests below hold the key.
            raise raised.with_traceback(None)  # noqa: B904  # the same exception
        if client.pace is not None and (
            error.status_code == 429 or (error.status_code == 503 and error.retry_after)
        ):
            client.pace.refused(error)
        error.maybe_done = error.maybe_done and method != "GET"
        self.maybe_done = self.maybe_done or error.maybe_done
        error.may_pass_now = error.may_pass_now and (self._repeatable or not error.maybe_done)
        # Outside of the except blocks: the exceptions of requests hold the request, key included.
        raise error.with_traceback(None)

    def succeed(
        self, summary: str, *, warning: bool = False, ids: Mapping[str, str | None] | None = None
    ) -> None:
        """
        Log that the call succeeded.

        :param summary: what happened, as a clause.
        :param warning: whether a person should read it.
        :param ids: ids that the response named, for the error of a task that was cancelled meanwhile.
        :raises AitronosCancelledError: if the task was cancelled meanwhile: Airflow would not store a result.
        """
        settings, request_id = self.settings, self.client.last_request_id
        request = f", request id {request_id}" if request_id else ""
        line = (
            f"{summary} (connection '{settings.conn_id}', attempt {self.attempts_sent} of "
            f"{settings.max_attempts}, {self._deadline.elapsed():.2f} s{request})"
        )
        self.has_succeeded = True
        is_cancelled = self.client.is_cancelled()
        (self.client.log.warning if warning or is_cancelled else self.client.log.info)(line)
        if is_cancelled:
            self.ids |= {name: value for name, value in (ids or {}).items() if value}
            raise AitronosCancelledError(
                f"The task was cancelled, but the response still came: {summary}.", maybe_done=self._changes
            )

    def _is_last(self, state: RetryCallState) -> bool:
        """Return whether there is no further attempt."""
        if self.client.is_cancelled():
            return True
        if self._is_paced(state):  # the gate decides when the next request is sent, or that there is none
            return False
        pace = self.client.pace
        if pace is not None and (pace.end is not None or pace.remaining() <= state.upcoming_sleep):
            self._backoff.reason = "the run has no time for another attempt"
            return True
        return self._backoff.stop(state)

    def _has_ended(self) -> bool:
        """Return whether nothing may be sent any more: the task was cancelled, or its run is over."""
        pace = self.client.pace
        return self.client.is_cancelled() or (pace is not None and pace.end is not None)

    def _is_paced(self, state: RetryCallState) -> bool:
        """Return whether the pace makes the next request wait, so that this one was no attempt."""
        return self.client.pace is not None and error_of(state).status_code == 429

    def _log_retry(self, state: RetryCallState) -> None:
        if self._is_paced(state):
            state.attempt_number -= 1
            return
        error = error_of(state)
        which = f"Attempt {state.attempt_number} of {self.settings.max_attempts} failed: {error.cause}"
        about = f"({self.intent}, {type(error).__name__}{_trace(error)})"
        self.client.log.warning(f"{which} Next attempt in {state.upcoming_sleep:.1f} s {about}")

    def _completed(self, error: AitronosError) -> AitronosError:
        """Return the error that the call results in: attempts, reason, doubt and ids added, once, here."""
        is_this_one = self._changes and error.maybe_done
        error.maybe_done = self.maybe_done or is_this_one
        if isinstance(error, AitronosResponseError | AitronosWrongResourceError):
            error.status_code = error.status_code or self._status
        cause, fix, kind = error.cause, error.fix, type(error)
        if error.may_pass_now and self._backoff.reason:
            cause = f"{cause.removesuffix('.')}; {self._backoff.reason}."
        if error.outcome == "retryable" and self.client.is_cancelled() and kind is not AitronosCancelledError:
            cause, fix, kind = f"The task was cancelled. {cause}", "", AitronosCancelledError
        if error.outcome == "retryable" and error.maybe_done and not self._repeatable:
            cause, fix = f"It may have taken effect: {cause}", self._check_first
            kind = AitronosUnsafeToRepeatError
        elif error.maybe_done:
            which = "The call" if is_this_one else "An earlier attempt"
            cause = f"{cause} {which} may have taken effect all the same."
        if kind is not type(error):
            facts, error = vars(error), kind()
            vars(error).update(facts)
        for name, value in self.ids.items():
            if value is not None and getattr(error, name) is None:
                setattr(error, name, value)
        if error.trace_id is None and self.attempts_sent:
            error.trace_id = error.request_id = self.client.last_request_id
        error.cause, error.fix, error.may_pass_now = cause, fix, False
        error.attempts = self.attempts_sent
        limit = self.settings.max_attempts
        sent = f"{error.attempts} of {limit} attempts" if error.attempts else "no request was sent"
        error.tell(f"{self.intent}, connection '{self.settings.conn_id}', {sent}{_trace(error)}")
        return error


def _trace(error: AitronosError) -> str:
    text = f", trace id {error.trace_id}" if error.trace_id else ""
    if error.request_id and error.request_id != error.trace_id:
        text += f", request id {error.request_id}"
    return text
