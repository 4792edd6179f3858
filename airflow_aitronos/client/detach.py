"""Detach: take the workflow off an assistant, and know whether that has happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from airflow_aitronos.client.envelope import Expected
from airflow_aitronos.client.ids import check_id, expand_path
from airflow_aitronos.client.operation import Done, Look, Operation
from airflow_aitronos.client.reply import Failure
from airflow_aitronos.client.safe_text import Mask, optional_text, safe_text
from airflow_aitronos.client.transport import Request
from airflow_aitronos.exceptions import (
    AitronosOutcomeUnknownError,
    AitronosResponseError,
    AitronosWrongResourceError,
)

_DOCUMENTED_FIELDS = ("assistant_id", "workflow_id", "message")
ASSISTANT_IS_UNKNOWN = "assistant_not_found"
"""The code, in lower case, of a 404 that is about the assistant and not about its workflow."""


class DetachResult(TypedDict):
    """
    What a detach returns ("Detach workflow from assistant" page of the vendor's API reference).

    ``workflow_id`` is None if no workflow was linked, or if the answer that named it was lost.
    """

    assistant_id: str
    workflow_id: str | None
    message: str | None


def detach_operation(assistant_id: object) -> DetachOperation:
    """
    Return the operation that detaches an assistant's workflow.

    :param assistant_id: the assistant, unchecked.
    :raises AitronosInputError: if it cannot be sent.
    """
    checked = check_id("assistant_id", assistant_id)
    path = expand_path("/v1/assistants/{assistant_id}/workflow", {"assistant_id": checked})
    return DetachOperation(
        request=Request("DELETE", path),
        intent=f"detach the workflow of assistant '{checked}'",
        # A second DELETE finds nothing to detach: no harm.
        idempotent=True,
        expected=Expected(empty=True),
        subject={"assistant_id": checked},
        assistant_id=checked,
    )


@dataclass(frozen=True, kw_only=True)
class DetachOperation(Operation):
    """
    ``DELETE /v1/assistants/{assistant_id}/workflow``.

    :param assistant_id: the assistant, checked.
    """

    assistant_id: str

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
        if answered is not None and answered != self.assistant_id:
            return Failure(
                AitronosWrongResourceError,
                f"the answer speaks of assistant '{safe_text(answered, mask=mask, limit=130)}' "
                f"(workflow '{safe_text(body.get('workflow_id'), mask=mask, limit=130)}')",
                "Look at the workflows of both assistants, and tell the vendor.",
                facts={"status_code": 200},
            )
        workflow_id = optional_text(body.get("workflow_id"), mask=mask)
        result = DetachResult(
            assistant_id=self.assistant_id,
            workflow_id=workflow_id,
            message=optional_text(body.get("message"), mask=mask),
        )
        notes = _notes(body, workflow_id, ambiguous=ambiguous, mask=mask)
        if workflow_id is not None:
            summary = f"Detached workflow '{workflow_id}' from assistant '{self.assistant_id}'"
        else:
            summary = (
                f"Assistant '{self.assistant_id}' has no workflow linked now; none was named as detached"
            )
        return Done(dict(result), "; ".join([summary, *notes]), warning=bool(notes))

    def settle(self, failure: Failure, *, ambiguous: bool, look: Look, mask: Mask) -> Done | Failure:
        """
        Return what a 404 means when an earlier attempt may have detached the workflow already.

        Undocumented is what the API answers where nothing is linked: a 404 can mean that, or that there is no
        such assistant.
        """
        if failure.facts.get("status_code") != 404 or not ambiguous:
            return failure
        code = failure.facts.get("code")
        if not failure.has_envelope:
            return self._unknown(failure.what, failure)
        if code is not None and code.lower() == ASSISTANT_IS_UNKNOWN:
            return failure
        found = look(f"/v1/assistants/{self.assistant_id}")
        if isinstance(found, Failure):
            if found.facts.get("status_code") == 404:
                return failure
            return self._unknown(f"{failure.what}, and a look at the assistant gave {found.what}", failure)
        if found.get("id") != self.assistant_id:
            return self._unknown(
                f"{failure.what}, and a look at the assistant showed something else", failure
            )
        # Whatever field speaks of a workflow has to say that there is none: only "workflow_id" is known, and
        # only from the vendor's published client.
        linked = [
            found[name] for name in found if "workflow" in name.lower() and found[name] not in (None, "")
        ]
        if linked:
            shown = safe_text(linked[0], mask=mask, limit=130)
            return self._unknown(f"{failure.what}, but the assistant has the workflow '{shown}'", failure)
        result = DetachResult(assistant_id=self.assistant_id, workflow_id=None, message=None)
        return Done(
            dict(result),
            f"Assistant '{self.assistant_id}' has no workflow linked now; an earlier attempt, whose answer "
            "was lost, probably detached it",
            warning=True,
        )

    def _unknown(self, what: str, failure: Failure) -> Failure:
        return Failure(
            AitronosOutcomeUnknownError,
            f"the answer to an earlier attempt was lost, and then came {what}",
            f"Look at the workflow of assistant '{self.assistant_id}'; another detach does no harm.",
            maybe_done=True,
            facts=failure.facts,
        )


def _notes(body: dict[str, Any], workflow_id: str | None, *, ambiguous: bool, mask: Mask) -> list[str]:
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
    return notes
