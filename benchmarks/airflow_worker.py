"""
The contenders that run within Airflow: this package's hook, ``HttpHook``, and ``requests`` itself.

All share one process in which Airflow is loaded and logging is set up as Airflow sets it up for a task: INFO
lines become JSON and are written, unbuffered, here to the null device. That is the fair setting, and the one
that the limits are measured with: the line that this package's hook logs for each call is part of what the
call costs in a task. It is strict against the hook: the bare session logs nothing, and ``HttpHook`` logs
below INFO only. How much of the time the line takes is what the second, quiet hook shows.

Every contender is used as its documentation says: one session or hook for all calls, a timeout of 30 seconds
for a silent server, errors raised, the JSON body decoded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import requests
from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk.log import configure_logging

from airflow_aitronos.hooks.aitronos import AitronosHook
from benchmarks.contenders import (
    AITRONOS_CONN_ID,
    API_KEY,
    HOOK,
    HTTP_CONN_ID,
    HTTP_HOOK,
    QUIET_HOOK,
    SESSION,
    TIMEOUT,
)
from benchmarks.keep_alive_server import ASSISTANT_ID
from benchmarks.worker import serve

_PATH = f"/v1/assistants/{ASSISTANT_ID}/workflow"


class QuietHook(AitronosHook):
    """The hook, with a logger whose level the environment sets above INFO."""


def _session(url: str) -> Callable[[], object]:
    session = requests.Session()
    session.headers["X-API-Key"] = API_KEY

    def call() -> object:
        response = session.delete(url, timeout=TIMEOUT)
        response.raise_for_status()
        return response.json()["workflow_id"]

    return call


def _hook(kind: type[AitronosHook]) -> Callable[[], object]:
    hook = kind(AITRONOS_CONN_ID)
    return lambda: hook.detach_assistant_workflow(ASSISTANT_ID)["workflow_id"]


def _http_hook() -> Callable[[], object]:
    hook = HttpHook(method="DELETE", http_conn_id=HTTP_CONN_ID)
    return lambda: hook.run(_PATH).json()["workflow_id"]


def main() -> None:
    """Serve all contenders on the server that the first argument names."""
    with open(os.devnull, "wb", buffering=0) as log:  # noqa: PTH123  # a device, not a path
        configure_logging(json_output=True, output=log, sending_to_supervisor=True)
        serve(
            {
                SESSION: _session(f"{sys.argv[1]}{_PATH}"),
                HOOK: _hook(AitronosHook),
                QUIET_HOOK: _hook(QuietHook),
                HTTP_HOOK: _http_hook(),
            }
        )


if __name__ == "__main__":
    main()
