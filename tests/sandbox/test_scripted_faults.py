"""Which requests meet a scripted fault; what a caller sees of one is shown in tests/testing."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_aitronos.sandbox.faults import Fault
from airflow_aitronos.sandbox.server import SandboxServer
from tests.sandbox.caller import Api

PATH = "/v1/auth/validate"


def statuses(api: Api, count: int) -> list[int]:
    return [api("GET", PATH).status_code for _ in range(count)]


def test_a_fault_for_the_nth_request(api: Api, sandbox: SandboxServer) -> None:
    sandbox.faults.add(Fault("status", status=401, skip=2, path=PATH))
    api.ok("GET", "/v1/workflows")
    assert statuses(api, 4) == [200, 200, 401, 200]
    assert sandbox.faults.pending == []
    assert sandbox.requests[-2].fault == "status 401"


def test_every_fault_counts_every_request_that_it_matches(api: Api, sandbox: SandboxServer) -> None:
    sandbox.faults.add(Fault("status", status=503, skip=1, times=2))
    sandbox.faults.add(Fault("status", status=403, skip=3))
    assert [(one.status, one.skip, one.times) for one in sandbox.faults.pending] == [(503, 1, 2), (403, 3, 1)]
    assert statuses(api, 2) == [200, 503]
    assert [(one.status, one.skip, one.times) for one in sandbox.faults.pending] == [(503, 0, 1), (403, 1, 1)]
    assert statuses(api, 3) == [503, 403, 200]


def test_the_same_fault_twice_is_two_faults(api: Api, sandbox: SandboxServer) -> None:
    fault = Fault("status", status=503)
    sandbox.faults.add(fault)
    sandbox.faults.add(fault)
    assert statuses(api, 3) == [503, 503, 200]


@pytest.mark.parametrize("skip", [-1, True, 1.5])
def test_a_skip_that_is_no_count_is_refused(skip: Any) -> None:
    with pytest.raises(ValueError, match=r"^skip is a whole number from 0"):
        Fault("reset", skip=skip)
