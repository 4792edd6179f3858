"""Put back what running a task changes in a process: Airflow counts on a process of the task's own."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

_SIGNALS = ("SIGTERM", "SIGINT", "SIGALRM", "SIGUSR2")


@contextmanager
def kept() -> Iterator[None]:
    """Keep environment, import path, filters for warnings and signal handlers as they are before a block."""
    path = list(sys.path)
    with patch.dict(os.environ), warnings.catch_warnings(), _signal_handlers_kept():
        try:
            yield
        finally:
            sys.path[:] = path


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    # Python lets no other thread set a handler, Airflow's neither.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None stands for a handler that is not Python's, which nobody can put back.
            if handler is not None:
                signal.signal(number, handler)
