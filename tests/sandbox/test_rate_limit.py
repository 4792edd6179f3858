"""The rate and the quota that a sandbox allows, on a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from airflow_aitronos.sandbox.server import SandboxServer
from tests.sandbox.caller import Api, envelope
from tests.sandbox.contract import API_KEY
from tests.support.fake_clock import FakeClock

PATH = "/v1/auth/validate"


@contextmanager
def limited(**limits: Any) -> Iterator[tuple[Api, FakeClock, SandboxServer]]:
    clock = FakeClock()
    with SandboxServer(clock=clock, **limits) as server, Api(server.url, API_KEY) as api:
        yield api, clock, server


def hints(response: requests.Response) -> tuple[str | None, ...]:
    names = ("Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
    return tuple(response.headers.get(name) for name in names)


def test_a_bucket_empties_and_refills_evenly() -> None:
    with limited(requests_per_minute=3) as (api, clock, server):
        wall = int(clock.time())
        seen = [hints(api("GET", PATH)) for _ in range(3)]
        assert seen == [(None, "3", str(left), str(wall + 60 - 20 * left)) for left in (2, 1, 0)]
        refused = api("GET", PATH)
        assert envelope(refused, 429, "RATE_LIMIT_EXCEEDED")["type"] == "rate_limit_error"
        assert hints(refused) == ("20", "3", "0", str(wall + 60))
        clock.advance(19.9)
        assert hints(api("GET", PATH))[0] == "1"
        clock.advance(0.1)
        assert [api("GET", PATH).status_code for _ in range(2)] == [200, 429]
        clock.advance(600)
        assert [api("GET", PATH).status_code for _ in range(4)] == [200, 200, 200, 429]
        assert server.requests[-1].received_at == clock.monotonic()


def test_a_wait_of_the_right_length_is_long_enough() -> None:
    # Sevenths of a minute: without a tolerance some of these would be refused.
    with limited(requests_per_minute=7) as (api, clock, _):
        for _ in range(7):
            api.ok("GET", PATH)
        for _ in range(40):
            clock.advance(60 / 7)
            api.ok("GET", PATH)


def test_a_quota_comes_back_after_a_day() -> None:
    with limited(requests_per_minute=100, requests_per_day=2) as (api, clock, _):
        assert hints(api("GET", PATH))[1:3] == ("100", "99")
        clock.advance(3600)
        api.ok("GET", PATH)
        refused = api("GET", PATH)
        assert hints(refused) == (str(23 * 3600), "2", "0", str(int(clock.time()) + 23 * 3600))
        envelope(refused, 429, "RATE_LIMIT_EXCEEDED")
        clock.advance(23 * 3600)
        assert [api("GET", PATH).status_code for _ in range(3)] == [200, 200, 429]


def test_what_counts() -> None:
    with limited(requests_per_minute=1) as (api, _, server), Api(server.url, "wrong") as stranger:
        stranger.refused("GET", PATH, 401, "INVALID_API_KEY")
        api.ok("GET", "/v1/health/")
        refused = api("GET", "/v1/assistants/unknown0")
        envelope(refused, 404, "ASSISTANT_NOT_FOUND")
        assert hints(refused)[1:3] == ("1", "0")
        api.refused("DELETE", "/v1/assistants/asst_support01/workflow", 429, "RATE_LIMIT_EXCEEDED")
        assert server.store.detached == []
        server.reset()
        api.ok("GET", PATH)


def test_no_limit_unless_asked_for(api: Api) -> None:
    assert hints(api("GET", PATH)) == (None, None, None, None)
