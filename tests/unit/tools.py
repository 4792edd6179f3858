"""What the unit tests share: connections, a log that keeps its lines, and checks for the key."""

from __future__ import annotations

import importlib
import json
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, urlencode

from airflow_aitronos.client.settings import Settings, SettingsLoader
from airflow_aitronos.hooks.aitronos import AitronosHook
from tests.support.fault_server import FaultServer
from tests.support.recording_log import RecordingLog
from tests.support.replies import http

CONN_ID = "aitronos_default"
KEY = "sk-CANARY-7f3e91ab"
ASSISTANT = "asst_abc123def456"
WORKFLOW = "flow_abc123def456"
DETACH_PATH = f"/v1/assistants/{ASSISTANT}/workflow"
BODY = {"assistant_id": ASSISTANT, "workflow_id": WORKFLOW, "message": "Operation completed successfully"}
RESULT = {**BODY, "outcome": "detached"}

Connect = Callable[..., None]

OPTIONS: dict[str, Any] = {
    "connect_timeout": 5.0,
    "read_timeout": 30.0,
    "total_timeout": 120.0,
    "max_attempts": 4,
    "max_backoff": 20.0,
    "max_retry_after": 60.0,
    "verify": True,
    "allow_http": False,
}
"""The closed list of Extra keys, with their defaults."""


def connection(*, form: str = "json", **fields: Any) -> str:
    """Return a connection as an environment variable holds it; its key is good unless told otherwise."""
    fields = {"password": KEY, **fields}
    if form == "json":
        return json.dumps({"conn_type": "aitronos", **fields})
    host, port = fields.get("host", ""), fields.get("port")
    where = (host if host.startswith("[") else quote(host, safe="")) + (f":{port}" if port else "")
    query = f"?{urlencode(fields['extra'])}" if "extra" in fields else ""
    return f"aitronos://:{quote(fields['password'], safe='')}@{where}/{fields.get('schema', '')}{query}"


def connection_fields(**fields: Any) -> Any:
    """Return a stand-in for an Airflow connection."""
    blank = dict.fromkeys(("host", "port", "schema", "extra"))
    return SimpleNamespace(**{**blank, "password": KEY, **fields})


def make_settings(arguments: Mapping[str, Any] | None = None, **fields: Any) -> Settings:
    """Return the settings of a connection with these fields."""
    return SettingsLoader(CONN_ID, connection_fields(**fields), lambda _: None).load(arguments or {})


def detach(conn_id: str = CONN_ID, *, log: RecordingLog | None = None, **arguments: Any) -> Any:
    """Detach through the hook."""
    with patch.object(AitronosHook, "log", log or RecordingLog()), AitronosHook(conn_id, **arguments) as hook:
        return hook.detach_assistant_workflow(ASSISTANT)


@contextmanager
def untouched() -> Iterator[FaultServer]:
    """Give a server, and check afterwards that nothing has connected to it."""
    with FaultServer() as server:
        yield server
    assert (server.connections, server.requests) == (0, [])


def detached_server() -> FaultServer:
    """Return a server that answers one detach as documented."""
    return FaultServer([http(200, BODY)])


def assert_one_detach(server: FaultServer, key: str = KEY, prefix: str = "") -> None:
    """Check that exactly the documented request arrived, and the key in its one header only."""
    assert [(one.method, one.path) for one in server.requests] == [("DELETE", prefix + DETACH_PATH)]
    request = server.requests[0]
    assert request.values("X-API-Key") == [key]
    assert request.raw.count(key.encode()) == 1
    assert request.body == b""


def assert_hides(error: BaseException, *secrets: str) -> None:
    """Check that no part of an exception, its pickle included, holds a secret."""
    chain: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in chain:
            chain.append(one)
            waiting += [one.__cause__, one.__context__]
    for one in chain:
        shown = [str(one), repr(one), repr(one.args), repr(vars(one)), repr(pickle.dumps(one))]
        for secret in secrets:
            assert secret not in "\n".join(shown)


def secrets_masker(name: str) -> Any:
    """Return a function of Airflow's secrets masker, which has moved between versions."""
    for path in ("airflow.sdk._shared.secrets_masker", "airflow.sdk.execution_time.secrets_masker"):
        with suppress(ImportError, AttributeError):
            return getattr(importlib.import_module(path), name)
    raise AssertionError(f"{name} is not where it used to be")


def airflow_redacts(text: str) -> str:
    """Return a text as Airflow's masker leaves it."""
    return str(secrets_masker("redact")(text))
