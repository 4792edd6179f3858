"""The parts that keep a user's tests and their machine apart, each for itself."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from airflow_aitronos.testing.airflow_home import AirflowHome
from airflow_aitronos.testing.process_state import kept
from airflow_aitronos.testing.retries import at_once

DELAY = timedelta(minutes=5)


def test_a_home_sets_other_settings_aside_and_puts_them_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "some.Backend")
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD", "false")
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", "kept")
    before = dict(os.environ)
    home = AirflowHome()
    try:
        assert os.environ["AIRFLOW_HOME"] == str(home.path)
        assert os.environ["AIRFLOW_CONN_CHAT"] == "kept"
        assert os.environ["AIRFLOW__SECRETS__BACKEND"] == ""
        assert os.environ["AIRFLOW__WORKERS__SECRETS_BACKEND"] == ""
        assert os.environ["AIRFLOW__LOGGING__REMOTE_LOGGING"] == "False"
        assert "AIRFLOW__CORE__EXECUTOR" not in os.environ
        assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD" not in os.environ
        assert "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST" not in os.environ
    finally:
        home.remove()
    assert dict(os.environ) == before
    assert not home.path.exists()


def change_the_process() -> None:
    os.environ["AIRFLOW_CTX_DAG_ID"] = "left"
    sys.path.append("/left")
    warnings.simplefilter("ignore", category=ImportWarning)


def test_a_process_is_put_back() -> None:
    def state() -> list[Any]:
        numbers = (signal.SIGTERM, signal.SIGALRM)
        return [
            dict(os.environ),
            list(sys.path),
            list(warnings.filters),
            list(map(signal.getsignal, numbers)),
        ]

    before = state()
    with kept():
        change_the_process()
        for number in (signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, lambda *_: None)
    assert state() == before


def test_another_thread_leaves_the_signals_alone() -> None:
    problems: list[BaseException] = []
    before = dict(os.environ)

    def change() -> None:
        try:
            with kept():
                change_the_process()
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=change)
    thread.start()
    thread.join()
    assert problems == []
    assert dict(os.environ) == before


def test_the_delays_of_tasks_are_put_back() -> None:
    arguments: dict[str, Any] = {"retry_delay": DELAY, "retry_exponential_backoff": True}
    with DAG("at_once", schedule=None) as dag:
        plain = DetachAssistantWorkflowOperator(task_id="plain", assistant_id="asst_1", **arguments)
        mapped = DetachAssistantWorkflowOperator.partial(task_id="mapped", **arguments).expand(
            assistant_id=["asst_1"]
        )
        without = DetachAssistantWorkflowOperator.partial(task_id="without").expand(assistant_id=["asst_1"])
    operator: Any = mapped.operator if hasattr(mapped, "operator") else mapped
    other: Any = without.operator if hasattr(without, "operator") else without
    before = [dict(operator.partial_kwargs), dict(other.partial_kwargs)]
    backoff = plain.retry_exponential_backoff
    with at_once(dag):
        for task in (plain, operator, other):
            assert task.retry_delay == timedelta(0)
            assert not task.retry_exponential_backoff
    assert [operator.partial_kwargs, other.partial_kwargs] == before
    assert (plain.retry_delay, plain.retry_exponential_backoff) == (DELAY, backoff)
