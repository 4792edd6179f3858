"""What ``aitronos_sandbox`` promises without a home, next to a secrets backend; in this order."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # they would import Airflow, which here comes late
    from airflow_aitronos.testing.clock import SkippingClock
    from airflow_aitronos.testing.sandbox import Sandbox

VARIABLE = "AIRFLOW_CONN_AITRONOS_DEFAULT"
CLOCKS: list[object] = []


def test_what_a_test_sets_over_it(monkeypatch: pytest.MonkeyPatch, aitronos_sandbox: Sandbox) -> None:
    assert "airflow" not in sys.modules
    monkeypatch.setenv(VARIABLE, "another")


def test_is_gone_after_it() -> None:
    assert VARIABLE not in os.environ
    assert "airflow" not in sys.modules


def detach(sandbox: Sandbox) -> None:
    from airflow_aitronos.hooks.aitronos import AitronosHook

    CLOCKS[:] = [AitronosHook.clock]
    with AitronosHook() as hook:
        hook.detach_assistant_workflow("asst_support01")
    sandbox.assert_detached_once("asst_support01")


def test_airflow_is_imported_late(aitronos_sandbox: Sandbox) -> None:
    detach(aitronos_sandbox)


def test_the_backend_is_back() -> None:
    from airflow.sdk import BaseHook

    assert BaseHook.get_connection("aitronos_default").host == "https://real.example"


def test_a_backend_that_was_asked_before(aitronos_sandbox: Sandbox) -> None:
    detach(aitronos_sandbox)


def test_a_clock_that_a_test_sets_over_it(
    monkeypatch: pytest.MonkeyPatch, aitronos_no_waits: SkippingClock
) -> None:
    from airflow_aitronos.hooks.aitronos import AitronosHook

    monkeypatch.setattr(AitronosHook, "clock", None)


def test_is_gone_after_it_too() -> None:
    from airflow_aitronos.hooks.aitronos import AitronosHook

    assert AitronosHook.clock is CLOCKS[0]
