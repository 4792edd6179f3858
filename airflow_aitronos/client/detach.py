"""Detach: take the workflow off an assistant, and know whether that has happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from airflow_aitronos.client.detach_rules import DetachOutcome, DetachRules
from airflow_aitronos.client.envelope import Expected
from airflow_aitronos.client.ids import check_id
from airflow_aitronos.client.links import (
    LinkOperation,
    get_assistant_workflow,
    is_api_404,
    link_path,
    linked_in,
    names_the_assistant,
    names_the_link,
)
from airflow_aitronos.client.mask import Mask
from airflow_aitronos.client.operation import Done, Look, Operation, RunOnce
from airflow_aitronos.client.options import IfNotAttached, check_options
from airflow_aitronos.client.reply import Failure
from airflow_aitronos.client.safe_text import optional_text, safe_text
from airflow_aitronos.client.transport import Request
from airflow_aitronos.client.workflows import Workflow, WorkflowSummary
from airflow_aitronos.exceptions import (
    AitronosOutcomeUnknownError,
    AitronosResponseError,
    AitronosWrongResourceError,
)

_DOCUMENTED_FIELDS = ("assistant_id", "workflow_id", "message")


class Memory(Protocol):
    """
    What is known of the DELETEs that were sent: within one call, or longer.

    ``was_sent``: whether one was sent before this call whose outcome nobody knows. ``workflow``: the one that
    was linked when a DELETE was sent; None if that is not known.
    """

    was_sent: bool
    workflow: WorkflowSummary | None

    def keep(self, workflow: WorkflowSummary | None) -> bool:
        """
        Note that a DELETE is about to be sent.

        :param workflow: the one that is linked, None if that is not known.
        :return: whether that has taken its time.
        """

    def refused(self) -> None:
        """Note that no DELETE was carried out so far, in this call and before."""


class CallMemory:
    """Remember within one call only."""

    was_sent = False

    def __init__(self) -> None:
        self.workflow: WorkflowSummary | None = None

    def keep(self, workflow: WorkflowSummary | None) -> bool:
        """
        Note that a DELETE is about to be sent.

        :param workflow: the one that is linked, None if that is not known.
        :return: False: that takes no time.
        """
        self.workflow = workflow
        return False

    def refused(self) -> None:
        """Note that no DELETE was carried out: nothing outlives the call that could say otherwise."""


def detach_operation(rules: DetachRules, memory: Memory | None = None) -> DetachOperation:
    """
    Return the operation that detaches an assistant's workflow.

    :param rules: what to take off, and from which assistant.
    :param memory: what earlier calls have sent, and what this one sends; for this call alone unless given.
    """
    memory = memory or CallMemory()
    return DetachOperation(
        request=Request("DELETE", link_path(rules.assistant_id)),
        intent=f"detach the workflow of assistant '{rules.assistant_id}'",
        # A second DELETE finds nothing to detach: no harm.
        idempotent=True,
        expected=Expected(empty=True),
        subject={"assistant_id": rules.assistant_id},
        ambiguous=memory.was_sent,
        rules=rules,
        memory=memory,
    )


def check_operation(rules: DetachRules) -> CheckOperation:
    """
    Return the operation that only looks at what a detach would take off.

    :param rules: what to take off, and from which assistant.
    """
    link = get_assistant_workflow(rules.assistant_id)
    return CheckOperation(
        request=link.request,
        intent=f"check what a detach would take off assistant '{rules.assistant_id}'",
        idempotent=True,
        expected=link.expected,
        subject=link.subject,
        rules=rules,
        link=link,
    )


def check_rules(
    assistant_id: object,
    expected_workflow_id: object,
    *,
    if_not_attached: IfNotAttached | None,
    record_workflow: bool | None,
    include_workflow_details: bool,
    check_only: bool,
) -> DetachRules:
    """
    Return the rules of a detach, checked.

    :param assistant_id: the assistant.
    :param expected_workflow_id: the only workflow to take off; None for any.
    :param if_not_attached: what it means that nothing is linked; None to leave that to the API.
    :param record_workflow: whether the link is read before a DELETE; None for "if the others need it".
    :param include_workflow_details: whether the result tells more of the workflow than its id.
    :param check_only: whether no DELETE is sent.
    :raises AitronosInputError: if an id cannot be sent, or an option has no legal value.
    """
    check_options(
        if_not_attached=if_not_attached,
        record_workflow=record_workflow,
        include_workflow_details=include_workflow_details,
        check_only=check_only,
    )
    assistant, expected = check_id("assistant_id", assistant_id), None
    if expected_workflow_id is not None:
        expected = check_id("expected_workflow_id", expected_workflow_id)
    return DetachRules(
        assistant_id=assistant,
        expected_workflow_id=expected,
        if_not_attached=if_not_attached,
        record=bool(record_workflow),
        details=include_workflow_details,
    )


@dataclass(frozen=True, kw_only=True)
class DetachOperation(Operation):
    """
    ``DELETE /v1/assistants/{assistant_id}/workflow``; its value is a :class:`DetachOutcome`.

    :param rules: what to take off, and from which assistant.
    :param memory: what is known of the DELETEs that were sent.
    """

    rules: DetachRules
    memory: Memory

    def prepare(self, run: RunOnce, *, ambiguous: bool) -> Done | Failure | str | None:
        """Read the link if the rules ask for it, and say what will be detached, or why nothing will."""
        if not self.rules.reads_link:
            return None
        found = run(get_assistant_workflow(self.rules.assistant_id))
        if isinstance(found, Failure):
            return replace(found, what=f"on the look at what is linked: {found.what}", maybe_done=False)
        to_detach = self.rules.judge_link(found.value, known=self.memory.workflow, ambiguous=ambiguous)
        if isinstance(to_detach, Done | Failure):
            return to_detach
        self.memory.workflow = to_detach
        return f"Detaching workflow {_shown(to_detach)} from assistant '{self.rules.assistant_id}'"

    def sending(self) -> bool:
        """Remember that a DELETE is sent, before it is."""
        # It may have waited for Airflow's API server: a guard then has to look again.
        return self.memory.keep(self.memory.workflow) and self.rules.expected_workflow_id is not None

    def refused(self) -> None:
        """Remember that no DELETE was carried out."""
        self.memory.refused()

    def facts(self) -> Mapping[str, Any]:
        """Return the assistant, and the workflow that was linked before, as far as that is known."""
        known = self.memory.workflow
        return self.subject if known is None else {**self.subject, "workflow_id": known["id"]}

    def named(self) -> Iterable[str]:
        """Return the ids that the caller has named."""
        return self.rules.named()

    def done(self, body: dict[str, Any], *, ambiguous: bool, mask: Mask) -> Done | Failure:
        """Return the three documented fields, or the failure of a reply that is not about this assistant."""
        if body and not any(name in body for name in _DOCUMENTED_FIELDS):
            return Failure(
                AitronosResponseError,
                "HTTP 200 with none of the documented fields",
                "Check that Host of the connection is the API.",
                maybe_done=True,
                facts={"status_code": 200},
            )
        answered = body.get("assistant_id")
        if answered is not None and answered != self.rules.assistant_id:
            return Failure(
                AitronosWrongResourceError,
                f"the answer speaks of assistant '{safe_text(answered, mask=mask, limit=130)}' "
                f"(workflow '{safe_text(body.get('workflow_id'), mask=mask, limit=130)}')",
                "Look at the workflows of both assistants, and tell the vendor.",
                maybe_done=True,
                facts={"status_code": 200, "workflow_id": optional_text(body.get("workflow_id"), mask=mask)},
            )
        return self._detached(body, ambiguous=ambiguous, mask=mask)

    def _detached(self, body: dict[str, Any], *, ambiguous: bool, mask: Mask) -> Done | Failure:
        workflow_id = optional_text(body.get("workflow_id"), mask=mask)
        message = optional_text(body.get("message"), mask=mask)
        known, wanted = self.memory.workflow, self.rules.expected_workflow_id
        if workflow_id is not None and wanted is not None and workflow_id != wanted:
            return self.rules.wrong_one_taken_off(workflow_id, wanted)
        says_none = bool(body) and body.get("workflow_id") is None
        if says_none and known is None and not ambiguous:
            judged = self.rules.not_attached(message)
            if isinstance(judged, Failure):
                return judged
            outcome: DetachOutcome = judged.value
        else:
            outcome = DetachOutcome(self.rules.result(known, workflow_id, message))
        taken_off = outcome.result["workflow_id"]
        summary = (
            f"Detached workflow '{taken_off}' from assistant '{self.rules.assistant_id}'"
            if taken_off is not None
            else f"Assistant '{self.rules.assistant_id}' has no workflow linked now; "
            "none was named as detached"
        )
        notes = _notes(body, workflow_id, known, ambiguous=ambiguous, mask=mask)
        if workflow_id is not None and (known is None or known["id"] != workflow_id):
            self.memory.workflow = WorkflowSummary(id=workflow_id, name=None, version=None, external_id=None)
        facts = {} if taken_off is None else {"workflow_id": taken_off}
        return Done(outcome, "; ".join([summary, *notes]), warning=bool(notes), facts=facts)

    def settle(self, failure: Failure, *, ambiguous: bool, look: Look, mask: Mask) -> Done | Failure:
        """
        Return what a 404 means: nothing is linked, nothing is linked any more, or no such assistant.

        Undocumented is what the API answers where nothing is linked.
        """
        if failure.facts.get("status_code") != 404:
            return failure
        if ambiguous:
            return self._settle_lost_answer(failure, look=look, mask=mask)
        if self.rules.if_not_attached is not None and is_api_404(failure) and names_the_link(failure):
            judged = self.rules.not_attached()
            return replace(judged, facts=failure.facts) if isinstance(judged, Failure) else judged
        return failure

    def _settle_lost_answer(self, failure: Failure, *, look: Look, mask: Mask) -> Done | Failure:
        assistant_id = self.rules.assistant_id
        if not failure.has_envelope:
            return self._unknown(failure.what, failure)
        if names_the_assistant(failure):
            return failure
        found = look(f"/v1/assistants/{assistant_id}")
        if isinstance(found, Failure):
            if found.facts.get("status_code") == 404:
                return failure
            return self._unknown(f"{failure.what}, and a look at the assistant gave {found.what}", failure)
        if found.get("id") != assistant_id:
            return self._unknown(
                f"{failure.what}, and a look at the assistant showed something else", failure
            )
        if linked := linked_in(found):
            shown = safe_text(linked[0], mask=mask, limit=130)
            return replace(
                self._unknown(f"{failure.what}, but the assistant has the workflow '{shown}'", failure),
                advice=f"Look whether '{shown}' is the one to detach: another detach takes it off.",
            )
        return self.rules.taken_off_before(self.memory.workflow)

    def _unknown(self, what: str, failure: Failure) -> Failure:
        return Failure(
            AitronosOutcomeUnknownError,
            f"the answer to an earlier attempt was lost, and then came {what}",
            f"Look at the workflow of assistant '{self.rules.assistant_id}'; another detach does no harm.",
            facts=failure.facts,
        )


@dataclass(frozen=True, kw_only=True)
class CheckOperation(Operation):
    """
    Read the link, and judge it as a detach would; its value is a :class:`DetachOutcome`.

    :param rules: what a detach would take off, and from which assistant.
    :param link: reads what is linked.
    """

    rules: DetachRules
    link: LinkOperation

    def named(self) -> Iterable[str]:
        """Return the ids that the caller has named."""
        return self.rules.named()

    def done(self, body: dict[str, Any], *, ambiguous: bool, mask: Mask) -> Done | Failure:
        """Return what would be detached."""
        return self._judge(self.link.done(body, ambiguous=ambiguous, mask=mask))

    def settle(self, failure: Failure, *, ambiguous: bool, look: Look, mask: Mask) -> Done | Failure:
        """Return what a 404 means: nothing to detach, or no such assistant."""
        return self._judge(self.link.settle(failure, ambiguous=ambiguous, look=look, mask=mask))

    def _judge(self, found: Done | Failure) -> Done | Failure:
        if isinstance(found, Failure):
            return found
        linked: Workflow | None = found.value
        would = self.rules.judge_link(linked, known=None, ambiguous=False)
        if isinstance(would, Done | Failure):
            return would
        return Done(
            DetachOutcome(self.rules.result(would)),
            f"Would detach workflow {_shown(would)} from assistant '{self.rules.assistant_id}'; "
            "nothing was detached: check_only is set",
        )


def _shown(workflow: WorkflowSummary) -> str:
    """Return a workflow's id, and what else is known of it, on one line."""
    known = [workflow["name"], None if workflow["version"] is None else f"version {workflow['version']}"]
    more = ", ".join(one for one in known if one)
    return f"'{workflow['id']}'" + (f" ({more})" if more else "")


def _notes(
    body: dict[str, Any],
    workflow_id: str | None,
    known: WorkflowSummary | None,
    *,
    ambiguous: bool,
    mask: Mask,
) -> list[str]:
    """Return what a person should know of a detach that succeeded."""
    named = body.get("workflow_id")
    notes = []
    if not body:
        notes.append("the API answered 204, which names no workflow")
    elif body.get("assistant_id") is None:
        notes.append("the answer named no assistant")
    if workflow_id is None and named is not None:
        notes.append(f"the answer held '{safe_text(named, mask=mask, limit=200)}' for the workflow's id")
    if workflow_id is None and ambiguous:
        notes.append("an earlier attempt, whose answer was lost, probably detached it")
    elif workflow_id is None and known is not None:
        notes.append("the id is the one that was linked just before")
    if workflow_id is not None and known is not None and workflow_id != known["id"]:
        notes.append(f"just before, '{known['id']}' was linked")
    return notes
