"""Surroundings of the wire tests."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from airflow_aitronos.hooks.aitronos import AitronosHook
from tests.support.fake_clock import FakeClock
from tests.support.recording_log import RecordingLog
from tests.wire.runner import connect


@pytest.fixture(scope="package", autouse=True)
def _warm_airflow() -> None:
    """Look up a connection: the first time Airflow imports for seconds, which no call is to be blamed for."""
    with pytest.MonkeyPatch.context() as patch:
        connect(patch, "http://127.0.0.1")
        AitronosHook().get_conn()


@pytest.fixture(scope="package", autouse=True)
def _quick_collections(_warm_airflow: None) -> Iterator[None]:
    """Leave what is loaded already out of the collections that follow every case."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Let every hook wait on a clock of the test."""
    clock = FakeClock()
    monkeypatch.setattr(AitronosHook, "clock", clock)
    return clock


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> RecordingLog:
    """Record what hooks log."""
    log = RecordingLog(clock)
    monkeypatch.setattr(AitronosHook, "log", log)
    return log


@pytest.fixture
def hook(log: RecordingLog) -> Iterator[AitronosHook]:
    """Give a hook that waits on the test's clock."""
    with AitronosHook() as hook:
        yield hook
