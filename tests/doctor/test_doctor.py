"""The doctor, run as a user runs it: what it says of a good connection, and of each way to be wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import airflow.settings
import pytest
import trustme
from airflow.secrets.environment_variables import EnvironmentVariablesBackend

from airflow_aitronos import doctor
from airflow_aitronos.sandbox.server import SandboxServer
from tests.support.addresses import blackhole, closed_port, tls_context
from tests.support.fault_server import FaultServer
from tests.support.faults import Close, Hang
from tests.support.programs import run
from tests.support.replies import http

KEY = "sk-CANARY-7f3a9c51e2d84b60"
VARIABLE = "AIRFLOW_CONN_AITRONOS_DEFAULT"
NOWHERE = "https://api.aitronos.invalid"
STEPS = doctor.STEPS
assert airflow.settings  # imported here, so that its loggers do not keep the streams of the first doctor

Lines = list[str]
Diagnose = Callable[..., Lines]


class RaisingBackend(EnvironmentVariablesBackend):
    """A secrets backend that may not read what it is asked for."""

    def get_connection(self, conn_id: str, team_name: str | None = None) -> Any:
        """Raise an error that holds the key."""
        raise PermissionError(KEY)


class BackendWithoutItsServer(EnvironmentVariablesBackend):
    """A secrets backend that connects when it is made."""

    def __init__(self) -> None:
        raise ConnectionError(KEY)


@pytest.fixture
def diagnose(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Diagnose:
    """Return a function that sets the connection's fields and runs the doctor in this process."""

    def diagnose(text: str | None = None, conn_id: str = "aitronos_default", **fields: Any) -> Lines:
        if fields:
            text = json.dumps({"conn_type": "aitronos", "password": KEY, **fields})
        if text is not None:
            monkeypatch.setenv(VARIABLE, text)
        before = dict(os.environ)
        code = doctor.main([conn_id])
        assert dict(os.environ) == before
        printed = capsys.readouterr()
        assert KEY not in printed.out + printed.err
        lines = printed.out.splitlines()
        assert code == (1 if any(line.startswith("✗") for line in lines) else 0)
        return lines

    return diagnose


def only_cross(lines: Lines, step: str) -> str:
    """Return the text of the one cross, which has to be at a step; nothing after it was checked."""
    number = STEPS.index(step)
    assert [line[0] for line in lines] == ["✓"] * number + ["✗"] + ["-"] * (len(STEPS) - number - 1), lines
    return lines[number].removeprefix(f"✗ {step}: ")


def crosses(lines: Lines, step: str) -> Lines:
    """Return the texts of the crosses, which all have to be at a step."""
    found = [line for line in lines if line[0] == "✗"]
    assert all(line.startswith(f"✗ {step}: ") for line in found), lines
    return [line.removeprefix(f"✗ {step}: ") for line in found]


def test_all_is_well(diagnose: Diagnose) -> None:
    with SandboxServer() as sandbox:
        lines = diagnose(sandbox.connection_json())
        assert [one.method for one in sandbox.requests] == ["GET", "GET"]
    assert [line[0] for line in lines] == ["✓"] * len(STEPS)
    assert lines[:2] == [
        "✓ secrets backends: none beside the environment and Airflow's database",
        "✓ connection: 'aitronos_default' found in the environment",
    ]
    assert lines[5] == "✓ API version: v1"
    assert "accepted the API key" in lines[7]


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ('{\n"port": 1\n"host": "x"}', "is not valid JSON: line 3, column 1: Expecting ',' delimiter."),
        ('{"api_key": "x"}', "cannot be read (TypeError). Write one JSON object, such as {"),
        ("'{}'", "has quotes around its JSON, as docker --env-file keeps them. Leave them out."),
        (KEY, "cannot be read (not a connection)"),
        ("", "cannot be read (not a connection)"),
    ],
)
def test_a_variable_that_holds_no_connection(diagnose: Diagnose, broken: str, says: str) -> None:
    assert f"variable {VARIABLE} {says}" in only_cross(diagnose(broken), "connection")


@pytest.mark.parametrize(
    ("conn_id", "says"),
    [
        ("nowhere", "Airflow does not know 'nowhere'. Save it in the connection form, or set AIRFLOW_CONN_"),
        ("my-conn", "set AIRFLOW_CONN_MY-CONN (which a shell cannot export: choose another id)."),
    ],
)
def test_an_unknown_id(diagnose: Diagnose, conn_id: str, says: str) -> None:
    assert says in only_cross(diagnose(conn_id=conn_id), "connection")


def test_a_connection_of_another_type(diagnose: Diagnose) -> None:
    assert "; its type is 'http'. Make it 'aitronos'" in diagnose(conn_type="http", host=NOWHERE)[1]


