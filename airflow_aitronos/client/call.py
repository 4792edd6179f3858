"""One API call: one or more attempts, and one end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from tenacity import RetryCallState

from airflow_aitronos._compat import AirflowFailException
from airflow_aitronos.client.clock import Clock, Deadline
from airflow_aitronos.client.envelope import Expected, read_reply
from airflow_aitronos.client.messages import (
    CallFacts,
    attempt_line,
    done_line,
    error_text,
    may_have_taken_effect,
)
from airflow_aitronos.client.network_faults import told_to_stop
from airflow_aitronos.client.operation import Done, Operation
from airflow_aitronos.client.reply import Failure
from airflow_aitronos.client.retry import Patience, last_outcome, retrying, sleep_until_cancelled
from airflow_aitronos.client.safe_text import optional_text
from airflow_aitronos.client.settings import Settings
from airflow_aitronos.client.transport import Request, Transport
from airflow_aitronos.exceptions import (
    AitronosCancelledError,
    AitronosError,
    AitronosUnsafeToRepeatError,
)

_Answer = dict[str, Any] | Done | Failure
"""The JSON object of a good reply, or an end."""


class Log(Protocol):
    """What a call needs of a logger: Airflow's takes positional arguments for ``%s`` only."""

    def info(self, event: Any, *args: Any) -> Any:
        """Log what went well."""

    def warning(self, event: Any, *args: Any) -> Any:
        """Log what a person may want to know."""

    def error(self, event: Any, *args: Any) -> Any:
        """Log how a call failed."""


