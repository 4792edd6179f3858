"""
Detach the workflow of an assistant, and know whether that has happened.

What an assistant without a workflow answers, or an unknown one, is not documented ("Detach workflow from
assistant" page): 200 with null, 204 and several kinds of 404 are all understood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypedDict

from airflow_aitronos.client.api_call import OK_OR_EMPTY, Call, Client
from airflow_aitronos.client.sanitize import optional_text, safe_text
from airflow_aitronos.client.validation import IfNotAttached, check_bool, check_detach_options, check_id
from airflow_aitronos.client.workflows import (
    WorkflowSummary,
    invalid,
    is_about_assistant,
    is_about_link,
    link_path,
    read_assistant_link,
    read_link,
    summary_of,
    wrong,
)
from airflow_aitronos.exceptions import (
    AitronosError,
    AitronosNotAttachedError,
    AitronosNotFoundError,
    AitronosOutcomeUnknownError,
    AitronosWorkflowMismatchError,
)

Outcome = Literal["detached", "not_attached", "would_detach"]


class DetachResult(TypedDict):
    """
    The result of a detach ("Detach workflow from assistant" page), and its outcome.

    ``workflow_id`` is None if no workflow was linked, or if no response named it. ``workflow``, only with
    ``include_workflow_details``, says more of it; None if that is not known.
    """

    assistant_id: str
    workflow_id: str | None
    message: str | None
    outcome: Outcome
    workflow: NotRequired[WorkflowSummary | None]


class SentState:
    """
    What is known of the DELETEs that were sent, by this call or, in a subclass, by earlier tries of a task.

    ``maybe_done``: whether one may have been carried out before this call. ``workflow``: what was linked
    then.
    """

    maybe_done = False
    workflow: WorkflowSummary | None = None

    def sending(self, workflow: WorkflowSummary | None) -> None:
        """Record that a DELETE is about to be sent, and what is linked, None if that is not known."""
        self.workflow = workflow

    def not_carried_out(self) -> None:
        """Record that no DELETE was carried out so far."""


@dataclass
class Wanted:
    """
    What the caller asked for, checked; the fields as in :meth:`AitronosHook.detach_assistant_workflow`.

    :raises AitronosInputError: if an id cannot be sent, or an option has no legal value.
    """

    assistant_id: str
    expected_workflow_id: str | None
    if_not_attached: IfNotAttached | None
    record_workflow: bool | None
    include_workflow_details: bool
    check_only: bool
    reads_link: bool = field(init=False)
    """Whether the link is read before each DELETE."""

    def __post_init__(self) -> None:
        """Check all of it."""
        check_detach_options(self.if_not_attached, self.record_workflow, self.include_workflow_details)
        check_bool("check_only", self.check_only)
        self.assistant_id = check_id("assistant_id", self.assistant_id)
        if self.expected_workflow_id is not None:
            self.expected_workflow_id = check_id("expected_workflow_id", self.expected_workflow_id)
        is_asked = self.record_workflow or self.include_workflow_details or self.check_only
        self.reads_link = bool(is_asked) or self.expected_workflow_id is not None


class Detach:
    """
    One detach: what was asked for, what is linked as far as that is known, and the call that sends it.

    :param client: makes the requests.
    :param wanted: what the caller asked for.
    :param state: what is known of DELETEs that were sent before.
    """

    def __init__(self, client: Client, wanted: Wanted, state: SentState) -> None:
        does = "check what a detach would do to" if wanted.check_only else "detach the workflow of"
        self.wanted = wanted
        self.assistant = f"assistant '{wanted.assistant_id}'"
        self.state = state
        self.linked = state.workflow
        self.may_be_detached = state.maybe_done
        """Whether a DELETE before the current one may have been carried out."""
        self.is_probable = False
        """Whether only that one can have detached it."""
        self.call = Call(
            client,
            f"{does} {self.assistant}",
            ids={"assistant_id": wanted.assistant_id, "workflow_id": self.linked and self.linked["id"]},
            maybe_done=state.maybe_done,
        )

    def run(self) -> DetachResult:
        """
        Read the link if asked to, send the DELETE, judge the response: all of it again in each attempt.

        :return: the result.
        :raises AitronosError: one of its subclasses for any other outcome.
        """
        call, state = self.call, self.state
        for attempt in call.attempts():
            with attempt:
                self.may_be_detached = call.maybe_done
                if self.wanted.reads_link and (result := self.check_link()):
                    return result
                state.sending(self.linked)
                try:
                    body = call.request("DELETE", link_path(self.wanted.assistant_id), accepted=OK_OR_EMPTY)
                except AitronosError as raised:
                    error = raised
                else:
                    return self.read_body(body)
                if not call.maybe_done:
                    state.not_carried_out()
                if isinstance(error, AitronosNotFoundError):
                    return self.resolve_404(error)
                raise error
        raise AssertionError("attempts() raises")  # pragma: no cover

    def check_link(self) -> DetachResult | None:
        """Read what is linked; return the result if no DELETE is to be sent."""
        known, expected, not_found = self.linked, self.wanted.expected_workflow_id, None
        try:
            workflow = read_link(self.call, self.wanted.assistant_id)
        except AitronosNotFoundError as raised:
            workflow, not_found = None, raised
        if not_found is not None:
            is_unclear = self.may_be_detached and not is_about_assistant(not_found)
            raise self.unknown(not_found.cause, not_found) if is_unclear else not_found
        if workflow is None:
            return self.detached_before() if self.may_be_detached else self.not_attached()
        linked = summary_of(workflow)
        if expected is not None and linked["id"] != expected:
            raise AitronosWorkflowMismatchError(
                f"Workflow '{linked['id']}' is linked, not the expected '{expected}'; it stays linked.",
                fix=f"If '{linked['id']}' should be detached too, set expected_workflow_id to it.",
                workflow_id=linked["id"],
                expected_workflow_id=expected,
            )
        if self.may_be_detached and known is not None and linked["id"] != known["id"]:
            return self.detached_before(f"; '{linked['id']}', linked since then, stays linked")
        self.linked, self.call.ids["workflow_id"] = linked, linked["id"]
        more = [linked["name"], f"version {linked['version']}" if linked["version"] is not None else None]
        which = ", ".join([f"'{linked['id']}'", *filter(None, more)])
        if self.wanted.check_only:
            self.call.succeed(f"Would detach workflow {which} from {self.assistant}; nothing was changed")
            return self.result("would_detach", linked["id"])
        if linked != known:
            self.call.client.log.info(f"Detaching workflow {which} from {self.assistant}")
        return None

    def read_body(self, body: dict[str, Any]) -> DetachResult:
        """Return what a 200 or 204 to the DELETE means."""
        if body and not {"assistant_id", "workflow_id", "message"} & set(body):
            raise invalid("HTTP 200 whose body has none of the documented fields.")
        answered, workflow_id = body.get("assistant_id"), body.get("workflow_id")
        named, expected = optional_text(workflow_id, self.call.redact), self.wanted.expected_workflow_id
        if answered is not None and answered != self.wanted.assistant_id:
            error = wrong("assistant", answered, self.wanted.assistant_id, self.call.redact)
            which = f"workflow '{named}'" if named else "no workflow"
            error.workflow_id, error.cause = named, f"{error.cause} It names {which}."
            raise error
        if named is not None and expected is not None and named != expected:
            raise AitronosWorkflowMismatchError(
                f"The API detached workflow '{named}', not the expected '{expected}'.",
                fix="It was linked after the read. No call links it again: see the page on recovery.",
                status_code=200,
                maybe_done=True,
                workflow_id=named,
                expected_workflow_id=expected,
            )
        message = optional_text(body.get("message"), self.call.redact)
        if body and workflow_id is None and self.linked is None and not self.may_be_detached:
            return self.not_attached(message, self.warnings(body, named))
        self.is_probable = bool(body) and named is None and self.may_be_detached
        detached = named or (self.linked and self.linked["id"])
        summary = (
            f"Detached workflow '{detached}'" if detached else "Detached a workflow that no response named"
        )
        warnings = self.warnings(body, named)
        self.call.succeed(
            "; ".join([f"{summary} from {self.assistant}", *warnings]),
            warning=bool(warnings),
            ids={"workflow_id": detached},
        )
        return self.result("detached", detached, message)

    def warnings(self, body: dict[str, Any], named: str | None) -> list[str]:
        """Return what a person should know of a success."""
        known = self.linked and self.linked["id"]
        warnings = []
        if not body:
            warnings.append("the API answered 204, which names no workflow")
        elif named is None and body.get("workflow_id") is not None:
            shown = safe_text(body["workflow_id"], self.call.redact, limit=200)
            warnings.append(f"the response names '{shown}' as the workflow")
        if body and body.get("assistant_id") is None:
            warnings.append("the response names no assistant")
        if body and "workflow_id" not in body:
            warnings.append("the response has no workflow_id")
        if named is None and self.may_be_detached:
            warnings.append("an earlier attempt, whose response was lost, probably detached it")
        elif named is None and known is not None:
            warnings.append("its id is the one that was linked just before")
        elif known not in (None, named):
            warnings.append(f"just before, '{known}' was linked")
        return warnings

    def resolve_404(self, not_found: AitronosNotFoundError) -> DetachResult:
        """Return what a 404 to the DELETE means; ask the assistant itself if the code does not say."""
        if not not_found.has_envelope and self.may_be_detached:
            raise self.unknown(not_found.cause, not_found)
        means_nothing_linked = self.may_be_detached or self.wanted.if_not_attached is not None
        if not not_found.has_envelope or is_about_assistant(not_found) or not means_nothing_linked:
            raise not_found
        link, failed = "none", None
        if not is_about_link(not_found):
            try:
                link = read_assistant_link(self.call, self.wanted.assistant_id)
            except AitronosError as raised:
                failed = raised
        if failed is not None and self.may_be_detached and failed.outcome == "retryable":
            raise self.unknown(f"{not_found.cause} Reading the assistant failed: {failed.cause}", failed)
        if failed is not None:
            raise failed
        if link == "none":
            return self.detached_before() if self.may_be_detached else self.not_attached()
        if link == "unclear" and self.may_be_detached:
            raise self.unknown(
                f"{not_found.cause} The assistant does not say that none is linked.", not_found
            )
        raise not_found

    def detached_before(self, more: str = "") -> DetachResult:
        """Return the success of a DELETE whose response was lost: its workflow is not linked any more."""
        self.is_probable, known = True, self.linked and self.linked["id"]
        which = f"workflow '{known}'" if known else "a workflow"
        self.call.succeed(
            f"An earlier attempt, whose response was lost, probably detached {which} from {self.assistant}"
            f"{more or ', which has no workflow linked now'}",
            warning=True,
            ids={"workflow_id": known},
        )
        return self.result("detached", known)

    def not_attached(self, message: str | None = None, warnings: Sequence[str] = ()) -> DetachResult:
        """Return what it means that there is nothing to detach."""
        if self.wanted.if_not_attached == "fail":
            raise AitronosNotAttachedError(
                f"No workflow is linked to {self.assistant}.",
                fix="If that is no fault, set if_not_attached to 'succeed' or 'skip'.",
            )
        summary = f"No workflow is linked to {self.assistant}: nothing to detach"
        self.call.succeed("; ".join([summary, *warnings]), warning=bool(warnings))
        self.linked = None
        return self.result("not_attached", None, message)

    def unknown(self, cause: str, source: AitronosError) -> AitronosOutcomeUnknownError:
        """Return the error of a detach that an earlier attempt may have done."""
        return AitronosOutcomeUnknownError(
            f"The response to an earlier attempt was lost, then came {cause}",
            fix=f"Check the workflow of {self.assistant}; another detach does no harm.",
            maybe_done=True,
            may_pass_now=source.may_pass_now,
            has_envelope=source.has_envelope,
            retry_after=source.retry_after,
            **source.of_response(),
        )

    def result(self, outcome: Outcome, workflow_id: str | None, message: str | None = None) -> DetachResult:
        """Return what the caller gets."""
        result = DetachResult(
            assistant_id=self.wanted.assistant_id, workflow_id=workflow_id, message=message, outcome=outcome
        )
        if self.wanted.include_workflow_details:
            is_known = self.linked is not None and self.linked["id"] == workflow_id
            result["workflow"] = self.linked if is_known else None
        return result
