"""Put back what running a task changes in a process: Airflow counts on a process of the task's own."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGUSR2)


@contextmanager
def kept() -> Iterator[None]:
    """Keep environment, import path, filters for warnings and signal handlers as they are before a block."""
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    with patch.dict(os.environ), patch.object(sys, "path", list(sys.path)), warnings.catch_warnings():
        try:
            yield
        finally:
            for number, handler in handlers.items():
                # Outside the main thread nothing can change or put back a handler. None stands for one that
                # is not Python's.
                if handler is not None and handler is not signal.getsignal(number):
                    signal.signal(number, handler)
