"""What the sandbox remembers: assistants, workflows and the links between them."""

from __future__ import annotations

import threading
import time
from operator import attrgetter

from pydantic import JsonValue

from airflow_aitronos.sandbox import errors
from airflow_aitronos.sandbox.models import (
    Assistant,
    AssistantPage,
    AssistantQuery,
    ConvertRequest,
    ConvertResult,
    LinkResult,
    Pagination,
    PromoteRequest,
    Workflow,
    WorkflowCreate,
    WorkflowPage,
    WorkflowQuery,
    WorkflowUpdate,
)

_CREATED_BY = "user_sandbox01"


class Store:
    """
    Keep the state of one organization in memory, safe for several threads.

    Ids are counted up from 1, so the same calls give the same ids. What a method returns is a copy: later
    calls do not change it. A method that looks up an id raises
    :class:`~airflow_aitronos.sandbox.errors.ApiError` when nothing has it.

    :param organization_id: the organization that everything belongs to
    """

    def __init__(self, organization_id: str) -> None:
        self.organization_id = organization_id
        self._lock = threading.Lock()
        self._assistants: dict[str, Assistant] = {}
        self._workflows: dict[str, Workflow] = {}
        self._deleted: set[str] = set()
        self._detached: list[tuple[str, str]] = []
        self._counter = 0

    def clear(self) -> None:
        """Forget everything, the count of ids included."""
        with self._lock:
            self._assistants.clear()
            self._workflows.clear()
            self._deleted.clear()
            self._detached.clear()
            self._counter = 0

    @property
    def detached(self) -> list[tuple[str, str]]:
        """Return every link that a detach removed, as assistant and workflow, oldest first."""
        with self._lock:
            return list(self._detached)

    @property
    def links(self) -> dict[str, str | None]:
        """Return the workflow of every assistant, None for those without one."""
        with self._lock:
            return {one.id: one.workflow_id for one in self._assistants.values()}

    # --- made from Python: seeds and tests ---

    def add_assistant(
        self,
        name: str,
        *,
        assistant_id: str | None = None,
        description: str | None = None,
        access_mode: str = "organization",
        is_active: bool = True,
    ) -> Assistant:
        """
        Add an assistant without a workflow.

        :param name: its name
        :param assistant_id: its id, a new one unless given
        :param description: what it does
        :param access_mode: who may use it
        :param is_active: whether lists show it unless asked otherwise
        :raises ValueError: when another assistant has the id
        """
        with self._lock:
            if assistant_id in self._assistants:
                raise ValueError(f"There is an assistant {assistant_id} already.")
            assistant = self._new_assistant(name, description, assistant_id)
            assistant.access_mode = access_mode
            assistant.is_active = is_active
            return assistant.model_copy()

    def add_workflow(
        self,
        name: str,
        definition: dict[str, JsonValue],
        *,
        workflow_id: str | None = None,
        description: str | None = None,
        external_id: str | None = None,
    ) -> Workflow:
        """
        Add a workflow that no assistant uses.

        :param name: its name
        :param definition: its graph
        :param workflow_id: its id, a new one unless given
        :param description: what it does
        :param external_id: its name in another system
        :raises ValueError: when another workflow has the id or the external id, a deleted one the id
        """
        with self._lock:
            if workflow_id in self._workflows:
                raise ValueError(f"There is a workflow {workflow_id} already.")
            if (owner := self._by_external_id(external_id)) is not None:
                raise ValueError(f"Workflow {owner.id} has the external id {external_id} already.")
            return self._new_workflow(name, definition, description, external_id, workflow_id).model_copy()

    def link(self, assistant_id: str, workflow_id: str) -> None:
        """
        Link a workflow to an assistant. No call of the API does this for two that exist.

        :param assistant_id: an assistant without a workflow
        :param workflow_id: any workflow
        """
        with self._lock:
            assistant, workflow = self._assistant(assistant_id), self._workflow(workflow_id)
            _require_unlinked_assistant(assistant)
            _link(assistant, workflow)

    def unlink(self, assistant_id: str) -> None:
        """
        Take the workflow off an assistant, as by other means than a detach.

        :param assistant_id: an assistant, with a workflow or without
        """
        with self._lock:
            assistant = self._assistant(assistant_id)
            if assistant.workflow_id is not None:
                self._unlink(assistant, self._workflow(assistant.workflow_id))

    # --- calls on assistants ---

    def get_assistant(self, assistant_id: str) -> Assistant:
        """
        Return an assistant.

        :param assistant_id: its id
        """
        with self._lock:
            return self._assistant(assistant_id).model_copy()

    def list_assistants(self, query: AssistantQuery) -> AssistantPage:
        """
        Return one page of the assistants that match.

        :param query: filters, order and page
        :raises ApiError: for another organization
        """
        if query.organization_id != self.organization_id:
            raise errors.organization_access_denied(query.organization_id)
        with self._lock:
            found = [item.model_copy() for item in self._assistants.values() if _matches(item, query)]
        found.sort(key=attrgetter(query.sort_by), reverse=query.sort_order == "desc")
        total, end = len(found), query.offset + query.limit
        return AssistantPage(
            assistants=found[query.offset : end],
            total=total,
            organization_id=self.organization_id,
            pagination=Pagination(total=total, limit=query.limit, offset=query.offset, has_more=end < total),
        )

    def get_linked_workflow(self, assistant_id: str) -> Workflow:
        """
        Return the workflow of an assistant.

        :param assistant_id: the assistant
        :raises ApiError: when it has none
        """
        with self._lock:
            workflow_id = self._assistant(assistant_id).workflow_id
            if workflow_id is None:
                raise errors.workflow_not_linked(assistant_id)
            return self._workflow(workflow_id).model_copy()

    def detach(self, assistant_id: str) -> LinkResult:
        """
        Remove the link between an assistant and its workflow; the workflow stays.

        :param assistant_id: the assistant
        :return: the workflow that was detached, None when there was none
        """
        with self._lock:
            assistant = self._assistant(assistant_id)
            workflow_id = assistant.workflow_id
            if workflow_id is not None:
                self._unlink(assistant, self._workflow(workflow_id))
                self._detached.append((assistant_id, workflow_id))
            return LinkResult(assistant_id=assistant_id, workflow_id=workflow_id)

    def convert_assistant(self, assistant_id: str, request: ConvertRequest) -> ConvertResult:
        """
        Make a workflow from an assistant and link it.

        :param assistant_id: an assistant without a workflow
        :param request: name and description of the workflow
        :raises ApiError: when it already has a workflow
        """
        with self._lock:
            assistant = self._assistant(assistant_id)
            _require_unlinked_assistant(assistant)
            name = request.workflow_name or assistant.name
            description = assistant.description if request.description is None else request.description
            definition: dict[str, JsonValue] = {"nodes": [{"id": "llm_1", "type": "llm"}], "edges": []}
            workflow = self._new_workflow(name, definition, description)
            _link(assistant, workflow)
            return ConvertResult(
                assistant_id=assistant_id, workflow_id=workflow.id, workflow=workflow.model_copy()
            )

    # --- calls on workflows ---

    def get_workflow(self, workflow_id: str) -> Workflow:
        """
        Return a workflow.

        :param workflow_id: its id
        """
        with self._lock:
            return self._workflow(workflow_id).model_copy()

    def list_workflows(self, query: WorkflowQuery) -> WorkflowPage:
        """
        Return one page of the workflows that match, deleted ones among them as inactive.

        :param query: filters and page
        """
        with self._lock:
            found = [
                item.model_copy()
                for item in self._workflows.values()
                if (query.external_id is None or item.external_id == query.external_id)
                and (item.is_active or not query.active_only)
            ]
        return WorkflowPage(
            workflows=found[query.offset : query.offset + query.limit],
            total=len(found),
            limit=query.limit,
            offset=query.offset,
        )

    def upsert_workflow(self, request: WorkflowCreate) -> Workflow:
        """
        Make a workflow, or update the one that has the same external id.

        :param request: the workflow as it shall be; a description that is None does not replace one
        """
        with self._lock:
            existing = self._by_external_id(request.external_id)
            if existing is None:
                made = self._new_workflow(
                    request.name, request.definition, request.description, request.external_id
                )
                return made.model_copy()
            _change(existing, request.model_dump(exclude_none=True))
            return existing.model_copy()

    def update_workflow(self, workflow_id: str, request: WorkflowUpdate) -> Workflow:
        """
        Change a workflow.

        :param workflow_id: its id
        :param request: the fields to change
        :raises ApiError: when another workflow has the external id
        """
        with self._lock:
            workflow = self._workflow(workflow_id)
            owner = self._by_external_id(request.external_id)
            if owner is not None and owner is not workflow:
                raise errors.conflict(
                    "WORKFLOW_EXTERNAL_ID_CONFLICT",
                    "Another workflow has this external_id.",
                    {"external_id": owner.external_id, "workflow_id": owner.id},
                )
            changes = request.model_dump(exclude_none=True)
            if changes:
                _change(workflow, changes)
            return workflow.model_copy()

    def delete_workflow(self, workflow_id: str) -> None:
        """
        Delete a workflow softly and unlink the assistants that use it.

        :param workflow_id: its id
        """
        with self._lock:
            workflow = self._workflow(workflow_id)
            for assistant in self._users_of(workflow):
                self._unlink(assistant, workflow)
            workflow.is_active = False
            workflow.updated_at = _now()
            self._deleted.add(workflow_id)

    def promote_workflow(self, workflow_id: str, request: PromoteRequest) -> LinkResult:
        """
        Make an assistant from a workflow and link it.

        :param workflow_id: any workflow
        :param request: name and description of the assistant, and the LLM node that leads
        :raises ApiError: when the LLM node is missing or unknown
        """
        with self._lock:
            workflow = self._workflow(workflow_id)
            _require_primary_node(workflow.definition, request.primary_node_id)
            description = workflow.description if request.description is None else request.description
            assistant = self._new_assistant(request.name or workflow.name, description)
            _link(assistant, workflow)
            return LinkResult(assistant_id=assistant.id, workflow_id=workflow_id)

    # --- below, the caller holds the lock ---

    def _assistant(self, assistant_id: str) -> Assistant:
        if assistant_id not in self._assistants:
            raise errors.assistant_not_found(assistant_id)
        return self._assistants[assistant_id]

    def _workflow(self, workflow_id: str) -> Workflow:
        if workflow_id not in self._workflows or workflow_id in self._deleted:
            raise errors.workflow_not_found(workflow_id)
        return self._workflows[workflow_id]

    def _by_external_id(self, external_id: str | None) -> Workflow | None:
        if external_id is None:
            return None
        candidates = (item for item in self._workflows.values() if item.id not in self._deleted)
        return next((item for item in candidates if item.external_id == external_id), None)

    def _users_of(self, workflow: Workflow) -> list[Assistant]:
        return [item for item in self._assistants.values() if item.workflow_id == workflow.id]

    def _unlink(self, assistant: Assistant, workflow: Workflow) -> None:
        assistant.workflow_id = None
        left = self._users_of(workflow)
        workflow.assistant_id = left[-1].id if left else None
        workflow.has_assistant = bool(left)
        assistant.updated_at = workflow.updated_at = _now()

    def _new_id(self, prefix: str) -> str:
        self._counter += 1
        return f"{prefix}_{self._counter:012d}"

    def _new_assistant(
        self, name: str, description: str | None, assistant_id: str | None = None
    ) -> Assistant:
        now = _now()
        assistant = Assistant(
            id=assistant_id or self._new_id("asst"),
            organization_id=self.organization_id,
            name=name,
            description=description,
            access_mode="organization",
            is_active=True,
            created_at=now,
            updated_at=now,
            created_by=_CREATED_BY,
            workflow_id=None,
        )
        self._assistants[assistant.id] = assistant
        return assistant

    def _new_workflow(
        self,
        name: str,
        definition: dict[str, JsonValue],
        description: str | None,
        external_id: str | None = None,
        workflow_id: str | None = None,
    ) -> Workflow:
        now = _now()
        workflow = Workflow(
            id=workflow_id or self._new_id("flow"),
            organization_id=self.organization_id,
            name=name,
            description=description,
            definition=definition,
            version=1,
            is_active=True,
            created_at=now,
            updated_at=now,
            created_by=_CREATED_BY,
            external_id=external_id,
            assistant_id=None,
            has_assistant=False,
        )
        self._workflows[workflow.id] = workflow
        return workflow


