"""Lines of progress, bounded waiting, and the one error that ends a run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_STARTED = time.monotonic()
_PAUSE = 0.5
_Found = TypeVar("_Found")


class CheckFailedError(Exception):
    """A check failed; the text says which, in one line."""


def say(text: str) -> None:
    """
    Print a line with the seconds since the start.

    :param text: what is done next, or what was found.
    """
    print(f"[{time.monotonic() - _STARTED:4.0f} s] {text}", flush=True)


def wait_for(what: str, poll: Callable[[], _Found | None], seconds: float) -> _Found:
    """
    Poll until there is something.

    :param what: it is that is waited for.
    :param poll: returns it, or None.
    :param seconds: to wait at most.
    :return: what was found.
    :raises CheckFailedError: if it is not there in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = poll()
        if found is not None:
            return found
        time.sleep(_PAUSE)
    raise CheckFailedError(f"{what}: not there after {seconds:.0f} s")
