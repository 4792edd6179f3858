"""What the callbacks of task runs saw, in this process."""

from __future__ import annotations

from typing import Any

seen: list[tuple[str, str]] = []
"""Kind of the callback, and the state of the task instance then."""


def on_failure(context: Any) -> None:
    """Record a task that failed for good."""
    seen.append(("failure", str(context["ti"].state.value)))


def on_retry(context: Any) -> None:
    """Record a try that another one will follow."""
    seen.append(("retry", str(context["ti"].state.value)))
