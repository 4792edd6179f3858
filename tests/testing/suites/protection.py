"""No test reaches another API than the sandbox, whatever connection its DAG names; run in this order."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from airflow.sdk import DAG, task

from airflow_aitronos.exceptions import AitronosConfigurationError, AitronosNetworkError
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from airflow_aitronos.testing.airflow_runs import AirflowRunner
from airflow_aitronos.testing.clock import SkippingClock
from airflow_aitronos.testing.sandbox import Sandbox

VARIABLE = "AITRONOS_ALLOWED_ORIGINS"
OF_THE_SHELL = os.environ[VARIABLE]

with DAG("detach_production", schedule=None) as dag:
    DetachAssistantWorkflowOperator(
        task_id="detach", assistant_id="asst_support01", aitronos_conn_id="aitronos_prod"
    )

with DAG("environment", schedule=None) as environment:

    @task
    def of_subprocess() -> str:
        command = [sys.executable, "-c", f"import os; print(repr(os.environ.get({VARIABLE!r})))"]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

    of_subprocess()


@pytest.fixture(scope="module")
def production() -> Iterator[socket.socket]:
    """The server that the connection ``aitronos_prod`` leads to."""
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.MonkeyPatch.context() as monkeypatch:
        server.setblocking(False)
        connection = {"conn_type": "aitronos", "host": origin(server), "password": "real-key"}
        monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_PROD", json.dumps(connection))
        yield server


def origin(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}"


def assert_no_connection(server: socket.socket) -> None:
    with pytest.raises(BlockingIOError):
        server.accept()


def refused() -> None:
    with pytest.raises(AitronosConfigurationError, match=VARIABLE), AitronosHook("aitronos_prod") as hook:
        hook.detach_assistant_workflow("asst_support01")


def test_without_a_sandbox(aitronos_airflow: AirflowRunner, production: socket.socket) -> None:
    run = aitronos_airflow.run(dag)
    assert isinstance(run["detach"].exception, AitronosConfigurationError)
    assert_no_connection(production)
    refused()
    assert aitronos_airflow.run(environment)["of_subprocess"].xcom == "''"


def test_next_to_a_sandbox(
    aitronos_airflow: AirflowRunner, aitronos_sandbox: Sandbox, production: socket.socket
) -> None:
    run = aitronos_airflow.run(dag)
    assert isinstance(run["detach"].exception, AitronosConfigurationError)
    assert_no_connection(production)
    aitronos_sandbox.assert_nothing_detached()
    assert os.environ[VARIABLE].split() == [aitronos_sandbox.url]


def test_the_clock_alone(aitronos_no_waits: SkippingClock, production: socket.socket) -> None:
    refused()
    assert_no_connection(production)


def test_an_environment_that_the_test_empties(aitronos_sandbox: Sandbox, production: socket.socket) -> None:
    connections = {name: value for name, value in os.environ.items() if name.startswith("AIRFLOW_CONN_")}
    with patch.dict(os.environ, connections, clear=True):
        refused()
        with AitronosHook() as hook:
            hook.detach_assistant_workflow("asst_support01")
    assert_no_connection(production)
    aitronos_sandbox.assert_detached_once("asst_support01")


def test_fixtures_that_are_asked_for_by_name(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, production: socket.socket
) -> None:
    monkeypatch.delenv(VARIABLE)
    assert request.getfixturevalue("aitronos_airflow").run(dag).state == "failed"
    request.getfixturevalue("aitronos_no_waits")
    refused()
    request.getfixturevalue("aitronos_sandbox")
    refused()
    assert_no_connection(production)


def test_an_origin_that_the_test_allows(
    aitronos_no_waits: SkippingClock, monkeypatch: pytest.MonkeyPatch, production: socket.socket
) -> None:
    monkeypatch.setenv(VARIABLE, origin(production), prepend=" ")
    hook = AitronosHook("aitronos_prod", read_timeout=0.1, max_attempts=1)
    with pytest.raises(AitronosNetworkError), hook:
        hook.detach_assistant_workflow("asst_support01")
    production.accept()[0].close()


def test_the_variable_is_as_before() -> None:
    assert os.environ[VARIABLE] == OF_THE_SHELL == "https://before.example"
