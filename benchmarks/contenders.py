"""
The contenders, in one process that logs as a task does: INFO lines become JSON, here for the null device.

That is strict against the hook: it logs a line for each call, the bare session none, and ``HttpHook`` none at
INFO. The quiet hook shows what the line costs. Every contender is used as its documentation says: one session
or hook for all calls, a timeout for a silent server, errors raised, the JSON body decoded.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable

import requests
from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk.log import configure_logging

from airflow_aitronos.hooks.aitronos import AitronosHook
from benchmarks.calls import HOOK, HTTP_HOOK, QUIET_HOOK, SESSION, TIMEOUT
from benchmarks.result import in_turns
from benchmarks.server import ASSISTANT_ID, PATH, WORKFLOW_ID

_BLOCK, _WARM_UP = 100, 50


class QuietHook(AitronosHook):
    """The hook, with a logger whose level the environment sets above INFO."""


def session(url: str) -> Callable[[], object]:
    """
    Return what somebody writes who does not use a hook.

    :param url: of the server.
    """
    bare = requests.Session()
    bare.headers["X-API-Key"] = os.environ["BENCHMARK_KEY"]

    def call() -> object:
        response = bare.delete(f"{url}{PATH}", timeout=TIMEOUT)
        response.raise_for_status()
        return response.json()["workflow_id"]

    return call


def hook(kind: type[AitronosHook]) -> Callable[[], object]:
    """
    Return a call of this package's hook.

    :param kind: the hook, or the quiet one.
    """
    ours = kind()
    return lambda: ours.detach_assistant_workflow(ASSISTANT_ID)["workflow_id"]


def http_hook() -> Callable[[], object]:
    """Return a call of the HTTP provider's hook."""
    theirs = HttpHook(method="DELETE")
    return lambda: theirs.run(PATH).json()["workflow_id"]


def main(url: str, rounds: int, calls: int) -> None:
    """
    Measure, and print the seconds of one call as JSON, by contender and round.

    :param url: of the server.
    :param rounds: of calls.
    :param calls: of each contender in each round.
    """
    with open(os.devnull, "wb", buffering=0) as log:  # noqa: PTH123  # a device, not a path
        configure_logging(json_output=True, output=log, sending_to_supervisor=True)
        contenders = {
            SESSION: session(url),
            HOOK: hook(AitronosHook),
            QUIET_HOOK: hook(QuietHook),
            HTTP_HOOK: http_hook(),
        }
        for name, call in contenders.items():
            if {call() for _ in range(_WARM_UP)} != {WORKFLOW_ID}:
                raise RuntimeError(f"{name} did not return the id of the workflow")
        seconds = in_turns(contenders, rounds, calls, _BLOCK)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
