"""What the callbacks of task runs saw, in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Seen:
    """
    One callback.

    :param kind: ``failure`` or ``retry``.
    :param state: of the task instance.
    """

    kind: str
    state: str


seen: list[Seen] = []

told: list[dict[str, Any]] = []
"""What :func:`on_failure_tell` read from the exceptions."""

FACTS = (
    "dag_id",
    "task_id",
    "run_id",
    "map_index",
    "try_number",
    "conn_id",
    "assistant_id",
    "workflow_id",
    "outcome",
    "maybe_done",
    "trace_id",
)


def on_failure(context: Any) -> None:
    """Note down a task that failed for good."""
    _note_down("failure", context)


def on_retry(context: Any) -> None:
    """Note down a try after which there will be another."""
    _note_down("retry", context)


def on_failure_tell(context: Any) -> None:
    """Note down the facts that the exception carries."""
    if (error := context.get("exception")) is not None:
        told.append({name: getattr(error, name) for name in FACTS})


def _note_down(kind: str, context: Any) -> None:
    seen.append(Seen(kind, str(context["ti"].state.value)))
