"""Every network and HTTP fault of the matrix, on real sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wire.http_cases import HTTP_CASES
from tests.wire.network_cases import NETWORK_CASES
from tests.wire.post_cases import POST_CASES
from tests.wire.runner import run
from tests.wire.wire_case import WireCase, parameters


@pytest.mark.parametrize("wire_case", parameters(NETWORK_CASES))
def test_network_fault(wire_case: WireCase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run(wire_case, monkeypatch, tmp_path)


@pytest.mark.parametrize("wire_case", parameters(HTTP_CASES))
def test_http_fault(wire_case: WireCase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run(wire_case, monkeypatch, tmp_path)


@pytest.mark.parametrize("wire_case", parameters(POST_CASES))
def test_call_that_must_not_be_repeated(
    wire_case: WireCase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run(wire_case, monkeypatch, tmp_path)
