"""What the wire tests rely on: an error in a thread of the fault server fails the test."""

from __future__ import annotations

from contextlib import suppress

import pytest
import requests

from tests.support.fault_server import FaultServer
from tests.support.faults import Call


def test_what_a_call_raises_surfaces() -> None:
    with (
        pytest.raises(ZeroDivisionError),
        FaultServer([Call(lambda: 1 / 0)]) as server,
        suppress(requests.ConnectionError),
    ):
        requests.get(server.url, timeout=20)
