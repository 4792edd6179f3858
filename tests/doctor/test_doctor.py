"""The doctor, run as a user runs it: what it says of a good connection, and of each way to be wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_aitronos import doctor
from airflow_aitronos.sandbox.server import SandboxServer
from tests.support.addresses import closed_port, tls_context
from tests.support.fault_server import FaultServer
from tests.support.faults import Close
from tests.support.replies import http

KEY = "sk-CANARY-7f3a9c51e2d84b60"
VARIABLE = "AIRFLOW_CONN_AITRONOS_DEFAULT"
LIMIT = 120
"""Seconds for one run of the command."""

Run = tuple[int, list[str]]


@pytest.fixture
def diagnose(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that sets the connection's fields and runs the doctor in this process."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "")  # put back afterwards

    def run(text: str | None = None, **fields: Any) -> Run:
        if fields:
            text = json.dumps({"conn_type": "aitronos", "password": KEY, **fields})
        monkeypatch.delenv(VARIABLE, raising=False)
        if text is not None:
            monkeypatch.setenv(VARIABLE, text)
        code = doctor.main([])
        lines = capsys.readouterr().out.splitlines()
        assert KEY not in "\n".join(lines)
        return code, lines

    return run


STEPS = doctor.STEPS


def only_cross(run: Run, step: str) -> str:
    """Return the text of the one cross, which has to be at a step; nothing after it was checked."""
    code, lines = run
    assert code == 1
    assert len(lines) == len(STEPS)
    number = STEPS.index(step)
    assert [line[0] for line in lines] == ["✓"] * number + ["✗"] + ["-"] * (len(STEPS) - number - 1), lines
    return lines[number]


def test_all_is_well(diagnose: Any) -> None:
    with SandboxServer() as sandbox:
        code, lines = diagnose(sandbox.connection_json())
        assert [one.method for one in sandbox.requests] == ["GET", "GET"]
    assert (code, [line[0] for line in lines]) == (0, ["✓"] * len(STEPS))
    assert lines[4] == "✓ API version: v1"
    assert "accepted the API key" in lines[6]


def test_no_connection(diagnose: Any) -> None:
    text = only_cross(diagnose(), "connection")
    assert "Save it in the connection form" in text
    assert VARIABLE in text


@pytest.mark.parametrize("broken", ['{"conn_type": "aitronos", ', "{'password': 'x'}"])
def test_broken_json_in_the_variable(diagnose: Any, broken: str) -> None:
    text = only_cross(diagnose(broken), "connection")
    assert f"{VARIABLE} is set, but Airflow cannot read it. Write one JSON object" in text


def test_no_key(diagnose: Any) -> None:
    assert "Password is empty" in only_cross(diagnose(password=""), "settings")


def test_http_where_https_is_needed(diagnose: Any) -> None:
    assert "Use https://" in only_cross(diagnose(host="http://api.aitronos.com"), "settings")


def test_http_to_a_port_that_speaks_tls(diagnose: Any) -> None:
    with FaultServer(tls=tls_context(trustme.CA())) as server:
        text = only_cross(diagnose(host=f"http://127.0.0.1:{server.port}"), "server")
    assert "If this port speaks TLS, write https:// in Host." in text


def test_a_name_that_does_not_resolve(diagnose: Any) -> None:
    text = only_cross(diagnose(host="https://api.aitronos.invalid"), "name")
    assert "api.aitronos.invalid does not resolve. Check Host" in text


def test_a_refused_port(diagnose: Any) -> None:
    text = only_cross(diagnose(host=f"http://127.0.0.1:{closed_port()}"), "server")
    assert "refused" in text
    assert "Host" in text


def test_an_untrusted_certificate(diagnose: Any) -> None:
    with FaultServer(tls=tls_context(trustme.CA())) as server:
        text = only_cross(diagnose(host=server.url), "server")
    assert "certificate" in text
    assert "verify" in text


def test_a_wrong_key(diagnose: Any) -> None:
    with SandboxServer() as sandbox:
        text = only_cross(diagnose(host=sandbox.url, password="not-the-key-of-it"), "API key")
    assert "the API key was refused. Put a valid one into Password" in text


def reply(**headers: str) -> bytes:
    fields = {"freddy-api-version": "v1", "Date": formatdate(usegmt=True), **headers}
    return http(200, {"is_valid": True}, [(name, value) for name, value in fields.items() if value])


@pytest.mark.parametrize(
    ("headers", "step", "says"),
    [
        ({"freddy-api-version": ""}, "API version", "Check that Host of the connection is the API"),
        ({"Date": "Mon, 01 Jan 2024 00:00:00 GMT"}, "clock", "ahead of the server. Set its clock"),
        ({"Date": "Tue, 01 Jan 2999 00:00:00 GMT"}, "clock", "behind the server. Set its clock"),
    ],
)
def test_the_key_is_tried_although_version_or_clock_are_odd(
    diagnose: Any, headers: dict[str, str], step: str, says: str
) -> None:
    with FaultServer([Close(reply(**headers))] * 2) as server:
        code, lines = diagnose(host=server.url)
    assert code == 1
    assert [line for line in lines if line[0] != "✓"] == [lines[STEPS.index(step)]]
    assert says in lines[STEPS.index(step)]


def test_a_server_without_a_clock(diagnose: Any) -> None:
    with FaultServer([Close(reply(Date=""))] * 2) as server:
        code, lines = diagnose(host=server.url)
    assert code == 0
    assert lines[5] == "✓ clock: not compared: the server names no time"


def test_a_proxy_resolves_the_name_itself(diagnose: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    text = only_cross(diagnose(host="https://api.aitronos.invalid"), "server")
    assert "proxy" in text


def test_as_a_command_with_a_connection_saved_in_the_form(tmp_path: Path) -> None:
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    environment.pop(VARIABLE, None)

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    assert run("airflow", "db", "migrate").returncode == 0
    with SandboxServer() as sandbox:
        saved = run("airflow", "connections", "add", "saved", "--conn-json", sandbox.connection_json())
        assert saved.returncode == 0, saved.stderr
        seen = run("airflow_aitronos.doctor", "saved")
    assert seen.returncode == 0, seen.stdout
    lines = seen.stdout.splitlines()
    assert lines[0] == "✓ connection: 'saved' found in Airflow"
    assert [line[0] for line in lines] == ["✓"] * len(STEPS)
    assert sandbox.api_key not in seen.stdout


def test_a_terminal_without_ticks_gets_the_texts() -> None:
    seen = subprocess.run(
        [sys.executable, "-m", "airflow_aitronos.doctor", "nowhere"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert seen.returncode == 1
    assert seen.stdout.startswith("? connection: Airflow does not know 'nowhere'")
    assert "Traceback" not in seen.stderr


def test_whoever_stops_reading_gets_no_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "airflow_aitronos.doctor", "nowhere"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        process.wait(LIMIT)
    assert "Traceback" not in said


def test_a_check_that_breaks_is_a_cross(diagnose: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Any) -> None:
        raise RuntimeError(KEY)

    monkeypatch.setattr("airflow_aitronos.hooks.aitronos.AitronosHook.quick_client", fail)
    assert only_cross(diagnose(host=""), "settings") == "✗ settings: RuntimeError broke this check"


def test_a_proxy_that_cannot_be_used(diagnose: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://[")
    assert "HTTPS_PROXY" in only_cross(diagnose(host="https://api.aitronos.invalid"), "name")


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        doctor.main(["one", "two"])
    assert ended.value.code == 2
    assert "usage: python -m airflow_aitronos.doctor" in capsys.readouterr().err
