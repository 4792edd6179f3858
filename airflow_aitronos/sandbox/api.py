"""The calls of the Aitronos API: find the one that is asked for, check the key, carry it out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any
from urllib.parse import unquote

from airflow_aitronos.sandbox.errors import ApiError
from airflow_aitronos.sandbox.fields import read_body, read_query
from airflow_aitronos.sandbox.rate_limit import RateLimits
from airflow_aitronos.sandbox.recorder import KeyKind
from airflow_aitronos.sandbox.store import ONE_LLM_NODE, ORGANIZATION_ID, Assistant, Store

Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """A request as it came: the path percent-encoded, the body not parsed. The id is the sandbox's."""

    id: str
    method: str
    path: str
    query: str
    body: bytes
    key: KeyKind


@dataclass(frozen=True)
class Response:
    """What is sent back; the body is None for a status that has none."""

    status: int
    body: Json | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One call of the API: where it is, its status, the function that carries it out, who may use it."""

    method: str
    template: str
    status: int
    function: Callable[..., Json | None]
    is_public: bool = False

    def match(self, path: str) -> dict[str, str] | None:
        """
        Return the ids in a path, None if the path is not one of this call.

        :param path: the path, no longer percent-encoded
        """
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.template), path)
        return None if found is None else found.groupdict()


def answer(request: Request, store: Store, limits: RateLimits) -> Response:
    """
    Carry out a request.

    :param request: the request
    :param store: the state
    :param limits: counts the requests whose key is good enough
    """
    path = unquote(request.path)
    found = [(call, ids) for call in CALLS if (ids := call.match(path)) is not None]
    if request.method not in (call.method for call, _ in found):
        # These bodies are the framework's, as with the vendor.
        status, text = (405, "Method Not Allowed") if found else (404, "Not Found")
        return Response(status, {"detail": text})
    call, ids = next((call, ids) for call, ids in found if call.method == request.method)
    headers: dict[str, str] = {}
    with store.lock:
        try:
            if not call.is_public:
                _check_key(request)
                headers = limits.admit()
            return Response(call.status, call.function(store, request, **ids), headers)
        except ApiError as error:
            error.headers = headers | error.headers
            return error_response(request, error)


def error_response(request: Request, error: ApiError) -> Response:
    """
    Make the response that carries an error.

    :param request: the request
    :param error: the error
    """
    return Response(error.status, error.envelope(request.id), error.headers)


def _check_key(request: Request) -> None:
    if request.key == "none":
        message = "Authentication required. Please provide a valid API key."
        system_message = "Missing or invalid authorization header"
        raise ApiError(401, "AUTHENTICATION_REQUIRED", message, system_message=system_message)
    if request.key == "wrong":
        raise ApiError(401, "INVALID_API_KEY", "The API key is not valid.")
    if request.key == "read_only_key" and request.method != "GET":
        message = "You do not have permission to access this resource."
        system_message = "Insufficient permissions for this operation"
        raise ApiError(403, "INSUFFICIENT_PERMISSIONS", message, system_message=system_message)


# --- service ---


def _health(_store: Store, _request: Request) -> Json:
    return {"status": "ok"}


def _validate_key(_store: Store, _request: Request) -> Json:
    return {"is_valid": True, "error": None, "requires_reconnect": None}


# --- assistants ---

_PAGE = {"limit": "[1-9][0-9]?|100", "offset": "[0-9]{1,9}"}
_ASSISTANTS = {
    **_PAGE,
    "organization_id": ".*",
    "search": ".*",
    "access_mode": ".*",
    "include_inactive": "true|false",
    "sort_by": "created_at|updated_at|name",
    "sort_order": "asc|desc",
    "fields": "summary|standard|full",
}


def _list_assistants(store: Store, request: Request) -> Json:
    query = read_query(request.query, _ASSISTANTS, required=("organization_id",))
    if query["organization_id"] != ORGANIZATION_ID:
        message = "You do not have access to this organization."
        details = {"organization_id": query["organization_id"]}
        raise ApiError(403, "ORGANIZATION_ACCESS_DENIED", message, details)
    found = [one for one in store.assistants if _matches(one, query)]
    found.sort(key=attrgetter(query.get("sort_by", "created_at")), reverse=query.get("sort_order") == "desc")
    rows, page = _page_of(found, query)
    return {
        "assistants": rows,
        "total": len(found),
        "organization_id": ORGANIZATION_ID,
        "pagination": {**page, "has_more": page["offset"] + page["limit"] < len(found)},
    }


def _matches(assistant: Assistant, query: dict[str, str]) -> bool:
    text = f"{assistant.id}\n{assistant.name}\n{assistant.description or ''}".casefold()
    return (
        (assistant.is_active or query.get("include_inactive") == "true")
        and query.get("access_mode", assistant.access_mode) == assistant.access_mode
        and query.get("search", "").casefold() in text
    )


def _page_of(found: list[Any], query: dict[str, str]) -> tuple[list[Json], dict[str, int]]:
    """Return the rows of a page, and where it is in its list."""
    limit, offset = int(query.get("limit", 50)), int(query.get("offset", 0))
    rows = [one.to_json() for one in found[offset : offset + limit]]
    return rows, {"total": len(found), "limit": limit, "offset": offset}


def _get_assistant(store: Store, _request: Request, assistant_id: str) -> Json:
    return store.get_assistant(assistant_id).to_json()


def _get_linked_workflow(store: Store, _request: Request, assistant_id: str) -> Json:
    return store.get_linked_workflow(assistant_id).to_json()


def _detach(store: Store, _request: Request, assistant_id: str) -> Json:
    return _link_result(assistant_id, store.detach(assistant_id))


def _convert_assistant(store: Store, request: Request, assistant_id: str) -> Json:
    body = read_body(request.body, {"workflow_name": str, "description": str})
    assistant = store.get_assistant(assistant_id)
    store.require_unlinked(assistant)
    name, description = body.get("workflow_name"), body.get("description", assistant.description)
    workflow = store.add_workflow(name or assistant.name, ONE_LLM_NODE, description=description)
    workflow = store.link(assistant_id, workflow.id)
    return {"assistant_id": assistant_id, "workflow_id": workflow.id, "workflow": workflow.to_json()}


def _link_result(assistant_id: str, workflow_id: str | None) -> Json:
    message = "Operation completed successfully"
    return {"assistant_id": assistant_id, "workflow_id": workflow_id, "message": message}


# --- workflows ---

_WORKFLOW: dict[str, type] = {"name": str, "definition": dict, "description": str, "external_id": str}


def _list_workflows(store: Store, request: Request) -> Json:
    query = read_query(request.query, {**_PAGE, "external_id": ".*", "active_only": "true|false"})
    found = [
        one
        for one in store.workflows
        if (one.is_active or query.get("active_only") != "true")
        and query.get("external_id", one.external_id) == one.external_id
    ]
    rows, page = _page_of(found, query)
    return {"workflows": rows, **page}


def _upsert_workflow(store: Store, request: Request) -> Json:
    body = read_body(request.body, _WORKFLOW, required=("name", "definition"))
    return store.upsert_workflow(body).to_json()


def _get_workflow(store: Store, _request: Request, workflow_id: str) -> Json:
    return store.get_workflow(workflow_id).to_json()


def _update_workflow(store: Store, request: Request, workflow_id: str) -> Json:
    body = read_body(request.body, {**_WORKFLOW, "is_active": bool})
    return store.update_workflow(workflow_id, body).to_json()


def _delete_workflow(store: Store, _request: Request, workflow_id: str) -> None:
    store.delete_workflow(workflow_id)


def _promote_workflow(store: Store, request: Request, workflow_id: str) -> Json:
    body = read_body(request.body, {"name": str, "description": str, "primary_node_id": str})
    workflow = store.get_workflow(workflow_id)
    primary_node_id = body.get("primary_node_id")
    llm_nodes = [node.get("id") for node in workflow.nodes("llm")]
    if primary_node_id not in llm_nodes and (primary_node_id is not None or len(llm_nodes) > 1):
        message = "Name one of the LLM nodes of the workflow in primary_node_id."
        raise ApiError(422, "INVALID_FIELD_VALUE", message, {"field": "primary_node_id"})
    name, description = body.get("name"), body.get("description", workflow.description)
    assistant_id = store.add_assistant(name or workflow.name, description=description).id
    store.link(assistant_id, workflow_id)
    return _link_result(assistant_id, workflow_id)


CALLS = [
    Call("GET", "/v1/health/", 200, _health, is_public=True),
    Call("GET", "/v1/auth/validate", 200, _validate_key),
    Call("GET", "/v1/assistants", 200, _list_assistants),
    Call("GET", "/v1/assistants/{assistant_id}", 200, _get_assistant),
    Call("GET", "/v1/assistants/{assistant_id}/workflow", 200, _get_linked_workflow),
    Call("DELETE", "/v1/assistants/{assistant_id}/workflow", 200, _detach),
    Call("POST", "/v1/assistants/{assistant_id}/convert-to-workflow", 201, _convert_assistant),
    Call("GET", "/v1/workflows", 200, _list_workflows),
    Call("POST", "/v1/workflows", 201, _upsert_workflow),
    Call("GET", "/v1/workflows/{workflow_id}", 200, _get_workflow),
    Call("PATCH", "/v1/workflows/{workflow_id}", 200, _update_workflow),
    Call("DELETE", "/v1/workflows/{workflow_id}", 204, _delete_workflow),
    Call("POST", "/v1/workflows/{workflow_id}/promote-to-assistant", 201, _promote_workflow),
]