@pytest.mark.parametrize("option", ["AIRFLOW__SECRETS__BACKEND", "AIRFLOW__WORKERS__SECRETS_BACKEND"])
def test_a_secrets_backend_that_raises(
    diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setenv(option, f"{__name__}.RaisingBackend")
    lines = diagnose(host=NOWHERE)
    assert lines[0].startswith("✗ secrets backends: RaisingBackend raised PermissionError. Airflow goes on")
    assert lines[1] == "✓ connection: 'aitronos_default' found in the environment"


def test_a_secrets_backend_that_cannot_be_made(diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", f"{__name__}.BackendWithoutItsServer")
    text = only_cross(diagnose(host=NOWHERE), "secrets backends")
    assert text.startswith("BackendWithoutItsServer cannot be loaded (ConnectionError).")


def test_settings_that_are_wrong_are_told_at_once(diagnose: Diagnose) -> None:
    extra = {"timeout": 5, "retries": 2, "max_attempts": 99, "verify": "/nowhere.pem"}
    lines = diagnose(password="", host="http://api.aitronos.com", port=99999, extra=extra)
    for text, says in zip(
        crosses(lines, "settings"),
        [
            "Password is empty. The API key goes into Password.",
            "Port is not a number from 1 to 65535. Correct it or leave it empty.",
            "Extra has unknown keys: 'retries', 'timeout'. Known keys: ",
            "Extra key max_attempts of connection 'aitronos_default' is 99. Set it to ",
            "Extra key verify of connection 'aitronos_default' is '/nowhere.pem'. Set it to true, false or",
        ],
        strict=True,
    ):
        assert text.startswith(says)
        assert "retryable" not in text


@pytest.mark.parametrize(
    ("password", "says"),
    [
        (f"'{KEY}'", "Password is in quotes. Leave them out."),
        ("$AITRONOS_API_KEY", "Password is the name of a variable that nothing has replaced."),
        ("your-api-key", "Password is a placeholder. Write your API key."),
        ("<api-key>", "Password is a placeholder. Write your API key."),
    ],
)
def test_a_password_that_is_no_key(diagnose: Diagnose, password: str, says: str) -> None:
    assert only_cross(diagnose(host=NOWHERE, password=password), "settings").startswith(says)


def test_a_key_that_travels_unencrypted(diagnose: Diagnose) -> None:
    line = diagnose(host="http://api.aitronos.invalid", extra={"allow_http": True})[2]
    assert line.startswith("✓ settings: valid; the API is http://api.aitronos.invalid. Connection")
    assert line.endswith("the API key travels unencrypted.")


def test_an_environment_that_cannot_be_used(diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://[")
    assert "HTTPS_PROXY" in only_cross(diagnose(host=NOWHERE), "settings")
    monkeypatch.setenv("AITRONOS_ALLOWED_ORIGINS", "")
    text = only_cross(diagnose(host="http://127.0.0.1:1"), "settings")
    assert text.startswith("http://127.0.0.1:1 is not among the origins in AITRONOS_ALLOWED_ORIGINS.")


def test_a_name_that_does_not_resolve(diagnose: Diagnose) -> None:
    assert only_cross(diagnose(host=NOWHERE), "name").startswith("api.aitronos.invalid does not resolve.")


def test_a_proxy_resolves_the_name_itself(diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    assert "Could not connect to the proxy" in only_cross(diagnose(host=NOWHERE), "server")


def test_a_port_that_nobody_serves(diagnose: Diagnose) -> None:
    text = only_cross(diagnose(host=f"http://127.0.0.1:{closed_port()}"), "server")
    assert "(Connection refused). Check Host and Port of the connection" in text
    assert "TLS" not in text
    with blackhole() as port:
        fields = {"host": f"http://127.0.0.1:{port}", "extra": {"connect_timeout": 0.3}}
        assert "within connect_timeout of 0.3 s" in only_cross(diagnose(**fields), "server")


def test_a_slow_server(diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_aitronos.hooks.aitronos.TEST_TIMEOUT", 0.5)
    with FaultServer([[Hang()]]) as server:
        text = only_cross(diagnose(host=server.url), "server")
    assert "No response within read_timeout of 0.5 s. If this repeats, check the network" in text


def test_tls_on_one_side_only(diagnose: Diagnose) -> None:
    with FaultServer(tls=tls_context(trustme.CA())) as server:
        text = only_cross(diagnose(host=f"http://127.0.0.1:{server.port}"), "server")
    assert text.endswith("If this port speaks TLS, write https:// in Host.")
    with SandboxServer() as sandbox:
        text = only_cross(diagnose(host=sandbox.url.replace("http:", "https:")), "server")
    assert "does not speak TLS on this port" in text
    assert "For plain HTTP, as the sandbox speaks, write http:// in Host" in text


@pytest.mark.parametrize("status", [400, 301])
def test_a_server_of_tls_that_answers_http(diagnose: Diagnose, status: int) -> None:
    """nginx and Go send a 400, others redirect to https://."""
    with FaultServer([Close(http(status, b""))] * 2) as server:
        lines = diagnose(host=server.url)
    assert lines[4].endswith(f"with HTTP {status}. If this port speaks TLS, write https:// in Host.")


def test_certificates(diagnose: Diagnose, tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    bundle = {"verify": str(tmp_path / "ca.pem")}
    with FaultServer(tls=tls_context(ca)) as server:
        text = only_cross(diagnose(host=server.url), "server")
    assert "For a private CA, set verify in Extra to the path of its CA bundle" in text
    assert "clock" not in text
    with FaultServer(tls=tls_context(ca, expired=True)) as server:
        text = only_cross(diagnose(host=server.url, extra=bundle), "server")
    assert text.endswith("Or this machine's clock is wrong.")
    with FaultServer([Close(reply())] * 2, tls=tls_context(ca)) as server:
        lines = diagnose(host=server.url, extra=bundle)
    assert lines[4] == f"✓ server: {server.url} answers over TLS, its certificate accepted"


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_a_certificate_that_is_not_checked(diagnose: Diagnose) -> None:
    with FaultServer([Close(reply())] * 2, tls=tls_context(trustme.CA())) as server:
        lines = diagnose(host=server.url, extra={"verify": False})
    assert "anyone on the way to the server can read the API key" in lines[2]
    (text,) = crosses(lines, "server")
    assert "over TLS, its certificate NOT checked: verify is false. Set verify" in text
    assert lines[-1].startswith("✓ API key")


def test_a_wrong_key(diagnose: Diagnose) -> None:
    with SandboxServer() as sandbox:
        text = only_cross(diagnose(host=sandbox.url, password="not-the-key-of-it"), "API key")
    assert "Put a valid API key into Password of the connection." in text


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
def test_the_key_is_tried_although_version_or_clock_are_wrong(
    diagnose: Diagnose, headers: dict[str, str], step: str, says: str
) -> None:
    with FaultServer([Close(reply(**headers))] * 2) as server:
        lines = diagnose(host=server.url)
    (text,) = crosses(lines, step)
    assert says in text
    assert lines[-1].startswith("✓ API key")


def test_a_gateway_that_has_no_version_to_tell(diagnose: Diagnose) -> None:
    with FaultServer([Close(http(503, b""))] * 2) as server:
        lines = diagnose(host=server.url)
    assert lines[5:7] == [
        "✓ API version: not told with HTTP 503",
        "✓ clock: not compared: the server names no time",
    ]
    assert "answered HTTP 503." in crosses(lines, "API key")[0]


def test_a_check_that_breaks_is_a_cross(diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError(KEY)

    monkeypatch.setattr("airflow_aitronos.client.settings.SettingsLoader.load", fail)
    assert only_cross(diagnose(host=""), "settings") == "RuntimeError broke this check"


# As the form does. A migration would make all of Airflow's tables, and take ten seconds.
SAVE = """
import json, sys
from airflow import settings
from airflow.models.connection import Connection
from airflow.utils.session import create_session
tables = Connection.metadata.tables
for name in {"team", "connection"} & set(tables):
    tables[name].create(settings.engine)
with create_session() as session:
    session.add(Connection(conn_id="saved", **json.loads(sys.argv[1])))
"""


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return program("-m", "airflow_aitronos.doctor", *arguments, **environment)


def program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, *arguments], env={**os.environ, **environment})


def test_a_connection_saved_in_the_form(tmp_path: Path) -> None:
    home = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__FERNET_KEY": "b" * 43 + "="}
    with SandboxServer() as sandbox:
        saved = program("-c", SAVE, sandbox.connection_json(), **home)
        assert saved.returncode == 0, saved.stdout
        seen = command("saved", **home)
        other_key = command("saved", **home | {"AIRFLOW__CORE__FERNET_KEY": "a" * 43 + "="})
    assert seen.returncode == 0, seen.stdout
    lines = seen.stdout.splitlines()
    assert lines[1] == "✓ connection: 'saved' found in Airflow's database"
    assert [line[0] for line in lines] == ["✓"] * len(STEPS)
    assert sandbox.api_key not in seen.stdout
    assert "cannot be read (InvalidToken): is it there, and has it the same Fernet key?" in only_cross(
        other_key.stdout.splitlines(), "connection"
    )


def test_a_secrets_backend_whose_package_is_missing_on_a_terminal_without_ticks() -> None:
    backend = "nowhere_installed.vault.VaultBackend"
    seen = command(AIRFLOW__SECRETS__BACKEND=backend, PYTHONIOENCODING="ascii")
    assert seen.returncode == 1
    first, *others = seen.stdout.splitlines()
    assert first == (
        f"FAILED secrets backends: {backend} cannot be loaded (no module nowhere_installed). "
        "Install its package, or correct its name and its kwargs."
    )
    assert others == [f"- {step}: not checked" for step in STEPS[1:]]


def test_nothing_stands_between_the_lines() -> None:
    """Airflow quotes a URI that it cannot read, key included."""
    seen = command(**{VARIABLE: f"aitronos://a://b://:{KEY}@api.aitronos.invalid"})
    assert [line[0] in "✓✗-" for line in seen.stdout.splitlines()] == [True] * len(STEPS), seen.stdout
    assert KEY not in seen.stdout


def test_whoever_stops_reading_gets_no_traceback() -> None:
    shell = f"{sys.executable} -m airflow_aitronos.doctor nowhere | true"
    assert "Traceback" not in run(["sh", "-c", shell]).stdout
