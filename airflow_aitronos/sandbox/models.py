"""What goes over the wire: the bodies, queries and replies of the Aitronos API."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue


def _require_unicode(definition: dict[str, JsonValue]) -> dict[str, JsonValue]:
    # JSON can spell half a surrogate pair ("\ud800"), which no reply could carry back.
    try:
        json.dumps(definition, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode") from None
    return definition


Name = Annotated[str, Field(min_length=1)]
Definition = Annotated[dict[str, JsonValue], AfterValidator(_require_unicode)]
Limit = Annotated[int, Field(ge=1, le=100)]
Offset = Annotated[int, Field(ge=0)]


class RequestModel(BaseModel):
    """Refuse numbers that JSON cannot carry back (NaN, Infinity) in every request."""

    model_config = ConfigDict(allow_inf_nan=False)


class WorkflowCreate(RequestModel):
    """Describe a workflow to make, or to update when its ``external_id`` is known."""

    name: Name
    definition: Definition
    description: str | None = None
    external_id: str | None = None


class WorkflowUpdate(RequestModel):
    """Describe a change of a workflow; what is left out or null stays as it is."""

    name: Name | None = None
    description: str | None = None
    definition: Definition | None = None
    is_active: bool | None = None
    external_id: str | None = None


class PromoteRequest(RequestModel):
    """Describe the assistant to make from a workflow."""

    name: Name | None = None
    description: str | None = None
    primary_node_id: str | None = None


class ConvertRequest(RequestModel):
    """Describe the workflow to make from an assistant."""

    workflow_name: Name | None = None
    description: str | None = None


class WorkflowQuery(RequestModel):
    """Filter and page the list of workflows."""

    external_id: str | None = None
    active_only: bool = False
    limit: Limit = 50
    offset: Offset = 0


class AssistantQuery(RequestModel):
    """Filter, sort and page the list of assistants."""

    organization_id: str
    limit: Limit = 50
    offset: Offset = 0
    search: str | None = None
    access_mode: str | None = None
    include_inactive: bool = False
    sort_by: Literal["created_at", "updated_at", "name"] = "created_at"
    sort_order: Literal["asc", "desc"] = "asc"
    fields: Literal["summary", "standard", "full"] = "standard"


class Workflow(BaseModel):
    """Show a workflow; times are Unix seconds."""

    id: str
    organization_id: str
    name: str
    description: str | None
    definition: dict[str, JsonValue]
    version: int
    is_active: bool
    created_at: int
    updated_at: int
    created_by: str | None
    external_id: str | None
    assistant_id: str | None
    has_assistant: bool


class Assistant(BaseModel):
    """Show an assistant; times are Unix seconds."""

    id: str
    organization_id: str
    name: str
    description: str | None
    access_mode: str
    is_active: bool
    created_at: int
    updated_at: int
    created_by: str | None
    workflow_id: str | None


class LinkResult(BaseModel):
    """Answer a detach or a promotion."""

    assistant_id: str
    workflow_id: str | None
    message: str = "Operation completed successfully"


class ConvertResult(BaseModel):
    """Answer a conversion of an assistant."""

    assistant_id: str
    workflow_id: str
    workflow: Workflow


class WorkflowPage(BaseModel):
    """Answer one page of workflows."""

    workflows: list[Workflow]
    total: int
    limit: int
    offset: int


class Pagination(BaseModel):
    """Tell where a page is in its list."""

    total: int
    limit: int
    offset: int
    has_more: bool


class AssistantPage(BaseModel):
    """Answer one page of assistants."""

    assistants: list[Assistant]
    total: int
    organization_id: str
    pagination: Pagination


class KeyValidation(BaseModel):
    """Answer whether a key is good."""

    is_valid: bool = True
    error: str | None = None
    requires_reconnect: bool | None = None


class Health(BaseModel):
    """Answer that the service runs."""

    status: str = "ok"


class ErrorBody(BaseModel):
    """Say what went wrong."""

    code: str
    message: str
    system_message: str
    type: str
    status: int
    trace_id: str
    timestamp: str
    details: dict[str, JsonValue]


class ErrorEnvelope(BaseModel):
    """Answer every error of the API."""

    success: Literal[False] = False
    error: ErrorBody
