"""What the sandbox holds: assistants, workflows and the links between them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import Any

from airflow_aitronos.sandbox.clock import Clock
from airflow_aitronos.sandbox.errors import ApiError

ORGANIZATION_ID = "org_sandbox01"
ONE_LLM_NODE: dict[str, Any] = {"nodes": [{"id": "llm_1", "type": "llm"}], "edges": []}


@dataclass(frozen=True, kw_only=True)
class Resource:
    """What assistants and workflows have in common; times are Unix seconds."""

    id: str
    organization_id: str = ORGANIZATION_ID
    name: str
    description: str | None = None
    is_active: bool = True
    created_at: int
    updated_at: int
    created_by: str | None = "user_sandbox01"


@dataclass(frozen=True, kw_only=True)
class Workflow(Resource):
    """A workflow, and the assistants that use it, the latest last."""

    definition: dict[str, Any]
    version: int = 1
    external_id: str | None = None
    assistant_ids: tuple[str, ...] = ()

    def nodes(self, kind: str) -> list[dict[str, Any]]:
        """
        Return the nodes of one type in the definition.

        :param kind: the type
        """
        nodes = self.definition.get("nodes")
        objects = [node for node in nodes if isinstance(node, dict)] if isinstance(nodes, list) else []
        return [node for node in objects if node.get("type") == kind]

    def to_json(self) -> dict[str, Any]:
        """Return the fields that the API shows."""
        fields = vars(self).copy()
        fields["assistant_id"] = next(reversed(fields.pop("assistant_ids")), None)
        fields["has_assistant"] = bool(self.nodes("assistant"))
        return fields


@dataclass(frozen=True, kw_only=True)
class Assistant(Resource):
    """An assistant."""

    access_mode: str = "organization"
    workflow_id: str | None = None
    workflow_version: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields that the API shows."""
        return {**vars(self), "workflow_based": self.workflow_id is not None}


