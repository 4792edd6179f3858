"""The calls of the Aitronos API, each handed to the store."""

# Every function is async although it waits for nothing: a thread per call would cost more than the call.

# ruff: noqa: D301 - \f is meant as such: what stands after it is not shown in /docs.

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Security
from fastapi.security import APIKeyHeader

from airflow_aitronos.sandbox.auth import KEY_HEADER, GuardedRoute
from airflow_aitronos.sandbox.models import (
    Assistant,
    AssistantPage,
    AssistantQuery,
    ConvertRequest,
    ConvertResult,
    ErrorEnvelope,
    Health,
    KeyValidation,
    LinkResult,
    PromoteRequest,
    Workflow,
    WorkflowCreate,
    WorkflowPage,
    WorkflowQuery,
    WorkflowUpdate,
)
from airflow_aitronos.sandbox.store import Store

_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorEnvelope} for status in (401, 403, 404, 409, 422)
}


async def _get_store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


StoreArgument = Annotated[Store, Depends(_get_store)]
AssistantId = Annotated[str, Path(examples=["asst_support01"])]
WorkflowId = Annotated[str, Path(examples=["flow_support01"])]

public = APIRouter(tags=["service"])
protected = APIRouter(
    route_class=GuardedRoute,
    responses=_ERRORS,
    # Only for the Authorize button of /docs; the route class is what checks the key.
    dependencies=[Security(APIKeyHeader(name=KEY_HEADER, auto_error=False))],
)


@public.get("/v1/health/")
async def health() -> Health:
    """
    Tell that the service runs; no key needed.

    Documented on docs.aitronos.com.
    """
    return Health()


@protected.get("/v1/auth/validate", tags=["service"])
async def validate_key() -> KeyValidation:
    """
    Tell that the key is good; one that is not never comes this far.

    Documented on docs.aitronos.com.
    """
    return KeyValidation()


@protected.get("/v1/assistants", tags=["assistants"])
async def list_assistants(store: StoreArgument, query: Annotated[AssistantQuery, Query()]) -> AssistantPage:
    """
    List the assistants of an organization.

    Documented on docs.aitronos.com.
    \f
    :param store: the state
    :param query: filters, order and page
    """
    return store.list_assistants(query)


@protected.get("/v1/assistants/{assistant_id}", tags=["assistants"])
async def get_assistant(store: StoreArgument, assistant_id: AssistantId) -> Assistant:
    """
    Show an assistant.

    Documented on docs.aitronos.com.
    \f
    :param store: the state
    :param assistant_id: the assistant
    """
    return store.get_assistant(assistant_id)


@protected.get("/v1/assistants/{assistant_id}/workflow", tags=["assistants"])
async def get_linked_workflow(store: StoreArgument, assistant_id: AssistantId) -> Workflow:
    """
    Show the workflow of an assistant.

    Documented on docs.aitronos.com.
    \f
    :param store: the state
    :param assistant_id: the assistant
    """
    return store.get_linked_workflow(assistant_id)


@protected.delete("/v1/assistants/{assistant_id}/workflow", tags=["assistants"])
async def detach(store: StoreArgument, assistant_id: AssistantId) -> LinkResult:
    """
    Detach the workflow of an assistant; the workflow itself stays.

    Documented on docs.aitronos.com.
    \f
    :param store: the state
    :param assistant_id: the assistant
    """
    return store.detach(assistant_id)


@protected.post("/v1/assistants/{assistant_id}/convert-to-workflow", status_code=201, tags=["assistants"])
async def convert_assistant(
    store: StoreArgument, assistant_id: AssistantId, body: ConvertRequest | None = None
) -> ConvertResult:
    """
    Make a workflow from an assistant and link it.

    Only in the vendor's client.
    \f
    :param store: the state
    :param assistant_id: the assistant
    :param body: name and description of the workflow
    """
    return store.convert_assistant(assistant_id, body or ConvertRequest())


@protected.get("/v1/workflows", tags=["workflows"])
async def list_workflows(store: StoreArgument, query: Annotated[WorkflowQuery, Query()]) -> WorkflowPage:
    """
    List the workflows.

    Only in the vendor's client.
    \f
    :param store: the state
    :param query: filters and page
    """
    return store.list_workflows(query)


@protected.post("/v1/workflows", status_code=201, tags=["workflows"])
async def upsert_workflow(store: StoreArgument, body: WorkflowCreate) -> Workflow:
    """
    Make a workflow, or update the one that has the same external id.

    Documented on docs.aitronos.com.
    \f
    :param store: the state
    :param body: the workflow as it shall be
    """
    return store.upsert_workflow(body)


@protected.get("/v1/workflows/{workflow_id}", tags=["workflows"])
async def get_workflow(store: StoreArgument, workflow_id: WorkflowId) -> Workflow:
    """
    Show a workflow.

    Documented on docs.aitronos.com.
    \f
    :param store: the state
    :param workflow_id: the workflow
    """
    return store.get_workflow(workflow_id)


@protected.patch("/v1/workflows/{workflow_id}", tags=["workflows"])
async def update_workflow(store: StoreArgument, workflow_id: WorkflowId, body: WorkflowUpdate) -> Workflow:
    """
    Change a workflow.

    Documented on docs.aitronos.com.
    \f
    :param store: the state
    :param workflow_id: the workflow
    :param body: the fields to change
    """
    return store.update_workflow(workflow_id, body)


# No model of the response, since older releases of FastAPI take the annotation of None for a body.
@protected.delete("/v1/workflows/{workflow_id}", status_code=204, response_model=None, tags=["workflows"])
async def delete_workflow(store: StoreArgument, workflow_id: WorkflowId) -> None:
    """
    Delete a workflow softly and unlink its assistant.

    Only in the vendor's client.
    \f
    :param store: the state
    :param workflow_id: the workflow
    """
    store.delete_workflow(workflow_id)


@protected.post("/v1/workflows/{workflow_id}/promote-to-assistant", status_code=201, tags=["workflows"])
async def promote_workflow(
    store: StoreArgument, workflow_id: WorkflowId, body: PromoteRequest | None = None
) -> LinkResult:
    """
    Make an assistant from a workflow and link it.

    Documented on docs.aitronos.com.
    \f
    :param store: the state
    :param workflow_id: the workflow
    :param body: name, description and leading LLM node of the assistant
    """
    return store.promote_workflow(workflow_id, body or PromoteRequest())
