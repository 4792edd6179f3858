"""The doctor, run as a user runs it: what it says of a good connection, and of each way to be wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any

import airflow.settings
import pytest
import trustme

from airflow_aitronos import doctor
from airflow_aitronos.sandbox.server import SandboxServer
from tests.support.addresses import blackhole, closed_port, tls_context
from tests.support.fault_server import FaultServer
from tests.support.faults import Close, Hang
from tests.support.replies import http

KEY = "sk-CANARY-7f3a9c51e2d84b60"
VARIABLE = "AIRFLOW_CONN_AITRONOS_DEFAULT"
assert airflow.settings  # imported here, so that its loggers do not keep the streams of the first doctor
LIMIT = 120
"""Seconds for one run of the command."""

Run = tuple[int, list[str]]


@pytest.fixture
def diagnose(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that sets the connection's fields and runs the doctor in this process."""
    monkeypatch.delenv("_AIRFLOW_PROCESS_CONTEXT", raising=False)

    def run(text: str | None = None, **fields: Any) -> Run:
        if fields:
            text = json.dumps({"conn_type": "aitronos", "password": KEY, **fields})
        monkeypatch.delenv(VARIABLE, raising=False)
        if text is not None:
            monkeypatch.setenv(VARIABLE, text)
        code = doctor.main([])
        assert "_AIRFLOW_PROCESS_CONTEXT" not in os.environ
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


GOOD_JSON = json.dumps({"conn_type": "aitronos", "password": KEY, "host": "https://api.aitronos.invalid"})


@pytest.mark.parametrize(
    "broken",
    [
        '{"conn_type": "aitronos", ',
        "{'password': 'x'}",
        # All of these are URIs to Airflow, which finds a connection without a key in them.
        pytest.param(f"'{GOOD_JSON}'", id="quotes that docker --env-file keeps"),
        pytest.param(GOOD_JSON[1:], id="no first brace"),
        pytest.param(f"\ufeff{GOOD_JSON}", id="byte order mark"),
        pytest.param(json.dumps(GOOD_JSON), id="JSON in JSON"),
        pytest.param(f"[{GOOD_JSON}]", id="list"),
        "[1]",
        KEY,
        "",
    ],
)
def test_broken_json_in_the_variable(diagnose: Any, broken: str) -> None:
    text = only_cross(diagnose(broken), "connection")
    assert f"{VARIABLE} is set, but Airflow cannot read it. Write one JSON object without quotes" in text


@pytest.mark.parametrize("uri", [f"aitronos://:{KEY}@api.aitronos.invalid", f"//:{KEY}@api.aitronos.invalid"])
def test_a_uri_is_no_broken_json(diagnose: Any, uri: str) -> None:
    only_cross(diagnose(uri), "name")


BACKEND = {
    "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
    "AIRFLOW__WORKERS__SECRETS_BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
}


@pytest.mark.parametrize("option", BACKEND)
@pytest.mark.parametrize("variable", [GOOD_JSON, KEY], ids=["good", "odd"])
def test_no_wrong_source_is_named_beside_a_secrets_backend(
    diagnose: Any, monkeypatch: pytest.MonkeyPatch, option: str, variable: str
) -> None:
    monkeypatch.setenv(option, BACKEND[option])
    monkeypatch.setattr(
        "airflow_aitronos.hooks.aitronos.AitronosHook.get_connection",
        classmethod(lambda cls, conn_id: airflow.sdk.Connection(conn_id=conn_id, conn_type="aitronos")),
    )
    _, lines = diagnose(variable)
    assert lines[0] == "✓ connection: 'aitronos_default' found"


def test_without_a_secrets_backend_the_variable_is_named(diagnose: Any) -> None:
    _, lines = diagnose(GOOD_JSON)
    assert lines[0] == f"✓ connection: 'aitronos_default' found in the environment variable {VARIABLE}"


@pytest.mark.parametrize("conn_type", ["http", None])
def test_a_connection_of_another_type_is_noted(diagnose: Any, conn_type: str | None) -> None:
    _, lines = diagnose(conn_type=conn_type, host="https://api.aitronos.invalid")
    assert f"; its type is '{conn_type or ''}'. Make it 'aitronos'" in lines[0]
    assert lines[0].startswith("✓")


