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


def on_failure(context: Any) -> None:
    """Note down a task that failed for good."""
    _note_down("failure", context)


def on_retry(context: Any) -> None:
    """Note down a try after which there will be another."""
    _note_down("retry", context)


def _note_down(kind: str, context: Any) -> None:
    seen.append(Seen(kind, str(context["ti"].state.value)))
