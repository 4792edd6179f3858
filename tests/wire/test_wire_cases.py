"""Every network and HTTP fault of the matrix, on real sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wire.http_cases import HTTP_CASES
from tests.wire.network_cases import NETWORK_CASES
from tests.wire.post_cases import POST_CASES
from tests.wire.runner import run
from tests.wire.wire_case import WireCase, parameters


@pytest.mark.parametrize("wire_case", parameters([*NETWORK_CASES, *HTTP_CASES, *POST_CASES]))
def test_wire_case(wire_case: WireCase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run(wire_case, monkeypatch, tmp_path)
