"""What a new sandbox holds: three assistants with a workflow, one without, and one workflow to spare."""

from __future__ import annotations

from pydantic import JsonValue

from airflow_aitronos.sandbox.store import Store

ORGANIZATION_ID = "org_sandbox01"

_LINKED = {
    "support01": ("Support", "Answers questions of customers"),
    "billing01": ("Billing", "Explains invoices"),
    "onboarding01": ("Onboarding", "Shows new customers around"),
}


def seed(store: Store) -> None:
    """
    Fill an empty store.

    :param store: the store to fill
    """
    for suffix, (name, description) in _LINKED.items():
        assistant = store.add_assistant(name, assistant_id=f"asst_{suffix}", description=description)
        workflow = store.add_workflow(f"{name} flow", _definition(), workflow_id=f"flow_{suffix}")
        store.link(assistant.id, workflow.id)
    store.add_assistant("Idle", assistant_id="asst_idle01", description="Has no workflow")
    store.add_workflow("Spare flow", _definition(), workflow_id="flow_spare01", external_id="spare")


def _definition() -> dict[str, JsonValue]:
    return {"nodes": [{"id": "llm_1", "type": "llm"}], "edges": []}
