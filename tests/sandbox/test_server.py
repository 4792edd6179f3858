"""The server around the calls: start, stop, record, reset, connection, scripted faults."""

from __future__ import annotations

import gc
import json
import socket
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from airflow_aitronos.sandbox.faults import Fault
from airflow_aitronos.sandbox.recorder import RecordedRequest
from airflow_aitronos.sandbox.server import SandboxServer
from tests.sandbox.caller import Api, MakeApi
from tests.sandbox.contract import API_KEY, READ_ONLY_KEY
from tests.support.fake_clock import FakeClock

KEY_CHECK = "/v1/auth/validate"
LINK = "/v1/assistants/asst_support01/workflow"


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_nothing_is_left_after_the_block() -> None:
    before = threading.active_count()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with SandboxServer() as server:
            api = Api(server.url, API_KEY)
            api.ok("GET", KEY_CHECK)
            assert is_open(server.port)
        # The session was still connected when the server stopped.
        assert not is_open(server.port)
        assert threading.active_count() == before
        api.session.close()
        gc.collect()
    assert [warning for warning in caught if issubclass(warning.category, ResourceWarning)] == []


def test_a_caller_that_has_gone_leaves_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    with SandboxServer() as server, Api(server.url, None) as api:
        server.faults.add(Fault("delay", delay=0.2))
        with socket.create_connection(("127.0.0.1", server.port)) as caller:
            caller.sendall(b"GET /v1/health/ HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        api.ok("GET", "/v1/health/")
    assert capfd.readouterr().err == ""


def test_a_second_block_serves_the_same_state_on_the_same_port() -> None:
    with SandboxServer() as server, Api(server.url, API_KEY) as api:
        api.ok("DELETE", LINK)
    with server, Api(api.url, API_KEY) as api:
        assert api.ok("GET", "/v1/assistants/asst_support01")["workflow_id"] is None


def test_requests_are_recorded_without_the_key(sandbox: SandboxServer, make_api: MakeApi) -> None:
    make_api(API_KEY)("GET", "/v1/assistants", params={"organization_id": "org_sandbox01", "search": "a b"})
    make_api(READ_ONLY_KEY)("DELETE", LINK)
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
    assert not any(key in repr(sandbox.requests) for key in (API_KEY, READ_ONLY_KEY))


def test_a_reset_over_http_needs_no_key_and_meets_no_fault(
    sandbox: SandboxServer, api: Api, make_api: MakeApi
) -> None:
    links = sandbox.store.links
    api.ok("DELETE", LINK)
    api("DELETE", "/v1/workflows/flow_spare01")
    api.ok("POST", "/v1/workflows", json={"name": "n", "definition": {}})
    sandbox.faults.add(Fault("reset", times=9))
    assert make_api(None)("POST", "/_sandbox/reset").status_code == 204
    assert (sandbox.requests, sandbox.faults.pending, sandbox.store.detached) == ([], [], [])
    assert sandbox.store.links == links
    assert len(sandbox.store.workflows) == 5
    assert api.ok("GET", "/v1/workflows/flow_spare01")["is_active"] is True


def test_url_and_connection() -> None:
    local = SandboxServer(port=80, api_key="mine")
    wanted = {"conn_type": "aitronos", "host": "http://127.0.0.1:80", "password": "mine"}
    assert json.loads(local.connection_json()) == wanted
    # The provider speaks plain HTTP to another machine only if told to.
    for host, url in (("0.0.0.0", "http://127.0.0.1:80"), ("sandbox.example", "http://sandbox.example:80")):
        server = SandboxServer(host=host, port=80, api_key="mine")
        assert json.loads(server.connection_json()) == wanted | {"host": url, "extra": {"allow_http": True}}


class MeetingClock(FakeClock):
    """Make whoever asks for the time wait for a second one, who never comes if only one may ask at once."""

    meeting = threading.Barrier(2)
    has_met = False

    def time(self) -> float:
        with suppress(threading.BrokenBarrierError):
            self.meeting.wait(0.2)
            self.has_met = True
        return super().time()


def test_requests_are_carried_out_one_at_a_time() -> None:
    clock = MeetingClock()
    clock.meeting.abort()  # nobody waits before the requests
    with SandboxServer(clock=clock) as server, ThreadPoolExecutor(2) as pool:
        clock.meeting.reset()
        with Api(server.url, API_KEY) as one, Api(server.url, API_KEY) as two:
            replies = list(pool.map(lambda api: api.ok("DELETE", LINK), (one, two)))
    assert {reply["workflow_id"] for reply in replies} == {None, "flow_support01"}
    assert not clock.has_met


# --- scripted faults: which requests they meet; tests/testing shows what a caller sees ---


def statuses(api: Api, count: int) -> list[int]:
    return [api("GET", KEY_CHECK).status_code for _ in range(count)]


def test_every_fault_counts_every_request_that_it_matches(api: Api, sandbox: SandboxServer) -> None:
    sandbox.faults.add(Fault("status", status=503, skip=1, times=2))
    sandbox.faults.add(Fault("status", status=403, skip=3))
    assert [(one.status, one.skip, one.times) for one in sandbox.faults.pending] == [(503, 1, 2), (403, 3, 1)]
    assert statuses(api, 2) == [200, 503]
    assert [(one.status, one.skip, one.times) for one in sandbox.faults.pending] == [(503, 0, 1), (403, 1, 1)]
    assert statuses(api, 3) == [503, 403, 200]
