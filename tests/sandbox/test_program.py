"""``python -m airflow_aitronos.sandbox``."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_aitronos.sandbox import __main__ as program
from airflow_aitronos.sandbox.server import SandboxServer
from tests.sandbox.caller import Api
from tests.sandbox.test_server import is_open

EXPORT = "export AIRFLOW_CONN_AITRONOS_DEFAULT="
COMMAND = [sys.executable, "-W", "always::ResourceWarning", "-m", "airflow_aitronos.sandbox", "--port", "0"]


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], Any, list[str]]]:
    command = [*COMMAND, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith(EXPORT):
            lines.append(next(process.stdout))
        # As a shell would read it.
        (connection,) = shlex.split(lines[-1].removeprefix(EXPORT))
        yield process, json.loads(connection), lines
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_until_a_signal(number: signal.Signals) -> None:
    with started() as (process, connection, lines):
        url = connection["host"]
        assert lines[0] == f"Aitronos sandbox on {url}. Ctrl-C stops it.\n"
        assert f"curl -X POST {url}/_sandbox/reset" in lines[1]
        with Api(url, connection["password"]) as api:
            assert (
                api("DELETE", "/v1/assistants/asst_sales01/workflow").json()["workflow_id"] == "flow_sales01"
            )
            assert api("POST", "/_sandbox/reset").status_code == 204
            assert api.ok("GET", "/v1/assistants/asst_sales01")["workflow_id"] == "flow_sales01"
            process.send_signal(number)
            output, errors = process.communicate(timeout=10)
        assert (process.returncode, output) == (0, "")
        assert '"DELETE /v1/assistants/asst_sales01/workflow HTTP/1.1" 200' in errors
        assert "Traceback" not in errors
        assert "ResourceWarning" not in errors
        assert not is_open(int(url.rpartition(":")[2]))


def test_options_reach_the_server() -> None:
    keys = ["--api-key", "it's $HOME", "--read-only-key", "r"]
    limits = ["--requests-per-minute", "2", "--requests-per-day", "9", "--no-retry-after"]
    with started(*keys, "--fleet", "3", *limits) as (_, connection, lines):
        assert "Key that may only read: r\n" in lines
        with Api(connection["host"], connection["password"]) as api:
            assert api.ok("GET", "/v1/assistants/asst_fleet00003")["workflow_id"] == "flow_fleet00003"
            api.ok("GET", "/v1/auth/validate")
            refused = api("GET", "/v1/auth/validate")
    assert (refused.status_code, refused.headers["X-RateLimit-Limit"]) == (429, "2")
    assert "Retry-After" not in refused.headers


def test_a_host_that_is_not_loopback_gets_a_warning() -> None:
    greeting = program._greeting(SandboxServer(host="0.0.0.0", port=80))
    assert "Warning: other machines may reach this sandbox, since 0.0.0.0 is not loopback." in greeting


def test_a_port_that_cannot_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    with SandboxServer() as server:
        for port in (server.port, 65_536):
            assert program.main(["--port", str(port)]) == 1
            captured = capsys.readouterr()
            assert f"Cannot listen on 127.0.0.1 port {port}: " in captured.err
            assert captured.out == ""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--api-key", "same", "--read-only-key", "same"], "must differ"),
        (["--port", "http"], "invalid int value"),
        (["--requests-per-minute", "0"], "from 1; this is 0"),
        (["--unknown"], "unrecognized arguments"),
    ],
    ids=str,
)
def test_arguments_that_are_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    with pytest.raises(SystemExit) as raised:
        program.main(arguments)
    assert raised.value.code == 2
    assert reason in capsys.readouterr().err


def test_needs_no_package() -> None:
    # Without site-packages nothing of Airflow, of its web framework or of the provider can be imported.
    command = [sys.executable, "-S", "-m", "airflow_aitronos.sandbox", "--help"]
    result = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
