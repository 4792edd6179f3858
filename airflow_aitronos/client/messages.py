"""The texts of a call: one line for each failed attempt, and one for its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from airflow_aitronos._compat import AirflowFailException
from airflow_aitronos.client.reply import Failure
from airflow_aitronos.exceptions import AitronosCancelledError


@dataclass(frozen=True)
class CallFacts:
    """
    What the texts tell about a call.

    :param intent: what the call is for, as in "could not …".
    :param conn_id: id of the connection.
    :param attempts: number of requests that the call sent.
    :param max_attempts: number of requests that it might have sent.
    :param ambiguous: whether an earlier attempt may have been carried out.
    :param reason: why a failure that could have been tried again was not.
    :param seconds: duration of the call.
    :param is_reading: whether the call changes nothing in any case.
    """

    intent: str
    conn_id: str
    attempts: int
    max_attempts: int
    ambiguous: bool
    reason: str | None
    seconds: float
    is_reading: bool


def attempt_line(facts: CallFacts, failure: Failure, wait: float | None) -> str:
    """
    Return the log line of one failed attempt.

    :param facts: of the call.
    :param failure: of the attempt.
    :param wait: seconds until the next attempt, None if there is none.
    """
    following = "not tried again" if wait is None else f"next attempt in {wait:.1f} s"
    return (
        f"Attempt {facts.attempts} of {facts.max_attempts} to {facts.intent} failed: "
        f"{failure.error.__name__}: {failure.what}; {following}{_trace(failure)}"
    )


def done_line(facts: CallFacts, summary: str, request_id: str | None) -> str:
    """
    Return the log line of a call that succeeded.

    :param facts: of the call.
    :param summary: what happened.
    :param request_id: the reply's ``x-request-id``.
    """
    request = f", x-request-id {request_id}" if request_id else ""
    return (
        f"{summary} (connection '{facts.conn_id}', attempt {facts.attempts} of {facts.max_attempts}, "
        f"{facts.seconds:.2f} s{request})"
    )


def error_text(facts: CallFacts, failure: Failure) -> str:
    """
    Return the text of the exception that a call ends with: one line for the person who is paged.

    :param facts: of the call.
    :param failure: that the call ends with.
    """
    return " ".join(_sentences(facts, failure))


def may_have_taken_effect(facts: CallFacts, failure: Failure) -> bool:
    """
    Return whether a call may have changed something although it failed.

    :param facts: of the call.
    :param failure: that the call ends with.
    """
    earlier = facts.ambiguous and not failure.settles
    return (earlier or failure.maybe_done) and not facts.is_reading


def _sentences(facts: CallFacts, failure: Failure) -> Iterator[str]:
    what = f"{failure.what}; {facts.reason}" if facts.reason else failure.what
    stop = "" if what.endswith('."') else "."
    if issubclass(failure.error, AitronosCancelledError):
        lead = f"Was told to stop, on the way to {facts.intent} through connection '{facts.conn_id}'"
    else:
        lead = f"Could not {facts.intent} through connection '{facts.conn_id}'"
    yield f"{lead}: {what}{stop}"
    if may_have_taken_effect(facts, failure) and not failure.settles:
        is_the_only_one = failure.maybe_done and facts.attempts == 1
        which = "An earlier attempt" if facts.ambiguous and not is_the_only_one else "It"
        yield f"{which} may have taken effect all the same."
    if issubclass(failure.error, AirflowFailException):
        yield "Trying again cannot help."
    else:
        yield "Trying again may help."
    yield failure.advice
    attempts = (
        f"{facts.attempts} of {facts.max_attempts} attempts" if facts.attempts else "no request was sent"
    )
    yield f"({attempts}, {facts.seconds:.1f} s{_trace(failure)})"


def _trace(failure: Failure) -> str:
    trace_id, request_id = failure.facts.get("trace_id"), failure.facts.get("request_id")
    text = f", trace_id {trace_id}" if trace_id else ""
    if request_id and request_id != trace_id:
        text += f", x-request-id {request_id}"
    return text
