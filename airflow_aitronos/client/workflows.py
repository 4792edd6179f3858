"""The calls on workflows: what they send, and what their replies mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypedDict, cast

from airflow_aitronos.client.envelope import Expected
from airflow_aitronos.client.ids import check_id, expand_path, is_nothing
from airflow_aitronos.client.mask import Mask
from airflow_aitronos.client.operation import Done, Operation
from airflow_aitronos.client.reply import Failure
from airflow_aitronos.client.safe_text import optional_text, safe_text
from airflow_aitronos.client.transport import Request
from airflow_aitronos.exceptions import (
    AitronosInputError,
    AitronosResponseError,
    AitronosWrongResourceError,
)

CREATED = Expected(frozenset({200, 201}))

_KINDS: dict[str, type] = {"definition": dict, "is_active": bool, "active_only": bool}
"""Types of the fields of a body or a query that are no text ("Workflows" pages of the API reference)."""

_CLOCKS_APART = 300.0
"""Seconds that the server's clock and ours may be apart without a workflow being taken for an old one."""


class Workflow(TypedDict):
    """
    A workflow ("Workflows" pages of the vendor's API reference); a field that the API left out is None.

    ``definition`` is the graph of nodes; ``created_at`` and ``updated_at`` are Unix seconds; ``assistant_id``
    is the linked assistant.
    """

    id: str
    organization_id: str | None
    name: str | None
    description: str | None
    definition: dict[str, Any] | None
    version: int | None
    is_active: bool | None
    created_at: int | None
    updated_at: int | None
    created_by: str | None
    external_id: str | None
    assistant_id: str | None
    has_assistant: bool | None


class DeployedWorkflow(Workflow):
    """A workflow, and whether the call made it: None where the answer leaves that open."""

    created: bool | None


class WorkflowSummary(TypedDict):
    """What tells which workflow it is; fit for XCom, unlike the whole definition."""

    id: str
    name: str | None
    version: int | None
    external_id: str | None


class AssistantWorkflow(TypedDict):
    """Which workflow is linked to an assistant, fit for XCom; None for both if none is."""

    assistant_id: str
    workflow_id: str | None
    workflow: WorkflowSummary | None


class PromoteResult(TypedDict):
    """What a promotion returns ("Promote workflow to assistant" page of the vendor's API reference)."""

    assistant_id: str
    workflow_id: str
    message: str | None


@dataclass(frozen=True, kw_only=True)
class WorkflowOperation(Operation):
    """
    A call that answers with one workflow.

    :param workflow_id: the workflow that was asked for; None if the API chooses it.
    """

    workflow_id: str | None = None

    def done(self, body: dict[str, Any], *, ambiguous: bool, mask: Mask) -> Done | Failure:
        """Return the documented fields, or the failure of a reply about something else."""
        workflow = read_workflow(body, self.workflow_id, mask=mask)
        if isinstance(workflow, Failure):
            return workflow
        return Done(dict(workflow), f"Done: {self.intent} (workflow {_which(workflow)})")


@dataclass(frozen=True, kw_only=True)
class CreateOperation(WorkflowOperation):
    """
    ``POST /v1/workflows``, which makes a workflow or updates the one with the same ``external_id``.

    :param shown: which workflow it is, for the log.
    :param started: when the call was made, in Unix seconds.
    """

    shown: str
    started: float

    def done(self, body: dict[str, Any], *, ambiguous: bool, mask: Mask) -> Done | Failure:
        """Return the documented fields and whether the workflow is new, or the failure of another reply."""
        workflow = read_workflow(body, None, mask=mask)
        if isinstance(workflow, Failure):
            return workflow
        # Without an external_id there is nothing that could be updated, and nothing is sent twice.
        created = _is_new(workflow, ambiguous=ambiguous, since=self.started) if self.idempotent else True
        did = {True: "Created", False: "Updated", None: "Created or updated"}[created]
        return Done(
            {**workflow, "created": created},
            f"{did} workflow {self.shown}: {_which(workflow)}",
            facts={"workflow_id": safe_text(workflow["id"], limit=130)},
        )


@dataclass(frozen=True, kw_only=True)
class PromoteOperation(Operation):
    """
    ``POST /v1/workflows/{workflow_id}/promote-to-assistant``.

    :param workflow_id: the workflow, checked.
    """

    workflow_id: str

    def done(self, body: dict[str, Any], *, ambiguous: bool, mask: Mask) -> Done | Failure:
        """Return the documented fields, or the failure of a reply about another workflow."""
        assistant_id = optional_text(body.get("assistant_id"), mask=mask)
        if assistant_id is None:
            return _nonsense("the answer names no assistant")
        answered = body.get("workflow_id", self.workflow_id)
        if answered != self.workflow_id:
            wrong = _wrong("workflow", answered, self.workflow_id, mask)
            what = f"{wrong.what}, and names assistant '{assistant_id}'"
            return replace(wrong, what=what, facts={"assistant_id": assistant_id})
        result = PromoteResult(
            assistant_id=assistant_id,
            workflow_id=self.workflow_id,
            message=optional_text(body.get("message"), mask=mask),
        )
        summary = f"Promoted workflow '{self.workflow_id}' to assistant '{assistant_id}'"
        return Done(dict(result), summary, facts={"assistant_id": assistant_id})


