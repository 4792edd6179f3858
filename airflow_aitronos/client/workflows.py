"""The calls on workflows and links, and the check of the key, as plain functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal, TypedDict, TypeVar, cast

from airflow_aitronos.client.api_call import CREATED, OK, OK_OR_EMPTY, Call, Client
from airflow_aitronos.client.responses import TOO_LARGE
from airflow_aitronos.client.sanitize import Redact, optional_text, safe_text
from airflow_aitronos.client.validation import (
    NATIVE_RENDERING,
    NOTHING_UPSTREAM,
    check_bool,
    check_id,
    expand_path,
    is_nothing,
    json_ready,
    refusal,
)
from airflow_aitronos.exceptions import (
    AitronosError,
    AitronosNotFoundError,
    AitronosResponseError,
    AitronosWrongResourceError,
)

LARGEST_PAGE = 100

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_TYPES: dict[str, type] = {
    "definition": dict,
    "is_active": bool,
    "active_only": bool,
    "include_inactive": bool,
}
"""Types of the fields that are no text ("Workflows" pages)."""
_CHECK_HOST = "Check that Host of the connection is the API."

T = TypeVar("T")


class Workflow(TypedDict):
    """
    A workflow ("Workflows" pages); a field that the API left out is None.

    ``definition`` is the graph of nodes; ``created_at`` and ``updated_at`` are Unix seconds; ``assistant_id``
    is the linked assistant. ``has_assistant`` says whether the graph has an assistant node, not whether an
    assistant is linked.
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


class WorkflowSummary(TypedDict):
    """Which workflow it is; small enough for XCom, unlike the definition."""

    id: str
    name: str | None
    version: int | None
    external_id: str | None


class AssistantWorkflow(TypedDict):
    """Which workflow is linked to an assistant; None for both if none is."""

    assistant_id: str
    workflow_id: str | None
    workflow: WorkflowSummary | None


class PromoteResult(TypedDict):
    """The result of a promotion ("Promote workflow to assistant" page)."""

    assistant_id: str
    workflow_id: str
    message: str | None


class KeyValidation(TypedDict):
    """What the API says of the key ("Validate authentication" page); only ``is_valid`` decides."""

    is_valid: bool
    error: str | None
    requires_reconnect: bool | None


# --- any call ---


def request(
    client: Client,
    method: str,
    path: str,
    *,
    path_params: Mapping[str, object] | None,
    json: Any,
    params: Mapping[str, Any] | None,
    idempotent: bool | None,
) -> dict[str, Any]:
    """Make any call; see :meth:`AitronosHook.request`."""
    verb = method.upper() if isinstance(method, str) else ""
    if verb not in _METHODS:
        raise refusal(f"The method is not one of {', '.join(_METHODS)}.", "Pass one of them.")
    expanded = expand_path(path, path_params)
    if idempotent is not None:
        check_bool("idempotent", idempotent)
    if params is not None and not isinstance(params, Mapping):
        raise refusal("params is not a dict.", "Pass the query parameters by name.")
    call = Call(
        client,
        f"{verb} {expanded}",
        repeatable=verb in ("GET", "DELETE") if idempotent is None else idempotent,
        check_first=f"Read what {verb} {expanded} changes before you repeat it.",
    )
    accepted = {"POST": CREATED, "DELETE": OK_OR_EMPTY}.get(verb, OK)
    return _send(call, verb, expanded, lambda body: body, json=json, params=params, accepted=accepted)


def _send(call: Call, method: str, path: str, read: Callable[[dict[str, Any]], T], **how: Any) -> T:
    """Make a call of one request; ``read`` takes its body apart, and raises if it is not as documented."""
    for attempt in call.attempts():
        with attempt:
            value = read(call.request(method, path, **how))
            ids = _ids_in(value)
            shown = ", ".join(f"{name} {known}" for name, known in ids.items() if known)
            call.succeed(f"Done: {call.intent}{f' ({shown})' if shown else ''}", ids=ids)
            return value
    raise AssertionError("attempts() raises")  # pragma: no cover


def _ids_in(value: object) -> dict[str, str | None]:
    """Return the ids that a response names, as safe text."""
    body: Any = value if isinstance(value, dict) else {}
    workflow_id = body.get("workflow_id") or (body.get("id") if "definition" in body else None)
    named = {"assistant_id": body.get("assistant_id"), "workflow_id": workflow_id}
    return {name: optional_text(value, limit=130) for name, value in named.items()}


