"""What a detach may take off, what it returns, and what it means that nothing is linked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from airflow_aitronos.client.operation import Done
from airflow_aitronos.client.options import IfNotAttached
from airflow_aitronos.client.reply import Failure
from airflow_aitronos.client.workflows import Workflow, WorkflowSummary, summary_of
from airflow_aitronos.exceptions import AitronosNotAttachedError, AitronosWorkflowMismatchError


class DetachResult(TypedDict):
    """
    What a detach returns ("Detach workflow from assistant" page of the vendor's API reference).

    ``workflow_id`` is None if no workflow was linked, or if the answer that named it was lost. ``workflow``,
    only where details were asked for, tells more of it; None if that is not known.
    """

    assistant_id: str
    workflow_id: str | None
    message: str | None
    workflow: NotRequired[WorkflowSummary | None]


@dataclass(frozen=True)
class DetachOutcome:
    """
    How a detach ended that is no error.

    :param result: what the caller gets.
    :param was_attached: False if the API says that there was nothing to detach.
    """

    result: DetachResult
    was_attached: bool = True


@dataclass(frozen=True, kw_only=True)
class DetachRules:
    """
    What the caller asked for.

    :param assistant_id: the assistant, checked.
    :param expected_workflow_id: the only workflow to take off, checked; None for any.
    :param record: whether the link is read before a DELETE even if nothing else asks for it.
    :param details: whether the result tells more of the workflow than its id.
    :param if_not_attached: what it means that nothing is linked; None to leave that to the API: a 200 is a
        success and a 404 is an error.
    """

    assistant_id: str
    expected_workflow_id: str | None = None
    record: bool = False
    details: bool = False
    if_not_attached: IfNotAttached | None = None

    @property
    def reads_link(self) -> bool:
        """Return whether the link is read before a DELETE."""
        return self.record or self.details or self.expected_workflow_id is not None

    def named(self) -> Iterable[str]:
        """Return the ids that the caller has named."""
        return filter(None, (self.assistant_id, self.expected_workflow_id))

    def result(
        self, known: WorkflowSummary | None, workflow_id: str | None = None, message: str | None = None
    ) -> DetachResult:
        """
        Return what the caller gets.

        :param known: the workflow that was linked before, as far as that is known.
        :param workflow_id: the one that the API named, if it did.
        :param message: the API's text.
        """
        if workflow_id is None and known is not None:
            workflow_id = known["id"]
        result = DetachResult(assistant_id=self.assistant_id, workflow_id=workflow_id, message=message)
        if self.details:
            result["workflow"] = known if known is not None and known["id"] == workflow_id else None
        return result

    def judge_link(
        self, linked: Workflow | None, *, known: WorkflowSummary | None, ambiguous: bool
    ) -> Done | Failure | WorkflowSummary:
        """
        Return the workflow to detach, or the end of the call if nothing is to be sent.

        :param linked: the workflow that is linked now.
        :param known: the one that was linked when a DELETE was sent, as far as that is known.
        :param ambiguous: whether a DELETE may have been carried out already.
        """
        if linked is None:
            return self.taken_off_before(known) if ambiguous else self.not_attached()
        found, wanted = summary_of(linked), self.expected_workflow_id
        if wanted is not None and found["id"] != wanted:
            return self._another_is_linked(found["id"], wanted, ambiguous=ambiguous)
        if wanted is None and ambiguous and known is not None and found["id"] != known["id"]:
            return Done(
                DetachOutcome(self.result(known)),
                f"Workflow '{known['id']}' is off assistant '{self.assistant_id}': an earlier attempt, whose "
                f"answer was lost, probably detached it; '{found['id']}', linked since then, stays linked",
                warning=True,
            )
        return found

    def taken_off_before(self, known: WorkflowSummary | None) -> Done:
        """
        Return the success of a detach whose answer was lost: nothing is linked any more.

        :param known: the workflow that was linked when a DELETE was sent, as far as that is known.
        """
        which = f"workflow '{known['id']}'" if known is not None else "it"
        return Done(
            DetachOutcome(self.result(known)),
            f"Assistant '{self.assistant_id}' has no workflow linked now; an earlier attempt, whose answer "
            f"was lost, probably detached {which}",
            warning=True,
        )

    def not_attached(self, message: str | None = None) -> Done | Failure:
        """
        Return what it means that there is nothing to detach.

        :param message: the API's text.
        """
        if self.if_not_attached == "fail":
            return Failure(
                AitronosNotAttachedError,
                "no workflow is linked to it",
                "If that is no fault, set if_not_attached to 'succeed' or 'skip'.",
            )
        return Done(
            DetachOutcome(self.result(None, message=message), was_attached=False),
            f"Assistant '{self.assistant_id}' has no workflow linked; there was nothing to detach",
        )

    def wrong_one_taken_off(self, workflow_id: str, wanted: str) -> Failure:
        """
        Return the failure of a detach that hit another workflow than the one that was read before.

        :param workflow_id: the one that was taken off.
        :param wanted: the one that was expected.
        """
        return Failure(
            AitronosWorkflowMismatchError,
            f"the API has detached workflow '{workflow_id}', not the expected '{wanted}': it was linked "
            "between the look and the detach",
            "No call links it again: see 'I detached the wrong one' in the documentation.",
            maybe_done=True,
            settles=True,
            facts={"status_code": 200, "workflow_id": workflow_id, "expected_workflow_id": wanted},
        )

    def _another_is_linked(self, linked: str, wanted: str, *, ambiguous: bool) -> Failure:
        what = f"the workflow '{linked}' is linked, not the expected '{wanted}', and stays linked"
        if ambiguous:
            what += f"; an earlier attempt, whose answer was lost, may have detached '{wanted}' before that"
        return Failure(
            AitronosWorkflowMismatchError,
            what,
            f"If '{linked}' is to be detached too, put it into expected_workflow_id.",
            settles=True,
            facts={"workflow_id": linked, "expected_workflow_id": wanted},
        )