class Store:
    """
    Keep the state of one organization in memory.

    Ids are counted up from 1, so the same calls give the same ids. What a method returns is frozen: a change
    replaces it. A method that is given an id raises :class:`~airflow_aitronos.sandbox.errors.ApiError`, with
    the id in its text, when nothing has it. The server holds ``lock`` while it carries out a request.

    :param clock: tells the time
    """

    def __init__(self, clock: Clock = time) -> None:
        self.lock = threading.RLock()
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        """Remove everything, and count ids from 1 again."""
        self._assistants: dict[str, Assistant] = {}
        self._workflows: dict[str, Workflow] = {}
        self._deleted: set[str] = set()
        self._detached: list[tuple[str, str]] = []
        self._counter = 0

    @property
    def detached(self) -> list[tuple[str, str]]:
        """Return every link that a detach removed, as assistant and workflow, oldest first."""
        return list(self._detached)

    @property
    def links(self) -> dict[str, str | None]:
        """Return the workflow of every assistant, None for those without one."""
        return {one.id: one.workflow_id for one in self.assistants}

    @property
    def assistants(self) -> list[Assistant]:
        """Return every assistant, oldest first."""
        return list(self._assistants.values())

    @property
    def workflows(self) -> list[Workflow]:
        """Return every workflow, oldest first; deleted ones are inactive."""
        return list(self._workflows.values())

    # --- assistants ---

    def get_assistant(self, assistant_id: str) -> Assistant:
        """
        Return an assistant.

        :param assistant_id: its id
        """
        if assistant_id not in self._assistants:
            message = f"There is no assistant {assistant_id!r}."
            raise ApiError(404, "ASSISTANT_NOT_FOUND", message, {"assistant_id": assistant_id})
        return self._assistants[assistant_id]

    def add_assistant(self, name: str, *, assistant_id: str | None = None, **fields: Any) -> Assistant:
        """
        Add an assistant without a workflow.

        :param name: its name
        :param assistant_id: its id, a new one unless given
        :param fields: other fields of :class:`Assistant`, such as ``description`` or ``is_active``
        :raises ValueError: if another assistant has the id
        """
        with self.lock:
            if assistant_id in self._assistants:
                raise ValueError(f"There is an assistant {assistant_id} already.")
            assistant = Assistant(name=name, **self._id_and_times(assistant_id, "asst"), **fields)
            self._assistants[assistant.id] = assistant
            return assistant

    # --- workflows ---

    def get_workflow(self, workflow_id: str) -> Workflow:
        """
        Return a workflow that is not deleted.

        :param workflow_id: its id
        """
        if workflow_id not in self._workflows or workflow_id in self._deleted:
            message = f"There is no workflow {workflow_id!r}."
            raise ApiError(404, "WORKFLOW_NOT_FOUND", message, {"workflow_id": workflow_id})
        return self._workflows[workflow_id]

    def get_linked_workflow(self, assistant_id: str) -> Workflow:
        """
        Return the workflow of an assistant.

        :param assistant_id: the assistant
        :raises ApiError: if it has none
        """
        workflow_id = self.get_assistant(assistant_id).workflow_id
        if workflow_id is None:
            message = f"Assistant {assistant_id} has no workflow."
            raise ApiError(404, "WORKFLOW_NOT_LINKED", message, {"assistant_id": assistant_id})
        return self.get_workflow(workflow_id)

    def add_workflow(
        self, name: str, definition: dict[str, Any], *, workflow_id: str | None = None, **fields: Any
    ) -> Workflow:
        """
        Add a workflow that no assistant uses.

        :param name: its name
        :param definition: its graph
        :param workflow_id: its id, a new one unless given
        :param fields: other fields of :class:`Workflow`, such as ``description`` or ``external_id``
        :raises ValueError: if another workflow has the id or the external id
        """
        with self.lock:
            if workflow_id in self._workflows:
                raise ValueError(f"There is a workflow {workflow_id} already.")
            if (owner := self._with_external_id(fields.get("external_id"))) is not None:
                raise ValueError(f"Workflow {owner.id} has the external id {owner.external_id} already.")
            made = self._id_and_times(workflow_id, "flow")
            workflow = Workflow(name=name, definition=definition, **made, **fields)
            self._workflows[workflow.id] = workflow
            return workflow

    def upsert_workflow(self, fields: dict[str, Any]) -> Workflow:
        """
        Add a workflow, or update the one that has the same external id.

        :param fields: the fields that were sent
        """
        known = self._with_external_id(fields.get("external_id"))
        return self.add_workflow(**fields) if known is None else self.update_workflow(known.id, fields)

    def update_workflow(self, workflow_id: str, fields: dict[str, Any]) -> Workflow:
        """
        Change a workflow and count its version up, unless no field was sent.

        :param workflow_id: its id
        :param fields: the fields that were sent
        :raises ApiError: if another workflow has the external id
        """
        workflow = self.get_workflow(workflow_id)
        owner = self._with_external_id(fields.get("external_id"))
        if owner is not None and owner is not workflow:
            details = {"external_id": owner.external_id, "workflow_id": owner.id}
            message = f"Workflow {owner.id} has this external_id."
            raise ApiError(409, "WORKFLOW_EXTERNAL_ID_CONFLICT", message, details)
        if not fields:
            return workflow
        return self._change_workflow(workflow, version=workflow.version + 1, **fields)

    def delete_workflow(self, workflow_id: str) -> None:
        """
        Delete a workflow softly and unlink the assistants that use it.

        :param workflow_id: its id
        """
        for assistant_id in self.get_workflow(workflow_id).assistant_ids:
            self.unlink(assistant_id)
        self._change_workflow(self.get_workflow(workflow_id), is_active=False)
        self._deleted.add(workflow_id)

    # --- links ---

    def link(self, assistant_id: str, workflow_id: str) -> Workflow:
        """
        Link a workflow to an assistant. No call of the API does this for two that exist.

        :param assistant_id: an assistant without a workflow
        :param workflow_id: any workflow
        :return: the workflow as it is now
        :raises ApiError: if the assistant has a workflow
        """
        with self.lock:
            assistant, workflow = self.get_assistant(assistant_id), self.get_workflow(workflow_id)
            self.require_unlinked(assistant)
            self._change_assistant(assistant, workflow_id=workflow_id, workflow_version=workflow.version)
            return self._change_workflow(workflow, assistant_ids=(*workflow.assistant_ids, assistant_id))

    def require_unlinked(self, assistant: Assistant) -> None:
        """
        Raise an error if an assistant has a workflow.

        :param assistant: the assistant
        """
        if assistant.workflow_id is not None:
            details = {"assistant_id": assistant.id, "workflow_id": assistant.workflow_id}
            message = f"Assistant {assistant.id} already has the workflow {assistant.workflow_id}."
            raise ApiError(409, "ASSISTANT_ALREADY_LINKED", message, details)

    def unlink(self, assistant_id: str) -> str | None:
        """
        Remove the link of an assistant by other means than a detach; :attr:`detached` does not list it.

        :param assistant_id: an assistant, with a workflow or without
        :return: the workflow that was linked, None if there was none
        """
        with self.lock:
            assistant = self.get_assistant(assistant_id)
            if assistant.workflow_id is None:
                return None
            workflow = self.get_workflow(assistant.workflow_id)
            others = tuple(other for other in workflow.assistant_ids if other != assistant_id)
            self._change_assistant(assistant, workflow_id=None, workflow_version=None)
            self._change_workflow(workflow, assistant_ids=others)
            return workflow.id

    def detach(self, assistant_id: str) -> str | None:
        """
        Remove the link between an assistant and its workflow; the workflow stays.

        :param assistant_id: the assistant
        :return: the workflow that was detached, None if there was none
        """
        workflow_id = self.unlink(assistant_id)
        if workflow_id is not None:
            self._detached.append((assistant_id, workflow_id))
        return workflow_id

    def _change_assistant(self, assistant: Assistant, **changes: Any) -> None:
        self._assistants[assistant.id] = replace(assistant, updated_at=self._now(), **changes)

    def _change_workflow(self, workflow: Workflow, **changes: Any) -> Workflow:
        changed = replace(workflow, updated_at=self._now(), **changes)
        self._workflows[workflow.id] = changed
        return changed

    def _with_external_id(self, external_id: str | None) -> Workflow | None:
        if external_id is None:
            return None
        found = (one for one in self._workflows.values() if one.external_id == external_id)
        return next((one for one in found if one.id not in self._deleted), None)

    def _id_and_times(self, wanted_id: str | None, prefix: str) -> dict[str, Any]:
        if wanted_id is None:
            self._counter += 1
        new_id = wanted_id or f"{prefix}_{self._counter:012d}"
        return {"id": new_id, "created_at": self._now(), "updated_at": self._now()}

    def _now(self) -> int:
        return int(self._clock.time())
