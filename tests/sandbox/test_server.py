"""The server around the calls: start, stop, record, connection."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import signal
import socket
import threading
import warnings
from collections.abc import Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from typing import Any

import pytest

from airflow_aitronos.sandbox import server as server_module
from airflow_aitronos.sandbox.app import create_app
from airflow_aitronos.sandbox.faults import FaultPlan
from airflow_aitronos.sandbox.recorder import RecordedRequest
from airflow_aitronos.sandbox.server import SandboxServer
from airflow_aitronos.sandbox.store import Store
from tests.sandbox.caller import Api, MakeApi
from tests.sandbox.contract import API_KEY, READ_ONLY_KEY


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_listens_on_loopback_only_by_default() -> None:
    with SandboxServer() as server:
        assert server._socket.getsockname() == ("127.0.0.1", server.port)
        assert server.url == f"http://127.0.0.1:{server.port}"


def test_port_is_closed_and_thread_gone_after_the_block() -> None:
    before = threading.active_count()
    with SandboxServer() as server:
        assert is_open(server.port)
        assert threading.active_count() == before + 1
    assert not is_open(server.port)
    assert threading.active_count() == before


def test_stops_after_an_exception_in_the_block() -> None:
    with pytest.raises(KeyError), SandboxServer() as server:
        raise KeyError
    assert not is_open(server.port)


def test_leaves_no_resource_behind() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with SandboxServer() as server:
            api = Api(server.url, API_KEY)
            api.ok("GET", "/v1/auth/validate")
        # The session was still connected when the server stopped.
        api.session.close()
        del server
        gc.collect()
    assert [warning for warning in caught if issubclass(warning.category, ResourceWarning)] == []


def test_stops_while_a_caller_is_still_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_GRACE", 1)
    with ExitStack() as callers, SandboxServer() as server:
        caller = callers.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        api = callers.enter_context(Api(server.url, None))
        head = f"POST /v1/workflows HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\n"
        caller.sendall((head + "Content-Type: application/json\r\nContent-Length: 9\r\n\r\n").encode())
        # A second call answered means that the server has seen the first one.
        api.ok("GET", "/v1/health/")
    assert not is_open(server.port)


def test_second_block_serves_the_same_state() -> None:
    server = SandboxServer()
    with server, Api(server.url, API_KEY) as api:
        api.ok("DELETE", "/v1/assistants/asst_support01/workflow")
    with server, Api(server.url, API_KEY) as api:
        assert api.ok("GET", "/v1/assistants/asst_support01")["workflow_id"] is None


def test_fixed_port() -> None:
    with SandboxServer() as first:
        port = first.port
        with pytest.raises(OSError, match="in use"), SandboxServer(port=port):
            pytest.fail("two servers on one port")
    with SandboxServer(port=port) as second:
        assert second.port == port
        assert is_open(port)


@pytest.mark.parametrize("ask", [lambda s: s.port, lambda s: s.url, lambda s: s.connection_json()])
def test_address_is_unknown_before_the_start(ask: Callable[[SandboxServer], object]) -> None:
    with pytest.raises(RuntimeError, match="not started"):
        ask(SandboxServer())


def test_installs_no_signal_handlers_and_leaves_logging_alone() -> None:
    signals = (signal.SIGINT, signal.SIGTERM)
    loggers = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.error", "uvicorn.access")]

    def state() -> object:
        return (
            [signal.getsignal(number) for number in signals],
            [(item.level, item.handlers[:], item.propagate) for item in loggers],
        )

    before = state()
    with SandboxServer():
        assert state() == before
    assert state() == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_start_that_fails_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_args: object, **_kwargs: object) -> None:
        raise ValueError("no start")

    monkeypatch.setattr("uvicorn.Server.startup", fail)
    server = SandboxServer()
    with pytest.raises(RuntimeError, match="did not start"), server:
        pytest.fail("a server that did not start")
    assert not is_open(server.port)


def test_thread_that_does_not_end_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    server = SandboxServer()
    server.__enter__()
    monkeypatch.setattr(server_module, "_BOUND", 0)
    with pytest.raises(RuntimeError, match="did not stop within 0 seconds"):
        server.__exit__(None, None, None)
    monkeypatch.undo()
    server.__exit__(None, None, None)
    assert not is_open(server.port)


def test_connection_is_kept_alive(sandbox: SandboxServer) -> None:
    connection = HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
    with closing(connection):
        connection.connect()
        opened = connection.sock
        for _ in range(3):
            connection.request("GET", "/v1/health/")
            assert connection.getresponse().read() == b'{"status":"ok"}'
            assert connection.sock is opened


def test_requests_are_recorded_without_the_key(sandbox: SandboxServer, make_api: MakeApi) -> None:
    make_api(API_KEY)("GET", "/v1/assistants", params={"organization_id": "org_sandbox01", "search": "a b"})
    make_api(READ_ONLY_KEY)("DELETE", "/v1/assistants/asst_support01/workflow")
    make_api(None)("GET", "/v1/workflows/flow%20x")
    make_api("wrong")("POST", "/v1/workflows", json={})
    make_api(API_KEY)("GET", "/v1/nothing")
    assert sandbox.requests == [
        RecordedRequest("GET", "/v1/assistants", "organization_id=org_sandbox01&search=a+b", 200, "api_key"),
        RecordedRequest("DELETE", "/v1/assistants/asst_support01/workflow", "", 403, "read_only_key"),
        RecordedRequest("GET", "/v1/workflows/flow%20x", "", 401, "none"),
        RecordedRequest("POST", "/v1/workflows", "", 401, "wrong"),
        RecordedRequest("GET", "/v1/nothing", "", 404, "api_key"),
    ]
    text = repr(sandbox.requests)
    assert API_KEY not in text
    assert READ_ONLY_KEY not in text


def test_record_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_REQUESTS_KEPT", 2)
    with SandboxServer() as server, Api(server.url, None) as api:
        for path in ("/1", "/2", "/3"):
            api("GET", path)
        assert [request.path for request in server.requests] == ["/2", "/3"]


def test_reset(sandbox: SandboxServer, api: Api) -> None:
    before = api.ok("GET", "/v1/workflows")
    api.ok("DELETE", "/v1/assistants/asst_support01/workflow")
    api("DELETE", "/v1/workflows/flow_spare01")
    api.ok("POST", "/v1/workflows", json={"name": "n", "definition": {}})
    sandbox.reset()
    assert sandbox.requests == []
    after = api.ok("GET", "/v1/workflows")
    times = {"created_at": 0, "updated_at": 0}
    assert [item | times for item in after["workflows"]] == [item | times for item in before["workflows"]]
    assert api.ok("GET", "/v1/workflows/flow_spare01")["is_active"] is True


def test_connection_of_a_loopback_sandbox() -> None:
    with SandboxServer(api_key="mine") as server:
        assert json.loads(server.connection_json()) == {
            "conn_type": "aitronos",
            "host": f"http://127.0.0.1:{server.port}",
            "password": "mine",
        }
        assert "\n" not in server.connection_json()


@pytest.mark.parametrize(
    ("host", "url_host", "loopback"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.1.2.3", "127.1.2.3", True),
        ("localhost", "localhost", True),
        ("::1", "[::1]", True),
        ("::", "[::1]", False),
        ("0.0.0.0", "127.0.0.1", False),
        ("192.0.2.7", "192.0.2.7", False),
        ("2001:db8::7", "[2001:db8::7]", False),
        ("sandbox.example", "sandbox.example", False),
    ],
)
def test_url_and_connection_of_other_hosts(any_host: None, host: str, url_host: str, loopback: bool) -> None:
    with SandboxServer(host=host) as server:
        assert server.url == f"http://{url_host}:{server.port}"
        assert server.is_loopback is loopback
        connection = json.loads(server.connection_json())
        assert connection["host"] == server.url
        assert connection.get("extra") == (None if loopback else {"allow_http": True})


def test_host_name_is_resolved() -> None:
    with SandboxServer(host="localhost") as server:
        assert server._socket.getsockname()[0] in ("127.0.0.1", "::1")
        with Api(server.url, None) as api:
            api.ok("GET", "/v1/health/")


def test_family_of_the_address_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    found = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::7", 80, 0, 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: found)
    create_server = socket.create_server

    def create(address: tuple[str, int], *, family: int) -> socket.socket:
        made.append((address, family))
        return create_server(("127.0.0.1", 0))

    monkeypatch.setattr(socket, "create_server", create)
    with server_module._listen("sandbox.example", 80):
        assert made == [(("2001:db8::7", 80), socket.AF_INET6)]


def test_accepted_connections_do_not_wait_for_acknowledgements() -> None:
    with (
        server_module._listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_parallel_calls_lose_nothing(sandbox: SandboxServer) -> None:
    def deploy(_number: int) -> Any:
        body = {"name": "n", "definition": {}, "external_id": "x"}
        with Api(sandbox.url, API_KEY) as api:
            return api.ok("POST", "/v1/workflows", json=body)["version"]

    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(deploy, range(40)))
    assert sorted(versions) == list(range(1, 41))


def test_what_is_not_http_passes_the_recorder() -> None:
    seen: list[RecordedRequest] = []
    app = create_app(Store("org_x"), api_key="a", read_only_key="b", record=seen.append, faults=FaultPlan())
    sent: list[str] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"} if not sent else {"type": "lifespan.shutdown"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message["type"])

    asyncio.run(app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert seen == []