class Client:
    """
    Make calls through one connection.

    :param settings: of the connection.
    :param log: gets one line for each failed attempt and one for the end of each call.
    :param mask_secret: tells Airflow of a secret that has to be masked in logs.
    :param is_cancelled: whether the task was told to stop; nothing is sent from then on.
    :param clock: what time is measured with and waited on.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        log: Log,
        mask_secret: Callable[[str], None],
        is_cancelled: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self.settings = settings
        self.log = log
        self.is_cancelled = is_cancelled
        self.clock = clock
        self.last_request_id: str | None = None
        """The ``x-request-id`` of the last reply."""
        self.transport = Transport(settings, mask_secret=mask_secret, is_cancelled=is_cancelled)

    def call(self, operation: Operation) -> Any:
        """
        Carry out an operation.

        :param operation: what to send and what its replies mean.
        :return: plain JSON-ready data.
        :raises AitronosError: one of its subclasses says how the call ended.
        """
        return _Call(self, operation).run()

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        self.transport.close()


class _Call:
    """
    One call, and what is known of it so far.

    :param client: makes the call.
    :param operation: what to send and what its replies mean.
    """

    def __init__(self, client: Client, operation: Operation) -> None:
        self._client = client
        self._operation = operation
        self._mask = client.settings.auth.mask.but_for(*operation.named())
        self._deadline = Deadline(client.settings.total_timeout, client.clock)
        self._patience = Patience(client.settings, self._deadline, client.is_cancelled)
        self._attempts = 0
        self._reported = 0
        self._ambiguous = operation.ambiguous
        self._is_sent = operation.ambiguous
        self._announced: str | None = None

    def run(self) -> Any:
        """Make the attempts, log the end, return the value or raise the error."""
        outcome = self._judge(self._attempt_until_settled())
        if self._client.is_cancelled():
            outcome = self._stopped(outcome)
        if isinstance(outcome, Failure):
            raise self._error(outcome)
        line = done_line(self._facts(), outcome.summary, self._client.last_request_id)
        (self._client.log.warning if outcome.warning else self._client.log.info)("%s", line)
        return outcome.value

    def _judge(self, answer: _Answer) -> Done | Failure:
        """Return what the last answer means for this operation."""
        judged = self._read(answer) if isinstance(answer, dict) else answer
        if isinstance(judged, Done):
            return judged
        settled = self._operation.settle(judged, ambiguous=self._ambiguous, look=self._look, mask=self._mask)
        # A failure that turns out to be a plain answer, such as a 404 for "none", is nothing to warn of.
        if isinstance(settled, Failure) or settled.warning:
            self._report(judged, wait=None)
        return settled

    def _read(self, answer: dict[str, Any]) -> Done | Failure:
        read = self._operation.done(answer, ambiguous=self._ambiguous, mask=self._mask)
        if isinstance(read, Failure) and read.maybe_done and not self._operation.idempotent:
            return self._unsafe_to_repeat(read)
        return read

    def _attempt_until_settled(self) -> _Answer:
        client = self._client
        loop = retrying(
            self._patience,
            sleep=partial(sleep_until_cancelled, clock=client.clock, is_cancelled=client.is_cancelled),
            before_sleep=self._before_sleep,
        )
        outcome: _Answer = loop(self._attempt)
        return outcome

    def _attempt(self) -> _Answer:
        """Send the request once, unless a look before that ends the call."""
        if self._client.is_cancelled():
            return told_to_stop("nothing more was sent")
        self._attempts += 1
        ready = self._operation.prepare(self._run_once, ambiguous=self._ambiguous)
        if isinstance(ready, Done | Failure):
            return ready
        if self._client.is_cancelled():
            return told_to_stop("nothing more was sent")
        if ready is not None and ready != self._announced:
            self._announced = ready
            self._client.log.info("%s", ready)
        if self._operation.sending():
            ready = self._operation.prepare(self._run_once, ambiguous=self._ambiguous)
            if isinstance(ready, Done | Failure):
                return ready
        return self._send()

    def _send(self) -> _Answer:
        self._is_sent = True
        outcome = self._exchange(self._operation.request, self._operation.expected)
        if not isinstance(outcome, Failure):
            return outcome
        if not self._operation.idempotent and outcome.maybe_done:
            return self._unsafe_to_repeat(outcome)
        if not outcome.maybe_done and not self._ambiguous:
            self._operation.refused()
        # Of the last failure the operation itself judges; the flag speaks of the ones before it.
        if outcome.transient:
            self._ambiguous = self._ambiguous or outcome.maybe_done
        return outcome

    def _exchange(self, request: Request, expected: Expected) -> dict[str, Any] | Failure:
        self._client.last_request_id = None
        reply = self._client.transport.send(request, self._deadline)
        if isinstance(reply, Failure):
            return reply
        request_id = reply.headers.get("x-request-id")
        self._client.last_request_id = optional_text(request_id, mask=self._mask, limit=200)
        return read_reply(reply, expected, mask=self._mask, now=self._client.clock.time())

    def _run_once(self, operation: Operation) -> Done | Failure:
        """Carry out another operation with a single attempt."""
        answer = self._exchange(operation.request, operation.expected)
        judged = (
            answer
            if isinstance(answer, Failure)
            else operation.done(answer, ambiguous=False, mask=self._mask)
        )
        if isinstance(judged, Done):
            return judged
        return operation.settle(judged, ambiguous=False, look=self._look, mask=self._mask)

    def _look(self, path: str) -> dict[str, Any] | Failure:
        """Read a resource once, to settle what an earlier attempt has done."""
        if self._client.is_cancelled():
            return told_to_stop("nothing more was sent")
        return self._exchange(Request("GET", path), Expected())

    def _unsafe_to_repeat(self, failure: Failure) -> Failure:
        if issubclass(failure.error, AirflowFailException):
            return replace(failure, advice=f"{failure.advice} {self._operation.look_first}".strip())
        return replace(
            failure,
            error=AitronosUnsafeToRepeatError,
            what=f"it is unknown whether it was carried out ({failure.what})",
            advice=self._operation.look_first,
            transient=False,
        )

    def _stopped(self, outcome: Done | Failure) -> Failure:
        """Return the end of a call whose task was told to stop: never a success."""
        if isinstance(outcome, Done):
            # The task will not return this value, so the log and the error are all that keep it.
            answered = told_to_stop(f"but the answer still came: {outcome.summary}")
            if not self._operation.idempotent:
                # Airflow would send it once more with the next try.
                answered = replace(
                    answered,
                    error=AitronosUnsafeToRepeatError,
                    what=f"the task was told to stop, {answered.what}",
                    advice="It was carried out: another run of the task does it once more.",
                )
            return replace(answered, maybe_done=self._is_sent, settles=True, facts=outcome.facts)
        if issubclass(outcome.error, AirflowFailException | AitronosCancelledError):
            return outcome
        stopped = told_to_stop(outcome.what)
        return replace(stopped, maybe_done=outcome.maybe_done, facts=outcome.facts)

    def _before_sleep(self, state: RetryCallState) -> None:
        self._report(last_outcome(state), wait=state.upcoming_sleep)

    def _report(self, failure: Failure, wait: float | None) -> None:
        """Log a failed attempt, once."""
        if self._reported < self._attempts:
            self._reported = self._attempts
            self._client.log.warning("%s", attempt_line(self._facts(), failure, wait))

    def _error(self, failure: Failure) -> AitronosError:
        # A reply that was good as such, but not for this call, has no envelope to name it.
        last = self._client.last_request_id
        if last is not None and failure.facts.get("request_id") is None:
            named = {"request_id": last, "trace_id": failure.facts.get("trace_id") or last}
            failure = replace(failure, facts={**failure.facts, **named})
        text = error_text(self._facts(), failure)
        self._client.log.error("%s", text)
        facts = {**self._operation.facts(), **failure.facts}
        maybe_done = may_have_taken_effect(self._facts(), failure)
        return failure.error(text, **facts, attempts=self._attempts, maybe_done=maybe_done)

    def _facts(self) -> CallFacts:
        return CallFacts(
            intent=self._operation.intent,
            conn_id=self._client.settings.conn_id,
            attempts=self._attempts,
            max_attempts=self._client.settings.max_attempts,
            ambiguous=self._ambiguous,
            reason=self._patience.reason,
            seconds=self._deadline.elapsed(),
            is_reading=self._operation.request.method == "GET",
        )
