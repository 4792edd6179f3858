"""The link between an assistant and its workflow: how to read it, and what "none" looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_aitronos.client.envelope import Expected
from airflow_aitronos.client.ids import check_id, expand_path
from airflow_aitronos.client.mask import Mask
from airflow_aitronos.client.operation import Done, Look
from airflow_aitronos.client.reply import Failure
from airflow_aitronos.client.transport import Request
from airflow_aitronos.client.workflows import WorkflowOperation

_ASSISTANT_IS_UNKNOWN = "assistant_not_found"


@dataclass(frozen=True, kw_only=True)
class LinkOperation(WorkflowOperation):
    """
    ``GET /v1/assistants/{assistant_id}/workflow``; its value is None if no workflow is linked.

    :param assistant_id: the assistant, checked.
    """

    assistant_id: str

    def done(self, body: dict[str, Any], *, ambiguous: bool, mask: Mask) -> Done | Failure:
        """Return the workflow, or None for a reply of JSON's null."""
        return super().done(body, ambiguous=ambiguous, mask=mask) if body else self._nothing_linked()

    def settle(self, failure: Failure, *, ambiguous: bool, look: Look, mask: Mask) -> Done | Failure:
        """
        Return what a 404 means: that nothing is linked, or that there is no such assistant.

        Undocumented is what the API answers where nothing is linked.
        """
        if not is_api_404(failure) or names_the_assistant(failure):
            return failure
        if names_the_link(failure):
            return self._nothing_linked()
        found = look(f"/v1/assistants/{self.assistant_id}")
        if isinstance(found, Failure):
            # What keeps the look from telling may pass, unlike a 404.
            return failure if found.facts.get("status_code") == 404 else found
        if found.get("id") != self.assistant_id or linked_in(found):
            return failure
        return self._nothing_linked()

    def _nothing_linked(self) -> Done:
        return Done(None, f"Assistant '{self.assistant_id}' has no workflow linked")


def get_assistant_workflow(assistant_id: object) -> LinkOperation:
    """
    Return the operation that reads which workflow is linked to an assistant.

    :param assistant_id: the assistant, unchecked.
    :raises AitronosInputError: if it cannot be sent.
    """
    checked = check_id("assistant_id", assistant_id)
    return LinkOperation(
        request=Request("GET", link_path(checked)),
        intent=f"read the workflow of assistant '{checked}'",
        idempotent=True,
        expected=Expected(null=True),
        subject={"assistant_id": checked},
        assistant_id=checked,
    )


def link_path(assistant_id: str) -> str:
    """
    Return the path of the link, to read and to delete.

    :param assistant_id: the assistant, checked.
    """
    return expand_path("/v1/assistants/{assistant_id}/workflow", {"assistant_id": assistant_id})


def is_api_404(failure: Failure) -> bool:
    """
    Return whether the API itself says 404, and not some other server.

    :param failure: of an attempt.
    """
    return failure.facts.get("status_code") == 404 and failure.has_envelope


def names_the_assistant(failure: Failure) -> bool:
    """
    Return whether a 404 is about the assistant and not about its workflow.

    :param failure: a 404 of the API.
    """
    return _code(failure) == _ASSISTANT_IS_UNKNOWN


def names_the_link(failure: Failure) -> bool:
    """
    Return whether a 404 says that there is no workflow.

    :param failure: a 404 of the API.
    """
    return "workflow" in _code(failure)


def linked_in(assistant: dict[str, Any]) -> list[Any]:
    """
    Return what an assistant names as its workflow, empty if nothing.

    Only the field ``workflow_id`` is known, and only from the vendor's published client: so whatever field
    speaks of a workflow has to say that there is none.

    :param assistant: as the API shows it.
    """
    return [assistant[name] for name in assistant if "workflow" in name.lower() and assistant[name]]


def _code(failure: Failure) -> str:
    return (failure.facts.get("code") or "").lower()
