"""``python -m airflow_aitronos.sandbox``."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from airflow_aitronos.sandbox import __main__ as program
from airflow_aitronos.sandbox.server import SandboxServer
from tests.sandbox.caller import Api
from tests.sandbox.test_server import is_open

EXPORT = "export AIRFLOW_CONN_AITRONOS_DEFAULT="

During = Callable[[Callable[[], None]], list[set[signal.Signals]]]


def connection_in(line: str) -> Any:
    """Read the connection as a shell would."""
    assert line.startswith(EXPORT)
    _, assignment = shlex.split(line)
    return json.loads(assignment.removeprefix("AIRFLOW_CONN_AITRONOS_DEFAULT="))


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    command = [
        sys.executable,
        "-W",
        "always::ResourceWarning",
        "-m",
        "airflow_aitronos.sandbox",
        "--port",
        "0",
        *arguments,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.startswith(EXPORT))
        yield process, connection_in(line)
    finally:
        process.kill()
        process.communicate()


def detach(connection: Any) -> object:
    with Api(connection["host"], connection["password"]) as api:
        return api.ok("DELETE", "/v1/assistants/asst_support01/workflow")["workflow_id"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_until_a_signal(number: signal.Signals) -> None:
    with started() as (process, connection):
        assert connection["conn_type"] == "aitronos"
        assert detach(connection) == "flow_support01"
        process.send_signal(number)
        output, errors = process.communicate(timeout=10)
        assert process.returncode == 0, errors
        assert output == ""
        assert '"DELETE /v1/assistants/asst_support01/workflow HTTP/1.1" 200' in errors
        assert "Traceback" not in errors
        assert "ResourceWarning" not in errors
        assert not is_open(int(connection["host"].rpartition(":")[2]))


def test_serves_with_keys_that_a_shell_would_mangle() -> None:
    with started("--api-key", "it's $HOME", "--read-only-key", "r") as (_, connection):
        assert connection["password"] == "it's $HOME"
        assert detach(connection) == "flow_support01"


@pytest.fixture
def during(monkeypatch: pytest.MonkeyPatch) -> During:
    """Run something where the program would wait for a signal; tells for which ones it waits."""

    def install(action: Callable[[], None]) -> list[set[signal.Signals]]:
        waited: list[set[signal.Signals]] = []

        def sigwait(numbers: set[signal.Signals]) -> signal.Signals:
            waited.append(set(numbers))
            assert numbers <= signal.pthread_sigmask(signal.SIG_BLOCK, ())
            action()
            return signal.SIGTERM

        monkeypatch.setattr(signal, "sigwait", sigwait)
        return waited

    return install


def test_main_serves_then_restores_the_signals(during: During, capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    detached: list[object] = []

    def action() -> None:
        lines.extend(capsys.readouterr().out.splitlines())
        detached.append(detach(connection_in(lines[-1])))

    waited = during(action)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert program.main(["--port", "0"]) == 0
    assert detached == ["flow_support01"]
    assert waited == [{signal.SIGINT, signal.SIGTERM}]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    url = connection_in(lines[-1])["host"]
    assert lines[:-1] == [
        f"Aitronos sandbox on {url}, calls at {url}/docs. Ctrl-C stops it.",
        "Key that may only read: sandbox-read-only-key",
        "Connection for Airflow:",
    ]


def test_host_that_is_not_loopback_gets_a_warning(
    during: During, capsys: pytest.CaptureFixture[str], any_host: None
) -> None:
    waited = during(lambda: None)
    assert program.main(["--port", "0", "--host", "0.0.0.0"]) == 0
    assert len(waited) == 1
    output = capsys.readouterr().out
    assert "Warning: 0.0.0.0 is not loopback" in output
    assert connection_in(output.splitlines()[-1])["extra"] == {"allow_http": True}


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, object]] = []

    class Stop(Exception):
        pass

    def server(**arguments: object) -> SandboxServer:
        made.append(arguments)
        raise Stop

    monkeypatch.setattr(program, "SandboxServer", server)
    with pytest.raises(Stop):
        program.main([])
    assert made == [
        {
            "host": "127.0.0.1",
            "port": 8765,
            "api_key": "sandbox-key",
            "read_only_key": "sandbox-read-only-key",
        }
    ]


def test_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with SandboxServer() as server:
        assert program.main(["--port", str(server.port)]) == 1
        captured = capsys.readouterr()
        assert f"Cannot listen on 127.0.0.1 port {server.port}" in captured.err
        assert captured.out == ""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--api-key", "same", "--read-only-key", "same"], "must differ"),
        (["--api-key", "sandbox-read-only-key"], "must differ"),
        (["--api-key", ""], "printable ASCII"),
        (["--api-key", " key"], "printable ASCII"),
        (["--read-only-key", "clé"], "printable ASCII"),
        (["--read-only-key", "a\nb"], "printable ASCII"),
        (["--port", "-1"], "between 0 and 65535"),
        (["--port", "65536"], "between 0 and 65535"),
        (["--port", "http"], "invalid _port value"),
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