# --- workflows ---


def get_workflow(client: Client, workflow_id: object) -> Workflow:
    """Read a workflow; see :meth:`AitronosHook.get_workflow`."""
    checked = check_id("workflow_id", workflow_id)
    call = Call(client, f"read workflow '{checked}'", ids={"workflow_id": checked})
    return _send(call, "GET", f"/v1/workflows/{checked}", lambda body: _workflow(body, checked, call.redact))


def create_workflow(client: Client, fields: Mapping[str, Any]) -> Workflow:
    """Create a workflow, or update the one with its ``external_id``; see the hook's method."""
    body = _checked(fields)
    for name in ("name", "definition"):
        if name not in body:
            raise refusal(f"{name} of the workflow is missing.", "Pass it.")
    which, external_id = _quoted(body["name"]), body.get("external_id")
    shown = which if external_id is None else f"{which} (external_id {_quoted(external_id)})"
    call = Call(
        client,
        f"create or update workflow {shown}",
        # The API finds a workflow by its external_id. Without one, two requests create two workflows.
        repeatable=external_id is not None,
        check_first=f"Check whether list_workflows() shows the name {which}: then it was created.",
    )
    read = partial(_workflow, asked=None, redact=call.redact)
    return _send(call, "POST", "/v1/workflows", read, json=body, accepted=CREATED)


def update_workflow(client: Client, workflow_id: object, fields: Mapping[str, Any]) -> Workflow:
    """Change a workflow; see :meth:`AitronosHook.update_workflow`."""
    checked, body = check_id("workflow_id", workflow_id), _checked(fields)
    if not body:
        raise refusal(f"No field of workflow '{checked}' would change.", "Pass at least one.")
    call = Call(
        client,
        f"update workflow '{checked}'",
        ids={"workflow_id": checked},
        repeatable=False,
        check_first=f"Read workflow '{checked}': its version and updated_at say whether it was changed.",
    )
    read = partial(_workflow, asked=checked, redact=call.redact)
    return _send(call, "PATCH", f"/v1/workflows/{checked}", read, json=body)


def promote_workflow(client: Client, workflow_id: object, fields: Mapping[str, Any]) -> PromoteResult:
    """Create an assistant from a workflow; see :meth:`AitronosHook.promote_workflow_to_assistant`."""
    checked = check_id("workflow_id", workflow_id)
    call = Call(
        client,
        f"promote workflow '{checked}' to an assistant",
        ids={"workflow_id": checked},
        repeatable=False,
        check_first=check_before_promoting(checked),
    )

    def read(body: dict[str, Any]) -> PromoteResult:
        assistant_id = optional_text(body.get("assistant_id"), call.redact)
        if assistant_id is None:
            raise invalid("The response names no assistant.")
        if (answered := body.get("workflow_id", checked)) != checked:
            error = wrong("workflow", answered, checked, call.redact)
            error.assistant_id = assistant_id
            raise error
        message = optional_text(body.get("message"), call.redact)
        return PromoteResult(assistant_id=assistant_id, workflow_id=checked, message=message)

    path = f"/v1/workflows/{checked}/promote-to-assistant"
    return _send(call, "POST", path, read, json=_checked(fields), accepted=CREATED)


def check_before_promoting(workflow_id: str) -> str:
    """Return what to check before a workflow is promoted once more."""
    return f"Check whether workflow '{workflow_id}' has a new assistant_id: then it was promoted."


def _quoted(name: object) -> str:
    """Return a name in quotes, as safe text."""
    return f"'{safe_text(name, limit=100)}'"


def list_workflows(client: Client, filters: Mapping[str, Any], page_size: object) -> Iterator[Workflow]:
    """Check the arguments and return an iterator of workflows; see :meth:`AitronosHook.list_workflows`."""
    redact = client.http.settings.redact
    return _list(client, "workflows", filters, page_size, lambda row: _workflow(row, None, redact))


def _list(
    client: Client, what: str, filters: Mapping[str, Any], page_size: object, read_row: Callable[[object], T]
) -> Iterator[T]:
    """Return an iterator over all pages; ``what`` is the end of the path and the key of the list."""
    if isinstance(page_size, bool) or not isinstance(page_size, int) or not 1 <= page_size <= LARGEST_PAGE:
        raise refusal(f"page_size is not 1 to {LARGEST_PAGE}.", "Correct it or leave it out.")
    query = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in _checked(filters).items()
    }
    return _pages(client, what, query, page_size, read_row)


