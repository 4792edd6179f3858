"""What the wire tests rely on: the fault server does what its script says, and tells what it saw."""

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