def _now() -> int:
    return int(time.time())


def _link(assistant: Assistant, workflow: Workflow) -> None:
    assistant.workflow_id = workflow.id
    workflow.assistant_id = assistant.id
    workflow.has_assistant = True
    assistant.updated_at = workflow.updated_at = _now()


def _change(workflow: Workflow, changes: dict[str, object]) -> None:
    for field, value in changes.items():
        setattr(workflow, field, value)
    workflow.version += 1
    workflow.updated_at = _now()


def _require_unlinked_assistant(assistant: Assistant) -> None:
    if assistant.workflow_id is not None:
        raise errors.conflict(
            "ASSISTANT_ALREADY_LINKED",
            "The assistant already has a workflow.",
            {"assistant_id": assistant.id, "workflow_id": assistant.workflow_id},
        )


def _require_primary_node(definition: dict[str, JsonValue], primary_node_id: str | None) -> None:
    nodes = definition.get("nodes")
    llm_nodes = [
        node.get("id")
        for node in (nodes if isinstance(nodes, list) else [])
        if isinstance(node, dict) and node.get("type") == "llm"
    ]
    if primary_node_id is None and len(llm_nodes) > 1:
        raise errors.invalid_field("primary_node_id", "Name one of the LLM nodes of the workflow.")
    if primary_node_id is not None and primary_node_id not in llm_nodes:
        raise errors.invalid_field("primary_node_id", "The workflow has no LLM node with this id.")


def _matches(assistant: Assistant, query: AssistantQuery) -> bool:
    if not (assistant.is_active or query.include_inactive):
        return False
    if query.access_mode is not None and assistant.access_mode != query.access_mode:
        return False
    text = f"{assistant.id}\n{assistant.name}\n{assistant.description or ''}"
    return query.search is None or query.search.casefold() in text.casefold()
