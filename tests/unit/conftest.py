from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.fake_clock import FakeClock
from tests.unit.tools import CONN_VARIABLE, Lines, connection_json, secrets_masker

SetConnection = Callable[..., None]


@pytest.fixture(autouse=True)
def _no_secrets_yet() -> None:
    """Let Airflow's masker know no secret; every one that it has learnt slows it down, too."""
    secrets_masker("reset_secrets_masker")()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> SetConnection:
    """Set the connection in the environment, in its JSON form."""

    def set_connection(**fields: Any) -> None:
        monkeypatch.setenv(CONN_VARIABLE, connection_json(**fields))

    return set_connection


@pytest.fixture
def connect_uri(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set the connection in the environment, in its URI form."""
    return lambda uri: monkeypatch.setenv(CONN_VARIABLE, uri)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def lines() -> Lines:
    return Lines()