def _pages(
    client: Client, what: str, query: Mapping[str, Any], page_size: int, read_row: Callable[[object], T]
) -> Iterator[T]:
    seen: set[str] = set()
    offset = 0
    while True:
        call = Call(client, f"list the {what} from offset {offset}")

        def read(body: dict[str, Any]) -> tuple[list[T], set[str], Any]:
            listed = body.get(what)
            if not isinstance(listed, list):
                raise invalid(f"The response lists no {what}.")
            page, ids = [read_row(one) for one in listed], {one["id"] for one in listed}
            # A server that ignores the offset would be asked for ever.
            if page and seen >= ids:
                raise invalid(f"The page at offset {offset} repeats earlier ones.")  # noqa: B023  # called at once
            return page, ids, body.get("total")

        try:
            params = {**query, "limit": page_size, "offset": offset}
            page, ids, total = _send(call, "GET", f"/v1/{what}", read, params=params)
        except AitronosResponseError as error:
            if error.details != TOO_LARGE or page_size == 1:
                raise
            page_size //= 2
            continue
        seen.update(ids)
        yield from page
        offset += len(page)
        is_last = offset >= total if type(total) is int else len(page) < page_size
        if not page or is_last:
            return


# --- assistants ---


def get_assistant(client: Client, assistant_id: object) -> dict[str, Any]:
    """Read an assistant; see :meth:`AitronosHook.get_assistant`."""
    checked = check_id("assistant_id", assistant_id)
    call = Call(client, f"read assistant '{checked}'", ids={"assistant_id": checked})
    read = partial(_about, "assistant", asked=checked, redact=call.redact)
    return _send(call, "GET", f"/v1/assistants/{checked}", read)


def list_assistants(
    client: Client, organization_id: object, filters: Mapping[str, Any], page_size: object
) -> Iterator[dict[str, Any]]:
    """Check the arguments and return an iterator of assistants; see :meth:`AitronosHook.list_assistants`."""
    query = {"organization_id": check_id("organization_id", organization_id), **filters}
    redact = client.http.settings.redact
    return _list(client, "assistants", query, page_size, lambda row: _about("assistant", row, None, redact))


# --- links ---


def get_assistant_workflow(client: Client, assistant_id: object) -> Workflow | None:
    """Read which workflow is linked; see :meth:`AitronosHook.get_assistant_workflow`."""
    checked = check_id("assistant_id", assistant_id)
    call = Call(client, f"read the workflow of assistant '{checked}'", ids={"assistant_id": checked})
    for attempt in call.attempts():
        with attempt:
            workflow = read_link(call, checked)
            linked = f"workflow '{summary_of(workflow)['id']}'" if workflow else "no workflow"
            call.succeed(f"Assistant '{checked}' has {linked} linked")
            return workflow
    raise AssertionError("attempts() raises")  # pragma: no cover


def read_link(call: Call, assistant_id: str) -> Workflow | None:
    """
    Read which workflow is linked, in the attempt of a call; None if none is.

    What the API answers where nothing is linked is not documented: 404 and null are both understood.

    :param call: to send the request with.
    :param assistant_id: checked.
    """
    try:
        body = call.request("GET", link_path(assistant_id), null=True)
        if not body:
            return None
        workflow = _workflow(body, None, call.redact)
        if workflow["assistant_id"] not in (None, assistant_id):
            raise wrong("assistant", workflow["assistant_id"], assistant_id, call.redact)
        return workflow
    except AitronosError as error:
        error.maybe_done = False  # a read, whatever the rest of the call does
        if not isinstance(error, AitronosNotFoundError):
            raise
        not_found = error
    if not not_found.has_envelope or is_about_assistant(not_found):
        raise not_found
    if is_about_link(not_found) or read_assistant_link(call, assistant_id) == "none":
        return None
    raise not_found


def link_path(assistant_id: str) -> str:
    """Return the path of a link, to read and to delete."""
    return f"/v1/assistants/{assistant_id}/workflow"


def is_about_assistant(not_found: AitronosError) -> bool:
    """Return whether a 404 says that the assistant is unknown."""
    return (not_found.code or "").upper() == "ASSISTANT_NOT_FOUND"


