"""What the unit tests share: connections, settings, logs and a look for the key in everything."""

from __future__ import annotations

import importlib
import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

from airflow_aitronos.client.auth import ApiKeyAuth
from airflow_aitronos.client.base_url import parse_base_url
from airflow_aitronos.client.reply import Failure
from airflow_aitronos.client.settings import Settings, load_settings
from airflow_aitronos.exceptions import AitronosNetworkError
from tests.support.fault_server import FaultServer
from tests.support.replies import http

CONN_ID = "aitronos_default"
CONN_VARIABLE = "AIRFLOW_CONN_AITRONOS_DEFAULT"
KEY = "sk-CANARY-7f3e91ab"
ASSISTANT = "asst_abc123def456"
WORKFLOW = "flow_abc123def456"
DETACH_PATH = f"/v1/assistants/{ASSISTANT}/workflow"
DETACHED = {
    "assistant_id": ASSISTANT,
    "workflow_id": WORKFLOW,
    "message": "Operation completed successfully",
}

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


def connection_json(**fields: Any) -> str:
    """Return a connection as an environment variable holds it, with a good key unless told otherwise."""
    return json.dumps({"conn_type": "aitronos", "password": KEY, **fields})


def connection_fields(**fields: Any) -> Any:
    """Return what stands in for an Airflow connection where no Airflow is needed."""
    blank: dict[str, Any] = {"host": None, "port": None, "schema": None, "password": KEY, "extra": None}
    return SimpleNamespace(**{**blank, **fields})


def loaded(*, masked: list[str] | None = None, arguments: Any = None, **fields: Any) -> Settings:
    """Return the settings of a connection with these fields."""
    return load_settings(
        CONN_ID,
        connection_fields(**fields),
        arguments or {},
        mask_secret=(masked if masked is not None else []).append,
    )


def make_settings(url: str = "http://127.0.0.1:9", key: str = KEY, **options: Any) -> Settings:
    """Return settings for a base URL, without the way through a connection."""
    base_url = parse_base_url(url)
    return Settings(
        conn_id=CONN_ID, base_url=base_url, auth=ApiKeyAuth(key, base_url.origin), **{**OPTIONS, **options}
    )


def failure(*, transient: bool = True, retry_after: float | None = None, **fields: Any) -> Failure:
    """Return the failure of an attempt."""
    facts = {"retry_after": retry_after, **fields.pop("facts", {})}
    return Failure(
        fields.pop("error", AitronosNetworkError),
        fields.pop("what", "it broke"),
        fields.pop("advice", "Look at it."),
        transient=transient,
        facts=facts,
        **fields,
    )


class Lines:
    """A log that keeps its lines as (level, text)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def info(self, event: Any, *args: Any) -> None:
        self.lines.append(("info", event % args))

    def warning(self, event: Any, *args: Any) -> None:
        self.lines.append(("warning", event % args))

    def error(self, event: Any, *args: Any) -> None:
        self.lines.append(("error", event % args))

    def of(self, level: str) -> list[str]:
        """Return the texts of one level."""
        return [text for one, text in self.lines if one == level]


@contextmanager
def untouched() -> Iterator[FaultServer]:
    """Give a server, and prove afterwards that nobody has so much as connected to it."""
    with FaultServer() as server:
        yield server
    assert (server.connections, server.requests) == (0, [])


def detached_server() -> FaultServer:
    """Make a server that answers one detach as documented."""
    return FaultServer([http(200, DETACHED)])


def assert_one_detach(server: FaultServer, key: str = KEY, prefix: str = "") -> None:
    """Check that exactly the documented request arrived, and the key in its one header only."""
    assert [(request.method, request.path) for request in server.requests] == [
        ("DELETE", prefix + DETACH_PATH)
    ]
    request = server.requests[0]
    assert request.values("X-API-Key") == [key]
    assert request.raw.count(key.encode()) == 1
    assert request.body == b""


def whole_chain(error: BaseException) -> list[BaseException]:
    """Return an exception and everything that it carries as cause or context."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in found:
            found.append(one)
            waiting += [one.__cause__, one.__context__]
    return found


def assert_hides(error: BaseException, *secrets: str) -> None:
    """Check that no part of an exception, its pickle included, holds a secret."""
    for one in whole_chain(error):
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