@dataclass(frozen=True, kw_only=True)
class PageOperation(Operation):
    """``GET /v1/workflows``; its value is the page's workflows and the total."""

    def done(self, body: dict[str, Any], *, ambiguous: bool, mask: Mask) -> Done | Failure:
        """Return a list of workflows, and how many there are in all, None if the API does not say."""
        listed, total = body.get("workflows"), body.get("total")
        if not isinstance(listed, list):
            return _nonsense("the answer lists no workflows")
        page = []
        for one in listed:
            workflow = read_workflow(one, None, mask=mask)
            if isinstance(workflow, Failure):
                return workflow
            page.append(workflow)
        known = isinstance(total, int) and not isinstance(total, bool)
        return Done((page, total if known else None), f"Read {len(page)} workflows")


def get_workflow(workflow_id: object) -> WorkflowOperation:
    """
    Return the operation that reads a workflow.

    :param workflow_id: the workflow, unchecked.
    :raises AitronosInputError: if it cannot be sent.
    """
    checked = check_id("workflow_id", workflow_id)
    path = expand_path("/v1/workflows/{workflow_id}", {"workflow_id": checked})
    return WorkflowOperation(
        request=Request("GET", path),
        intent=f"read workflow '{checked}'",
        idempotent=True,
        expected=Expected(),
        subject={"workflow_id": checked},
        workflow_id=checked,
    )


def create_workflow(fields: Mapping[str, Any], *, now: float) -> CreateOperation:
    """
    Return the operation that makes a workflow, or updates the one with the same ``external_id``.

    :param fields: of the body; None stands for "not given".
    :param now: the wall clock, in Unix seconds.
    :raises AitronosInputError: if a field has no legal value.
    """
    body = _checked(fields)
    name, external_id = body.get("name"), body.get("external_id")
    if name is None:
        raise _refusal("a workflow needs a name.")
    if "definition" not in body:
        raise _refusal("a workflow needs a definition.")
    which = shown(name)
    if external_id is not None:
        which += f" (external_id {shown(external_id)})"
    return CreateOperation(
        request=Request("POST", "/v1/workflows", json=body),
        intent=f"create or update workflow {which}",
        # The API finds a workflow by its external_id; without one, sent twice makes two.
        idempotent=external_id is not None,
        expected=CREATED,
        look_first=look_before_creating(which),
        shown=which,
        started=now,
    )


def update_workflow(workflow_id: object, fields: Mapping[str, Any]) -> WorkflowOperation:
    """
    Return the operation that changes a workflow.

    :param workflow_id: the workflow, unchecked.
    :param fields: to change; None stands for "as it is".
    :raises AitronosInputError: if it cannot be sent.
    """
    checked = check_id("workflow_id", workflow_id)
    body = _checked(fields)
    if not body:
        raise _refusal(f"no field of workflow '{checked}' is to be changed.")
    path = expand_path("/v1/workflows/{workflow_id}", {"workflow_id": checked})
    return WorkflowOperation(
        request=Request("PATCH", path, json=body),
        intent=f"update workflow '{checked}'",
        idempotent=False,
        expected=Expected(),
        look_first=f"Read workflow '{checked}': its version and updated_at tell whether it was changed.",
        subject={"workflow_id": checked},
        workflow_id=checked,
    )


def promote_workflow(workflow_id: object, fields: Mapping[str, Any]) -> PromoteOperation:
    """
    Return the operation that makes a new assistant from a workflow.

    :param workflow_id: the workflow, unchecked.
    :param fields: of the body; None stands for "not given".
    :raises AitronosInputError: if it cannot be sent.
    """
    checked = check_id("workflow_id", workflow_id)
    path = expand_path("/v1/workflows/{workflow_id}/promote-to-assistant", {"workflow_id": checked})
    return PromoteOperation(
        request=Request("POST", path, json=_checked(fields)),
        intent=f"promote workflow '{checked}' to an assistant",
        idempotent=False,
        expected=CREATED,
        look_first=look_before_promoting(checked),
        subject={"workflow_id": checked},
        workflow_id=checked,
    )


def shown(name: object) -> str:
    """
    Return a name in quotes, as safe text.

    :param name: unchecked.
    """
    return f"'{safe_text(name, limit=100)}'"


def look_before_creating(which: str) -> str:
    """
    Return what to look at before a workflow is created once more.

    :param which: workflow, in quotes.
    """
    return f"List the workflows and look for the name {which}: if it is there, it was created."


