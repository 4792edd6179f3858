"""
The measured side: makes calls when told to, and says what they took.

One line in, ``CONTENDER CALLS``; one line out, the JSON object ``{"wall": seconds, "cpu": seconds}``. This
module needs the standard library only: it also runs where neither Airflow nor this package is installed.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping

from benchmarks.keep_alive_server import WORKFLOW_ID

_WARM_UP = 50


def serve(contenders: Mapping[str, Callable[[], object]]) -> None:
    """
    Measure until standard input ends.

    :param contenders: by name, a function that makes one call and returns the id of the detached workflow.
    """
    # What libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with answers:
        for call in contenders.values():
            _warm_up(call)
        print(json.dumps(list(contenders)), file=answers)
        for line in sys.stdin:
            name, calls = line.split()
            print(json.dumps(_measure(contenders[name], int(calls))), file=answers)


def _warm_up(call: Callable[[], object]) -> None:
    """Open the connection, and look once whether the answer is understood."""
    for _ in range(_WARM_UP):
        if call() != WORKFLOW_ID:
            raise RuntimeError("a contender did not return the id of the workflow")


def _measure(call: Callable[[], object], calls: int) -> dict[str, float]:
    # Nobody pays for the garbage of another.
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(calls):
        call()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
