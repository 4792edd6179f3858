"""What happens before the first byte of a request leaves."""

from __future__ import annotations

import json
import os
import socket
import threading
import traceback
from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_aitronos.exceptions import AitronosConfigurationError, AitronosError
from airflow_aitronos.hooks.aitronos import AitronosHook
from tests.support.addresses import closed_port, tls_context
from tests.support.airflow_versions import needs_unchecked_extra
from tests.support.connection import Connection
from tests.support.fault_server import FaultServer, Unread
from tests.support.replies import http
from tests.wire.runner import connect
from tests.wire.wire_case import ASSISTANT, GOOD, KEY


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let a name that only the test knows have these addresses."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "many.test":
            return real(host, port, *args, **kwargs)
        return [one for address in addresses for one in real(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


BIG: dict[str, Any] = {"name": "x", "definition": {"a": "y" * 12_000_000}}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_an_upload_may_take_longer_than_connecting(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tls: bool
) -> None:
    def read_slowly(connection: Connection) -> None:
        for read in range(2_000_000, 10_000_000, 2_000_000):
            threading.Event().wait(0.2)
            while len(connection.buffer) < read:
                connection.receive()
        while not connection.buffer.endswith(b'"}}'):
            connection.receive()
        connection.send(http(201, {"id": "flow_1"}))

    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with FaultServer([Unread(read_slowly)], tls_context(ca) if tls else None) as server:
        connect(monkeypatch, server.url, max_attempts=1, connect_timeout=0.3, verify=str(tmp_path / "ca.pem"))
        assert hook.request("POST", "/v1/workflows", json=BIG) == {"id": "flow_1"}


def test_the_next_address_is_tried_when_one_refuses(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, "::1", "127.0.0.1")
    with FaultServer([GOOD]) as server:
        connect(monkeypatch, f"http://many.test:{server.port}", allow_http=True, max_attempts=1)
        hook.detach_assistant_workflow(ASSISTANT)
    assert server.requests[0].values("Host") == [f"many.test:{server.port}"]


def test_a_server_on_this_machine_is_not_asked_through_a_proxy(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer() as proxy, FaultServer([GOOD] * 2) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        connect(monkeypatch, f"http://localhost:{server.port}")
        hook.detach_assistant_workflow(ASSISTANT)
        hook.get_conn().get(f"http://localhost:{server.port}")
        hook.close()
    assert proxy.connections == 0
    assert len(server.requests) == 2


@pytest.mark.parametrize("is_exempt", [False, True])
def test_a_host_in_no_proxy_is_not_asked_through_a_proxy(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, is_exempt: bool
) -> None:
    resolve_to(monkeypatch, "127.0.0.1")
    with FaultServer([GOOD]) as proxy, FaultServer([GOOD]) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "other.test,many.test" if is_exempt else "other.test")
        connect(monkeypatch, f"http://many.test:{server.port}", allow_http=True)
        hook.detach_assistant_workflow(ASSISTANT)
        hook.close()
    assert (len(proxy.requests), len(server.requests)) == ((0, 1) if is_exempt else (1, 0))


def test_a_request_goes_over_ipv6(hook: AitronosHook, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    with FaultServer([GOOD], address="::1") as server:
        connect(monkeypatch, server.url)
        hook.detach_assistant_workflow(ASSISTANT)
        hook.close()
    assert server.requests[0].values("Host") == [f"[::1]:{server.port}"]


@pytest.mark.parametrize(
    "proxy", ["http://[::1", "http://h:notaport", "ftp://h:21", "http://user:hunt€r2-CANARY@h:3128"]
)
def test_a_proxy_that_cannot_be_used_is_an_error_of_the_configuration(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    connect(monkeypatch, f"https://api.test:{closed_port()}")
    with pytest.raises(AitronosConfigurationError) as caught:
        hook.request("POST", "/v1/workflows", json={"name": "x"})
    assert "CANARY" not in f"{caught.value!r} {caught.value.__context__!r} {caught.value.__cause__!r}"
    assert_no_secret_in_frames(caught.value, "CANARY")


@pytest.mark.parametrize(
    "fields",
    [
        {"extra": {"time_out": 1}},
        pytest.param({"extra": "{"}, marks=needs_unchecked_extra),
        {"password": f"{KEY}\n{KEY}"},
        {"password": f"{KEY}€"},
    ],
)
def test_no_key_in_the_frames_of_an_error_of_the_configuration(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    connect(monkeypatch, "https://api.test")

    connection = {**json.loads(os.environ["AIRFLOW_CONN_AITRONOS_DEFAULT"]), **fields}
    monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", json.dumps(connection))
    with pytest.raises(AitronosConfigurationError) as caught:
        AitronosHook().detach_assistant_workflow(ASSISTANT)
    assert_no_secret_in_frames(caught.value, KEY)


def assert_no_secret_in_frames(error: AitronosError, secret: str) -> None:
    """Error trackers show the local variables of the frames that an exception went through."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if "airflow_aitronos" in frame.f_code.co_filename:
            assert secret not in repr(frame.f_locals), frame.f_code.co_name