def look_before_promoting(workflow_id: str) -> str:
    """
    Return what to look at before a workflow is promoted once more.

    :param workflow_id: the workflow, checked.
    """
    return f"Read workflow '{workflow_id}': if its assistant_id names a new assistant, it was promoted."


def list_workflows(filters: Mapping[str, Any], *, limit: int, offset: int) -> PageOperation:
    """
    Return the operation that reads one page of the workflows.

    :param filters: of the query; None stands for "not given".
    :param limit: workflows at most.
    :param offset: workflows to leave out at the beginning.
    """
    query = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in _checked(filters).items()
    }
    return PageOperation(
        request=Request("GET", "/v1/workflows", params={**query, "limit": limit, "offset": offset}),
        intent="list the workflows",
        idempotent=True,
        expected=Expected(),
    )


def read_workflow(body: object, asked: str | None, *, mask: Mask) -> Workflow | Failure:
    """
    Return the documented fields of a workflow, or the failure of a reply that is none.

    :param body: that should be a workflow.
    :param asked: id of the workflow that was asked for, None for any.
    :param mask: replaces secrets.
    """
    answered = body.get("id") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(answered, str) or not answered.strip():
        return _nonsense("the answer names no workflow")
    if asked is not None and answered != asked:
        return _wrong("workflow", answered, asked, mask)
    return cast("Workflow", {name: body.get(name) for name in Workflow.__annotations__})


def summary_of(workflow: Workflow) -> WorkflowSummary:
    """
    Return what tells which workflow it is, as safe text.

    :param workflow: the whole of it.
    """
    version = workflow["version"]
    return WorkflowSummary(
        id=safe_text(workflow["id"]),
        name=optional_text(workflow["name"]),
        version=version if isinstance(version, int) and not isinstance(version, bool) else None,
        external_id=optional_text(workflow["external_id"]),
    )


def link_of(assistant_id: str, workflow: Workflow | None) -> AssistantWorkflow:
    """
    Return which workflow is linked to an assistant, in short.

    :param assistant_id: the assistant, checked or not.
    :param workflow: its workflow, None for none.
    """
    summary = summary_of(workflow) if workflow is not None else None
    return AssistantWorkflow(
        assistant_id=assistant_id.strip(), workflow_id=summary["id"] if summary else None, workflow=summary
    )


def _which(workflow: Workflow) -> str:
    """Return a workflow's id and version, as safe text."""
    summary = summary_of(workflow)
    version = f", version {summary['version']}" if summary["version"] is not None else ""
    return f"'{summary['id']}'{version}"


def _is_new(workflow: Workflow, *, ambiguous: bool, since: float) -> bool | None:
    """
    Tell whether an upsert made the workflow, None for "no telling".

    The vendor does not document how versions count: an update that changes nothing may leave the first one.

    :param workflow: that the API answered with.
    :param ambiguous: whether an earlier attempt may have made it.
    :param since: when the call was made, in Unix seconds.
    """
    version, created_at = workflow["version"], workflow["created_at"]
    if isinstance(version, bool) or not isinstance(version, int):
        return None
    if version > 1:
        return None if ambiguous else False
    if version < 1 or isinstance(created_at, bool) or not isinstance(created_at, int | float):
        return None
    is_fresh = created_at >= since - _CLOCKS_APART and created_at == workflow["updated_at"]
    return True if is_fresh else None


def _checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the fields that were given, each of the type that the API documents.

    :param fields: by name; None stands for "not given".
    :raises AitronosInputError: if one is of another type, or is what templates make of a missing value.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    for name, value in given.items():
        kind = _KINDS.get(name, str)
        if not isinstance(value, kind):
            raise _refusal(f"{name} must be of type {kind.__name__}, not {type(value).__name__}.")
        # An empty description takes one away; nothing else can be empty.
        if isinstance(value, str) and is_nothing(value) and (name != "description" or value.strip()):
            raise _refusal(
                f"{name} is '{safe_text(value, limit=60)}'. Did an upstream XCom or variable return nothing? "
                "Leave it out if it is not wanted."
            )
    return given


def _refusal(why: str) -> AitronosInputError:
    return AitronosInputError(f"Nothing was sent: {why} Trying again cannot help.")


def _nonsense(what: str) -> Failure:
    return Failure(
        AitronosResponseError,
        what,
        "Check that Host of the connection is the API.",
        maybe_done=True,
    )


def _wrong(kind: str, answered: object, asked: str, mask: Mask) -> Failure:
    return Failure(
        AitronosWrongResourceError,
        f"the answer speaks of {kind} '{safe_text(answered, mask=mask, limit=130)}' instead of '{asked}'",
        "Look at both, and tell the vendor.",
        maybe_done=True,
    )