def is_about_link(not_found: AitronosError) -> bool:
    """Return whether a 404 says that there is no workflow."""
    return "WORKFLOW" in (not_found.code or "").upper()


def read_assistant_link(call: Call, assistant_id: str) -> Literal["none", "unclear", "no assistant"]:
    """
    Ask the assistant itself, with one ``GET /v1/assistants/{assistant_id}``, whether a workflow is linked.

    :param call: to send the request with.
    :param assistant_id: checked.
    :return: ``none`` only if the response is about this assistant, and its ``workflow_id`` is there and null.
    :raises AitronosError: if the assistant cannot be read for another reason than 404.
    """
    try:
        assistant = call.request("GET", f"/v1/assistants/{assistant_id}")
    except AitronosNotFoundError:
        return "no assistant"
    is_unlinked = assistant.get("id") == assistant_id and assistant.get("workflow_id", "") is None
    return "none" if is_unlinked else "unclear"


def summary_of(workflow: Workflow) -> WorkflowSummary:
    """Return which workflow it is, as safe text."""
    return WorkflowSummary(
        id=safe_text(workflow["id"]),
        name=optional_text(workflow["name"]),
        version=workflow["version"] if type(workflow["version"]) is int else None,
        external_id=optional_text(workflow["external_id"]),
    )


def link_of(assistant_id: str, workflow: Workflow | None) -> AssistantWorkflow:
    """Return which workflow is linked to an assistant, in short."""
    summary = summary_of(workflow) if workflow is not None else None
    return AssistantWorkflow(
        assistant_id=assistant_id.strip(), workflow_id=summary["id"] if summary else None, workflow=summary
    )


# --- the key ---


def validate_key(client: Client) -> KeyValidation:
    """Ask the API about the key; see :meth:`AitronosHook.validate_key`."""
    call = Call(client, "validate the API key")

    def read(body: dict[str, Any]) -> KeyValidation:
        is_valid, reconnect = body.get("is_valid"), body.get("requires_reconnect")
        if not isinstance(is_valid, bool):
            raise invalid("The response does not say whether the API key is valid.")
        return KeyValidation(
            is_valid=is_valid,
            error=optional_text(body.get("error"), call.redact),
            requires_reconnect=reconnect if isinstance(reconnect, bool) else None,
        )

    return _send(call, "GET", "/v1/auth/validate", read)


# --- bodies ---


def _workflow(body: object, asked: str | None, redact: Redact) -> Workflow:
    """Return the documented fields of a workflow."""
    known = _about("workflow", body, asked, redact)
    return cast("Workflow", {name: known.get(name) for name in Workflow.__annotations__})


def _about(kind: str, body: object, asked: str | None, redact: Redact) -> dict[str, Any]:
    """Return a body, and refuse one that is about something else."""
    answered = body.get("id") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(answered, str) or not answered.strip():
        raise invalid(f"The response names no {kind}.")
    if asked is not None and answered != asked:
        raise wrong(kind, answered, asked, redact)
    return body


def _checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that were given, each of its documented type; None stands for "not given"."""
    given = {name: value for name, value in fields.items() if value is not None}
    for name, value in given.items():
        kind = _TYPES.get(name, str)
        if not isinstance(value, kind):
            raise refusal(
                f"{name} is of type {type(value).__name__}, not {kind.__name__}.",
                NATIVE_RENDERING,
            )
        # An empty description removes the text; nothing else may be empty.
        if isinstance(value, str) and is_nothing(value) and (name != "description" or value.strip()):
            raise refusal(f"{name} is {_quoted(value)}.", NOTHING_UPSTREAM)
    if "definition" in given:
        given["definition"] = json_ready("definition", given["definition"])
    return given


def invalid(cause: str) -> AitronosResponseError:
    """Return the error of a body that is not as documented."""
    return AitronosResponseError(cause, fix=_CHECK_HOST, maybe_done=True)


def wrong(kind: str, answered: object, asked: str, redact: Redact) -> AitronosWrongResourceError:
    """Return the error of a body about another assistant or workflow."""
    shown = safe_text(answered, redact, limit=130)
    return AitronosWrongResourceError(
        f"The response is about {kind} '{shown}', not '{asked}'.",
        fix="Check both, and tell the vendor.",
        maybe_done=True,
    )
