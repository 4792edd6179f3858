"""What a new sandbox holds: assistants with a workflow, one without, and one workflow to spare."""

from __future__ import annotations

from airflow_aitronos.sandbox.store import ONE_LLM_NODE, Store


def seed(store: Store, fleet: int = 0) -> None:
    """
    Fill an empty store.

    :param store: the store to fill
    :param fleet: number of additional assistants with a workflow each, from ``asst_fleet00001``
    """
    for name in ("Support", "Billing", "Onboarding", "Sales"):
        _add_linked(store, f"{name.lower()}01", name)
    for number in range(1, fleet + 1):
        _add_linked(store, f"fleet{number:05d}", f"Fleet {number}")
    store.add_assistant("Idle", assistant_id="asst_idle01", description="Has no workflow")
    store.add_workflow("Spare flow", ONE_LLM_NODE, workflow_id="flow_spare01", external_id="spare")


def _add_linked(store: Store, suffix: str, name: str) -> None:
    description = f"Answers questions for {name}"
    assistant = store.add_assistant(name, assistant_id=f"asst_{suffix}", description=description)
    workflow = store.add_workflow(f"{name} flow", ONE_LLM_NODE, workflow_id=f"flow_{suffix}")
    store.link(assistant.id, workflow.id)
