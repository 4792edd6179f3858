"""A stand-in for what Airflow 3.3 keeps for a task over its tries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def context_with(store: Store) -> Any:
    """Return the context of a task instance that has this store."""
    return {"task_state_store": store}


class Store(dict[str, Any]):
    """
    A task state store in memory.

    :param broken: methods that raise, as with a backend that is down.
    :param wait: what is called with the seconds that each write takes.
    """

    def __init__(self, *broken: str, wait: Callable[[float], None] | None = None) -> None:
        super().__init__()
        self.broken = set(broken)
        self.wait = wait
        self.asked: list[str] = []

    def _ask(self, method: str) -> None:
        self.asked.append(method)
        if method in self.broken:
            raise OSError(f"the backend of {method} is down, and its secret is s3cr3t")

    def get(self, key: str, default: Any = None) -> Any:
        """Return what is kept."""
        self._ask("get")
        return super().get(key, default)

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""
        self._ask("set")
        if self.wait:
            self.wait(1.0)
        self[key] = value

    def delete(self, key: str) -> None:
        """Forget a value."""
        self._ask("delete")
        self.pop(key, None)
