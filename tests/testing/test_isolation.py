"""The parts that keep a user's tests and their machine apart, each for itself."""

from __future__ import annotations

import os

import pytest

from airflow_aitronos.testing.airflow_home import AirflowHome


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
