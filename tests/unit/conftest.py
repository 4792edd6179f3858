from __future__ import annotations

import pytest

from tests.support.fake_clock import FakeClock
from tests.support.recording_log import RecordingLog
from tests.unit.tools import Connect, connection, secrets_masker


@pytest.fixture(autouse=True)
def _no_secrets_yet() -> None:
    """Let Airflow's masker know no secret; every one that it knows slows it down, too."""
    secrets_masker("reset_secrets_masker")()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Set the connection in the environment, in its JSON form or in its URI form."""
    return lambda **fields: monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", connection(**fields))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def lines() -> RecordingLog:
    return RecordingLog()