@pytest.mark.parametrize(
    ("conn_id", "says"),
    [
        ("nowhere", "Airflow does not know 'nowhere'. Save"),
        ("nowhere", "set AIRFLOW_CONN_NOWHERE, or see"),
        ("nowhere", "or has another Fernet key."),
        ("my-conn", "set AIRFLOW_CONN_MY-CONN (which a shell cannot export: choose another id), or see"),
        ("my.conn", "which a shell cannot export"),
        ("my conn", "which a shell cannot export"),
    ],
)
def test_an_unknown_id(capsys: pytest.CaptureFixture[str], conn_id: str, says: str) -> None:
    assert doctor.main([conn_id]) == 1
    assert says in capsys.readouterr().out.splitlines()[0]


def test_a_backend_that_refuses_is_named(diagnose: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(hook: Any, conn_id: str) -> None:
        raise PermissionError(KEY)

    monkeypatch.setattr("airflow_aitronos.hooks.aitronos.AitronosHook.get_connection", refuse)
    assert "does not know 'aitronos_default' (PermissionError)" in only_cross(diagnose(), "connection")


def test_no_key(diagnose: Any) -> None:
    assert "Password is empty" in only_cross(diagnose(password=""), "settings")


def test_http_where_https_is_needed(diagnose: Any) -> None:
    assert "Use https://" in only_cross(diagnose(host="http://api.aitronos.com"), "settings")


def test_http_to_a_port_that_speaks_tls(diagnose: Any) -> None:
    with FaultServer(tls=tls_context(trustme.CA())) as server:
        text = only_cross(diagnose(host=f"http://127.0.0.1:{server.port}"), "server")
    assert "If this port speaks TLS, write https:// in Host." in text


def test_a_server_of_tls_that_answers_http(diagnose: Any) -> None:
    """As nginx and Go do."""
    with FaultServer([Close(http(400, b"Client sent an HTTP request to an HTTPS server.\n"))] * 2) as server:
        assert (
            "with HTTP 400. If this port speaks TLS, write https:// in Host."
            in diagnose(host=server.url)[1][3]
        )


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_https(diagnose: Any, status: int) -> None:
    moved = http(status, b"", [("Location", "https://127.0.0.1/v1/auth/validate")])
    with FaultServer([Close(moved)] * 2) as server:
        _, lines = diagnose(host=server.url)
    assert f"with HTTP {status}. If this port speaks TLS, write https:// in Host." in lines[3]


def test_a_name_that_does_not_resolve(diagnose: Any) -> None:
    text = only_cross(diagnose(host="https://api.aitronos.invalid"), "name")
    assert "api.aitronos.invalid does not resolve. Check Host" in text


def test_a_refused_port(diagnose: Any) -> None:
    text = only_cross(diagnose(host=f"http://127.0.0.1:{closed_port()}"), "server")
    assert "refused" in text
    assert "Host" in text
    assert "TLS" not in text


def test_a_port_that_never_answers(diagnose: Any) -> None:
    with blackhole() as port:
        fields = {"host": f"http://127.0.0.1:{port}", "extra": {"connect_timeout": 0.3}}
        text = only_cross(diagnose(**fields), "server")
    assert "within connect_timeout of 0.3 s" in text
    assert "TLS" not in text


@pytest.fixture
def short_wait(monkeypatch: pytest.MonkeyPatch) -> float:
    """Make the check wait less than its ten seconds, and return how long."""
    monkeypatch.setattr("airflow_aitronos.hooks.aitronos.TEST_TIMEOUT", 0.5)
    return 0.5


def test_a_slow_server(diagnose: Any, short_wait: float) -> None:
    with FaultServer([[Hang()]]) as server:
        text = only_cross(diagnose(host=server.url), "server")
    assert "no complete answer within 0.5 s, which is all that this check waits. Look at the server" in text
    assert "raise" not in text
    assert "TLS" not in text


def test_a_total_timeout_that_is_shorter_than_the_check(diagnose: Any) -> None:
    with FaultServer([[Hang()]]) as server:
        text = only_cross(diagnose(host=server.url, extra={"total_timeout": 0.3}), "server")
    assert "raise total_timeout" in text


def test_an_untrusted_certificate(diagnose: Any) -> None:
    with FaultServer(tls=tls_context(trustme.CA())) as server:
        text = only_cross(diagnose(host=server.url), "server")
    assert "certificate" in text
    assert "verify" in text

    assert "clock" not in text


def test_a_certificate_that_is_out_of_date(diagnose: Any, tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    with FaultServer(tls=tls_context(ca, expired=True)) as server:
        text = only_cross(diagnose(host=server.url, extra={"verify": str(tmp_path / "ca.pem")}), "server")
    assert text.endswith("Or this machine's clock is wrong.")


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_a_certificate_that_is_not_checked(diagnose: Any) -> None:
    with FaultServer([Close(reply())] * 2, tls=tls_context(trustme.CA())) as server:
        code, lines = diagnose(host=server.url, extra={"verify": False})
    assert code == 1
    assert [line[0] for line in lines] == ["✓", "✓", "✓", "✗", "✓", "✓", "✓"]
    assert "anyone on the way to the server can read the API key" in lines[1]
    assert "over TLS, its certificate NOT checked: verify is false. Set verify" in lines[3]


def test_a_certificate_that_is_checked(diagnose: Any, tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    with FaultServer([Close(reply())] * 2, tls=tls_context(ca)) as server:
        code, lines = diagnose(host=server.url, extra={"verify": str(tmp_path / "ca.pem")})
    assert code == 0
    assert lines[3] == f"✓ server: {server.url} answers over TLS, its certificate accepted"


def test_a_key_that_travels_unencrypted(diagnose: Any) -> None:
    _, lines = diagnose(host="http://api.aitronos.invalid", extra={"allow_http": True, "verify": False})
    assert "valid; the API is http://api.aitronos.invalid. Connection" in lines[1]
    assert lines[1].endswith("the API key travels unencrypted.")
    assert ".." not in lines[1]


def test_a_ca_bundle_of_the_environment(diagnose: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    assert "REQUESTS_CA_BUNDLE" in only_cross(diagnose(host="https://127.0.0.1:1"), "server")


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


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_gateway_that_has_no_version_to_tell(diagnose: Any, status: int) -> None:
    with FaultServer([Close(http(status, b""))] * 2) as server:
        code, lines = diagnose(host=server.url)
    assert code == 1
    assert lines[4] == f"✓ API version: not told with HTTP {status}"
    assert [line[0] for line in lines] == ["✓"] * 6 + ["✗"]


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Move this machine to another zone."""
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_away")
@pytest.mark.parametrize("zone", ["", " -0000", " +0000", " GMT"])
def test_a_date_without_a_zone_is_utc(diagnose: Any, zone: str) -> None:
    now = datetime.now(UTC) + timedelta(seconds=5)
    with FaultServer([Close(reply(Date=f"{now:%a, %d %b %Y %H:%M:%S}{zone}"))] * 2) as server:
        code, lines = diagnose(host=server.url)
    assert code == 0, lines[5]


def test_a_server_without_a_clock(diagnose: Any) -> None:
    with FaultServer([Close(reply(Date=""))] * 2) as server:
        code, lines = diagnose(host=server.url)
    assert code == 0
    assert lines[5] == "✓ clock: not compared: the server names no time"


def test_a_proxy_resolves_the_name_itself(diagnose: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    text = only_cross(diagnose(host="https://api.aitronos.invalid"), "server")
    assert "proxy" in text


def run_command(home: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        env={**os.environ, "AIRFLOW_HOME": str(home), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def test_as_a_command_with_a_connection_saved_in_the_form(tmp_path: Path) -> None:
    assert run_command(tmp_path, "airflow", "db", "migrate").returncode == 0
    with SandboxServer() as sandbox:
        saved = run_command(
            tmp_path, "airflow", "connections", "add", "saved", "--conn-json", sandbox.connection_json()
        )
        assert saved.returncode == 0, saved.stdout
        seen = run_command(tmp_path, "airflow_aitronos.doctor", "saved")
    assert seen.returncode == 0, seen.stdout
    lines = seen.stdout.splitlines()
    assert lines[0] == "✓ connection: 'saved' found"
    assert [line[0] for line in lines] == ["✓"] * len(STEPS)
    assert sandbox.api_key not in seen.stdout


@pytest.mark.parametrize(
    "variable",
    [
        # A warning of the hook's, and what Airflow says of what it cannot read: it may quote the key.
        json.dumps(
            {"conn_type": "aitronos", "password": KEY, "host": "x.invalid", "extra": {"verify": False}}
        ),
        f"aitronos://a://b://:{KEY}@api.aitronos.invalid",
    ],
    ids=["verify", "odd URI"],
)
def test_nothing_stands_between_the_lines(tmp_path: Path, variable: str) -> None:
    seen = run_command(tmp_path, "airflow_aitronos.doctor", **{VARIABLE: variable})
    assert seen.returncode == 1
    assert [line[0] in "✓✗-" for line in seen.stdout.splitlines()] == [True] * len(STEPS), seen.stdout
    assert KEY not in seen.stdout


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
