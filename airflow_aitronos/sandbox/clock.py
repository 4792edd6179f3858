"""The time as the sandbox reads it."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Tell the time; the module :mod:`time` does, and so does a test's own clock."""

    def monotonic(self) -> float:
        """Return seconds that never jump back."""
        ...

    def time(self) -> float:
        """Return Unix seconds."""
        ...
