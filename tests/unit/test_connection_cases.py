"""Connections that cannot be used, and ones that look as if they could not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest
import trustme
from packaging.version import Version

from airflow_aitronos._compat import AirflowFailException
from airflow_aitronos.exceptions import AitronosConfigurationError, AitronosError, AitronosNetworkError
from airflow_aitronos.hooks import aitronos as hook_module
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from airflow_aitronos.sandbox.server import SandboxServer
from tests.support.addresses import closed_port, tls_context
from tests.support.airflow_versions import (
    AirflowNotFoundException,
    needs_lookup_outside_tasks,
    needs_unchecked_extra,
)
from tests.support.cases import case
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer
from tests.support.faults import Hang
from tests.support.replies import http
from tests.unit.conftest import SetConnection
from tests.unit.tools import (
    ASSISTANT,
    CONN_ID,
    CONN_VARIABLE,
    DETACH_PATH,
    DETACHED,
    KEY,
    OPTIONS,
    WORKFLOW,
    Lines,
    airflow_redacts,
    assert_hides,
    assert_one_detach,
    connection_fields,
    detached_server,
    untouched,
)

SetUri = Callable[[str], None]

# urllib3 warns of it too, once for each request.
unverified = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


def detach(conn_id: str = CONN_ID, *, log: Lines | None = None, **arguments: Any) -> Any:
    """Detach through the hook, as the operator does; the log is for tests that look at it."""
    with AitronosHook(conn_id, **arguments) as hook:
        hook._log = cast("Any", log or Lines())
        return hook.detach_assistant_workflow(ASSISTANT)


def refused(*secrets: str) -> str:
    """Return why the connection cannot be used: as a stop, and without a word of the secrets."""
    with pytest.raises(AitronosConfigurationError) as caught:
        detach()
    error = caught.value
    assert isinstance(error, AirflowFailException)
    assert (error.attempts, error.status_code) == (0, None)
    assert_hides(error, KEY, *secrets)
    text = str(error)
    assert text.isprintable()
    assert f"'{CONN_ID}'" in text
    assert text.endswith("Trying again cannot help.")
    # The operator ends the same way, so the task fails at once.
    with pytest.raises(AitronosConfigurationError, match=r"\ANothing was sent"):
        DetachAssistantWorkflowOperator(task_id="detach", assistant_id=ASSISTANT).execute({})
    return text


@contextmanager
def proxy(monkeypatch: pytest.MonkeyPatch, replies: list[bytes]) -> Iterator[FaultServer]:
    """Show which host a call wants to reach, without the network: a proxy on loopback is asked for it."""
    with FaultServer(replies) as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        monkeypatch.setenv("HTTP_PROXY", server.url)
        yield server


def https_origin(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return host and port that the call wants to reach through TLS."""
    with proxy(monkeypatch, [http(502)]) as server, pytest.raises(AitronosNetworkError):
        detach(max_attempts=1)
    assert [request.method for request in server.requests] == ["CONNECT"]
    assert KEY.encode() not in server.requests[0].raw
    return server.requests[0].path


def in_uri(host: str, port: int | None = None, path: str = "", query: str = "", key: str = KEY) -> str:
    where = host if host.startswith("[") else quote(host, safe="")
    where += "" if port is None else f":{port}"
    return f"aitronos://:{quote(key, safe='')}@{where}/{path}{query and '?' + query}"


@case("C1")
@needs_lookup_outside_tasks
@pytest.mark.parametrize("through", ["hook", "operator"])
def test_unknown_connection_is_airflows_to_report(monkeypatch: pytest.MonkeyPatch, through: str) -> None:
    monkeypatch.delenv(CONN_VARIABLE, raising=False)
    operator = DetachAssistantWorkflowOperator(
        task_id="detach", assistant_id=ASSISTANT, aitronos_conn_id="aitronos_nowhere"
    )
    with untouched() as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        with pytest.raises(AirflowNotFoundException, match="aitronos_nowhere") as caught:
            _ = detach("aitronos_nowhere") if through == "hook" else operator.execute({})
    # Not a stop: a secrets backend that is down for a minute ends in this very exception.
    assert not isinstance(caught.value, AirflowFailException | AitronosError)


@case("C2")
@pytest.mark.parametrize("password", [None, "", "   ", "\n", "\t \r\n"], ids=repr)
@pytest.mark.parametrize("form", ["json", "uri"])
def test_no_key(connect: SetConnection, connect_uri: SetUri, form: str, password: str | None) -> None:
    with untouched() as server:
        if form == "json":
            connect(host=server.url, password=password)
        else:
            connect_uri(in_uri(server.url, key=password or ""))
        text = refused()
    assert "Password is empty" in text
    assert "API key goes into the Password field" in text


@case("C3")
@pytest.mark.parametrize(
    ("number", "before", "after"),
    [(1, "", "\n"), (2, "", "\r\n"), (3, "  ", "  "), (4, "\t", " \n"), (5, "\ufeff"[:0], "\u3000")],
    ids=["line_break", "windows", "spaces", "mixed", "wide_space"],
)
@pytest.mark.parametrize("form", ["json", "uri"])
def test_key_with_space_around_it(
    connect: SetConnection, connect_uri: SetUri, form: str, number: int, before: str, after: str
) -> None:
    key = f"sk-CANARY-{form}-{number}-4be1"  # never seen before, so nothing else can have masked it
    assert key in airflow_redacts(f"key {key} here")
    stored = before + key + after
    with detached_server() as server:
        if form == "json":
            connect(host=server.url, password=stored)
        else:
            connect_uri(in_uri(server.url, key=stored))
        assert detach() == DETACHED
    assert_one_detach(server, key)
    assert airflow_redacts(f"key {key} here") == "key *** here"


@case("C4")
@pytest.mark.parametrize(
    "inner",
    ["\n", "\r\n", "\x00", "\x1b", "\x7f", " ", "\t", "€", "ü", "\u200b", "\r\nX-Evil: 1"],
    ids=ascii,
)
def test_key_that_no_header_can_carry(connect: SetConnection, inner: str) -> None:
    first, second = "sk-CANARY-one-half", "the-other-b00c"
    with untouched() as server:
        connect(host=server.url, password=f"{first}{inner}{second}")
        text = refused(first, second, first[:8], second[-6:])
        assert "Password" in text
        good, message = AitronosHook().test_connection()
    assert (good, message) == (False, text)


@case("C5")
@pytest.mark.parametrize(
    "password", [1234567890123, 1.5, True, ["sk-abcdef"], {"key": "sk-abcdef"}, b"sk-abcdef"]
)
def test_key_that_is_no_text(monkeypatch: pytest.MonkeyPatch, password: Any) -> None:
    with untouched() as server:
        # A secrets backend may return any object; through the environment Airflow refuses it by itself.
        monkeypatch.setattr(
            AitronosHook,
            "get_connection",
            lambda self, conn_id: connection_fields(host=server.url, password=password),
        )
        text = refused(str(password), "sk-abcdef")
    assert "Password is not text" in text
    assert "quotes" in text


@case("C6")
@pytest.mark.parametrize("key", ["k", "key", "kkey"])
def test_short_key_works(connect: SetConnection, key: str) -> None:
    with detached_server() as server:
        connect(host=server.url, password=key)
        assert detach() == DETACHED  # and nothing in the reply is masked: every text is full of such keys
    assert [request.values("X-API-Key") for request in server.requests] == [[key]]


def test_a_key_that_stands_in_an_id_makes_no_other_id_of_it(connect: SetConnection) -> None:
    linked = http(200, {"id": WORKFLOW, "name": "abc123"})
    with FaultServer([linked, http(200, DETACHED), linked]) as server:
        connect(host=server.url, password="abc123")
        with AitronosHook() as hook:
            assert hook.detach_assistant_workflow(ASSISTANT, expected_workflow_id=WORKFLOW) == DETACHED
            workflow = hook.get_workflow(WORKFLOW)
    assert (workflow["id"], workflow["name"]) == (WORKFLOW, "***")


def test_a_key_that_was_passed_as_an_id_stays_masked(connect: SetConnection) -> None:
    with FaultServer([http(404, {"error": {"code": "X", "message": KEY, "details": [KEY]}})]) as server:
        connect(host=server.url)
        with AitronosHook() as hook, pytest.raises(AitronosError) as caught:
            hook.get_workflow(KEY)
    assert '"***"' in str(caught.value)
    assert caught.value.details == ["***"]


@case("C7")
@pytest.mark.parametrize("password", ["***", "*", "********", " *** "])
def test_asterisks_instead_of_a_key(connect: SetConnection, password: str) -> None:
    with untouched() as server:
        connect(host=server.url, password=password)
        text = refused()
    assert "Password holds asterisks" in text
    assert "Airflow shows a masked key" in text


@case("C8")
@pytest.mark.parametrize("password", [None, ""], ids=repr)
def test_login_is_no_key(connect: SetConnection, password: str | None) -> None:
    with untouched() as server:
        connect(host=server.url, login="sk-in-the-wrong-field", password=password)
        text = refused("sk-in-the-wrong-field")
    assert "Login is not used" in text


@case("C9")
@pytest.mark.parametrize("form", ["json", "uri"])
@pytest.mark.parametrize("host", [None, "", "  "], ids=repr)
def test_no_host_is_the_vendors(
    connect: SetConnection, connect_uri: SetUri, monkeypatch: pytest.MonkeyPatch, form: str, host: str | None
) -> None:
    if form == "json":
        connect(host=host)
    else:
        connect_uri(in_uri(host or ""))
    assert str(AitronosHook().settings.base_url) == "https://api.aitronos.com"
    assert https_origin(monkeypatch) == "api.aitronos.com:443"


@case("C10")
@pytest.mark.parametrize(
    "host",
    [
        "gw.example",
        "https://gw.example",
        "HTTPS://GW.EXAMPLE",
        "gw.example/",
        "https://gw.example//",
        " gw.example ",
        "gw.example:443",
    ],
)
def test_one_host_written_in_many_ways(
    connect: SetConnection, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    connect(host=host)
    assert str(AitronosHook().settings.base_url) == "https://gw.example"
    assert https_origin(monkeypatch) == "gw.example:443"


@case("C11")
@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("", ""),
        ("/", ""),
        ("/x/aitronos", "/x/aitronos"),
        ("/x/aitronos/", "/x/aitronos"),
        ("//x//aitronos//", "/x/aitronos"),
        ("/v1", ""),
        ("/v1/", ""),
        ("/x/aitronos/v1", "/x/aitronos"),
        ("/x/aitronos/v1/", "/x/aitronos"),
        ("/v1/x", "/v1/x"),
        ("/v1/v1", "/v1"),
        ("/v10", "/v10"),
        ("/X_y-~.z", "/X_y-~.z"),
    ],
)
@pytest.mark.parametrize("form", ["json", "uri"])
def test_path_prefix(connect: SetConnection, connect_uri: SetUri, form: str, path: str, prefix: str) -> None:
    with detached_server() as server:
        if form == "json":
            connect(host=server.url + path)
        else:
            connect_uri(in_uri(server.url + path))
        assert detach() == DETACHED
    assert_one_detach(server, prefix=prefix)


PORTS: list[tuple[str, Any, str | None]] = [
    ("gw.example", None, "gw.example:443"),
    ("gw.example", 0, "gw.example:443"),
    ("gw.example", 443, "gw.example:443"),
    ("gw.example", 8443, "gw.example:8443"),
    ("gw.example", "8443", "gw.example:8443"),
    ("https://gw.example/x", 8443, "gw.example:8443"),
    ("gw.example:8443", None, "gw.example:8443"),
    ("gw.example:8443", 0, "gw.example:8443"),
    ("gw.example:8443", 8443, "gw.example:8443"),
    ("gw.example", 65535, "gw.example:65535"),
    ("gw.example", 65536, None),
    ("gw.example", 99999, None),
    ("gw.example", -1, None),
    ("gw.example:8443", 8444, None),
    ("gw.example:443", 8443, None),
    ("gw.example:0", None, None),
    ("gw.example:", None, None),
    ("gw.example:99999", None, None),
    ("gw.example:-1", None, None),
    ("gw.example:https", None, None),
    ("gw.example:8_4", None, None),
]


@case("C12")
@pytest.mark.parametrize(("host", "port", "target"), PORTS)
def test_port(
    connect: SetConnection, monkeypatch: pytest.MonkeyPatch, host: str, port: Any, target: str | None
) -> None:
    connect(host=host, port=port)
    if target is not None:
        assert https_origin(monkeypatch) == target
        return
    with untouched() as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        text = refused()
    assert "Port" in text or "port" in text
    assert "Leave one of them out" in text or "1 to 65535" in text


@case("C13")
@pytest.mark.skipif(
    Version(version("urllib3")) < Version("2.1"),
    reason="urllib3 2.0 writes an IPv6 address without brackets when it asks a proxy for a tunnel",
)
@pytest.mark.parametrize(
    ("form", "host", "port", "target"),
    [
        ("json", "2001:db8::7", None, "[2001:db8::7]:443"),
        ("json", "2001:db8::7", 8443, "[2001:db8::7]:8443"),
        ("json", "[2001:db8::7]", None, "[2001:db8::7]:443"),
        ("json", "[2001:db8::7]:8443", None, "[2001:db8::7]:8443"),
        ("json", "https://[2001:DB8::1]/x", 8443, "[2001:db8::1]:8443"),
        ("uri", "[2001:db8::7]", None, "[2001:db8::7]:443"),
        ("uri", "[2001:db8::7]", 8443, "[2001:db8::7]:8443"),
        ("uri", "[2001:db8::1]", None, "[2001:db8::1]:443"),
    ],
)
def test_ipv6(
    connect: SetConnection,
    connect_uri: SetUri,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    host: str,
    port: int | None,
    target: str,
) -> None:
    if form == "json":
        connect(host=host, port=port)
    else:
        connect_uri(in_uri(host, port))
    assert https_origin(monkeypatch) == target


@case("C14")
@pytest.mark.parametrize(
    ("fields", "is_allowed"),
    [
        pytest.param({}, False, id="unset"),
        pytest.param({"extra": {"allow_http": False}}, False, id="false"),
        pytest.param({"extra": {"allow_http": "false"}}, False, id="false_as_text"),
        pytest.param({"extra": {"allow_http": True}}, True, id="true"),
        pytest.param({"extra": {"allow_http": "True"}}, True, id="true_as_text"),
    ],
)
@pytest.mark.parametrize(
    "where", [{"host": "http://gw.example"}, {"host": "gw.example", "schema": "http"}], ids=["host", "schema"]
)
def test_http_beyond_this_machine(
    connect: SetConnection, monkeypatch: pytest.MonkeyPatch, where: Any, fields: Any, is_allowed: bool
) -> None:
    connect(**where, **fields)
    log = Lines()
    if is_allowed:
        with proxy(monkeypatch, [http(200, DETACHED)]) as server:
            assert detach(log=log) == DETACHED
        assert [request.path for request in server.requests] == [f"http://gw.example{DETACH_PATH}"]
        assert any("unencrypted" in text and "allow_http" in text for text in log.of("warning"))
        return
    with untouched() as untouched_server:
        monkeypatch.setenv("HTTP_PROXY", untouched_server.url)
        text = refused()
    assert "Host says http://" in text
    assert "allow_http" in text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_http_within_this_machine_needs_no_leave(connect: SetConnection, host: str) -> None:
    log = Lines()
    with detached_server() as server:
        connect(host=f"http://{host}:{server.port}")
        assert detach(log=log) == DETACHED
    assert_one_detach(server)
    assert log.of("warning") == []


@case("C15")
@pytest.mark.parametrize(
    "host",
    [
        "ftp://gw.example",
        "file:///etc/passwd",
        "//gw.example",
        "javascript:alert(1)",
        "ws://gw.example",
        "http+unix://gw",
        "://gw",
        "https://",
        "https:gw.example",
        "data:,x",
        "HTTPSS://gw.example",
    ],
)
def test_other_schemes(connect: SetConnection, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    with untouched() as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        monkeypatch.setenv("ALL_PROXY", server.url)
        connect(host=host)
        text = refused(host)
    assert "Host " in text


@case("C16")
@pytest.mark.parametrize(
    "spoilt",
    [
        "http://user:hunter2@{}/",
        "http://hunter2@{}/",
        "user:hunter2@{}",
        "http://{}/?token=hunter2",
        "http://{}?hunter2",
        "http://{}/#hunter2",
        "http://{}#@hunter2",
        "http://{}/a hunter2",
        "http://{}/\r\nhunter2",
        "http://{}\r\nX-Evil: hunter2",
        "http://{}\\@hunter2",
        "http://{}/hunter2/../x",
        "http://{}/hunter2%2e%2e",
        "http://{}/\x00hunter2",
        "http://{}@hunter2.example",
        "http://[::1]hunter2:{}",
        "http://h\u00fcnter2.example",
        "hunter2:hunter2:hunter2",
        "http://{}:hunter2",
    ],
    ids=ascii,
)
def test_host_with_more_than_a_host_in_it(connect: SetConnection, spoilt: str) -> None:
    with untouched() as server:
        connect(host=spoilt.format(f"127.0.0.1:{server.port}"))
        text = refused("hunter2", "nter2.example")
    assert "Host " in text


@case("C17")
@pytest.mark.parametrize(
    ("form", "schema", "target"),
    [
        ("json", "https", "gw.example:443"),
        ("json", " HTTPS ", "gw.example:443"),
        ("json", "", "gw.example:443"),
        ("json", "prefix", None),
        ("json", "https://", None),
        ("json", "ftp", None),
        ("json", "/v1", None),
        ("uri", "https", "gw.example:443"),
        ("uri", "", "gw.example:443"),
        ("uri", "prefix", None),
        ("uri", "x/aitronos/v1", None),
    ],
)
def test_schema_field(
    connect: SetConnection,
    connect_uri: SetUri,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    schema: str,
    target: str | None,
) -> None:
    if form == "json":
        connect(host="gw.example", schema=schema)
    else:
        connect_uri(in_uri("gw.example", path=schema))
    if target is not None:
        assert https_origin(monkeypatch) == target
        return
    with untouched() as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        text = refused()
    assert "Schema" in text
    assert "'https' or 'http'" in text
    assert "path prefix belongs into Host" in text


@case("C18")
@needs_unchecked_extra
@pytest.mark.parametrize(
    "extra",
    [
        '{"total_timeout": 5, "verify": "hunter2"',
        "{broken hunter2",
        "{'total_timeout': 5}",
        "hunter2",
        '{"total_timeout": 5} hunter2',
        "total_timeout=5",
    ],
    ids=lambda extra: repr(extra[:20]),
)
def test_extra_that_is_not_json(connect: SetConnection, extra: str) -> None:
    with untouched() as server:
        connect(host=server.url, extra=extra)
        text = refused("hunter2")
    assert "Extra is not valid JSON" in text
    assert "JSON object" in text


@pytest.mark.parametrize("extra", [None, "", "{}", {}], ids=repr)
def test_blank_extra_is_no_extra(connect: SetConnection, extra: Any) -> None:
    with detached_server() as server:
        connect(host=server.url, extra=extra)
        assert detach() == DETACHED
    assert_one_detach(server)


@needs_unchecked_extra
@pytest.mark.parametrize("extra", ["   ", "\n", "null"], ids=repr)
def test_extra_of_nothing_is_no_extra(connect: SetConnection, extra: str) -> None:
    test_blank_extra_is_no_extra(connect, extra)


@case("C19")
@needs_unchecked_extra
@pytest.mark.parametrize("as_text", [True, False], ids=["as_text", "as_json"])
@pytest.mark.parametrize("extra", [[1], ["verify"], "s", 5, 1.5, True], ids=repr)
def test_extra_that_is_no_object(connect: SetConnection, extra: Any, as_text: bool) -> None:
    if not as_text and isinstance(extra, str):
        extra = json.dumps(extra)
    with untouched() as server:
        connect(host=server.url, extra=json.dumps(extra) if as_text else extra)
        text = refused()
    assert "Extra must be a JSON object" in text


SECONDS = ["connect_timeout", "read_timeout", "total_timeout", "max_backoff", "max_retry_after"]
NO_SECONDS: list[Any] = [
    [5, 30], -1, -0.5, True, False, {}, {"a": 1}, 1e12, 86_401, "-1", "nan", "NaN", "inf", "Infinity", "1e3",
    "1_0", "\uff15", "30s", "0x10", "+5", "abc", "5,5", "1e12", float("nan"), float("inf"),
]  # fmt: skip


@case("C20")
@pytest.mark.parametrize("value", NO_SECONDS, ids=repr)
@pytest.mark.parametrize("name", SECONDS)
def test_durations_that_are_none(connect: SetConnection, name: str, value: Any) -> None:
    with untouched() as server:
        connect(host=server.url, extra=json.dumps({name: value}))
        with pytest.raises(AitronosConfigurationError) as caught:
            detach()
    text = str(caught.value)
    assert f"Extra key {name} must be a number of seconds from 0" in text
    assert "to 86400" in text
    assert f"'{CONN_ID}'" in text


@pytest.mark.parametrize("name", ["connect_timeout", "read_timeout", "total_timeout"])
@pytest.mark.parametrize("value", [0, 0.0, "0", "0.0"], ids=repr)
def test_no_time_at_all(connect: SetConnection, name: str, value: Any) -> None:
    with untouched() as server:
        connect(host=server.url, extra={name: value})
        assert f"Extra key {name} must be" in refused()


@pytest.mark.parametrize("form", ["json", "uri"])
@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize(("value", "seconds"), [("30", 30.0), ("0.5", 0.5), (" 7 ", 7.0), ("86400", 86400.0)])
def test_durations_as_text(
    connect: SetConnection, connect_uri: SetUri, form: str, name: str, value: str, seconds: float
) -> None:
    with detached_server() as server:
        if form == "json":
            connect(host=server.url, extra={name: value})
        else:
            connect_uri(in_uri(server.url, query=f"{name}={quote(value)}"))
        assert detach() == DETACHED
    assert_one_detach(server)
    assert getattr(AitronosHook().settings, name) == seconds


@unverified
@case("C21")
@pytest.mark.parametrize("form", ["json", "uri"])
@pytest.mark.parametrize(
    ("value", "is_sent"),
    [
        ("False", True),
        ("false", True),
        ("FALSE", True),
        ("True", False),
        ("true", False),
        ("0", None),
        ("no", None),
        ("off", None),
        ("None", None),
        ("f", None),
    ],
)
def test_verify_as_text(
    connect: SetConnection,
    connect_uri: SetUri,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    value: str,
    is_sent: bool | None,
) -> None:
    log = Lines()
    monkeypatch.chdir(tmp_path)  # "False" is no file in there
    with FaultServer([http(200, DETACHED)], tls=tls_context(trustme.CA())) as server:
        if form == "json":
            connect(host=server.url, extra={"verify": value})
        else:
            connect_uri(in_uri(server.url, query=f"verify={value}"))
        if is_sent:
            assert detach(log=log) == DETACHED
        elif is_sent is None:
            text = refused()
            assert "Extra key verify must be true, false, or the path of a CA bundle" in text
        else:
            with pytest.raises(AitronosNetworkError, match="certificate"):
                detach(log=log)
    assert (len(server.requests) == 1) is bool(is_sent)
    assert (server.connections == 0) is (is_sent is None)
    assert any("verify=false" in text for text in log.of("warning")) is bool(is_sent)


@pytest.mark.parametrize("value", [0, 1, 1.0, [], {}, ["/ca.pem"], " "], ids=repr)
def test_verify_that_is_neither_a_flag_nor_a_path(connect: SetConnection, value: Any) -> None:
    with untouched() as server:
        connect(host=server.url, extra={"verify": value})
        assert "Extra key verify must be true, false, or the path of a CA bundle" in refused()


@unverified
@pytest.mark.parametrize("value", [False, "False"], ids=repr)
def test_environment_does_not_turn_verify_on_or_off(
    connect: SetConnection, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with FaultServer([http(200, DETACHED)], tls=tls_context(trustme.CA())) as server:
        connect(host=server.url, extra={"verify": value})
        assert detach() == DETACHED
    assert_one_detach(server)


def _missing(folder: Path) -> Path:
    return folder / "missing.pem"


def _not_pem(folder: Path) -> Path:
    path = folder / "not.pem"
    path.write_text("this is no certificate")
    return path


def _empty(folder: Path) -> Path:
    path = folder / "empty.pem"
    path.touch()
    return path


def _long(folder: Path) -> Path:
    return folder / ("a-long-name-" * 8) / "ca-bundle.pem"


UNUSABLE_BUNDLES = pytest.mark.parametrize("make", [_missing, _not_pem, _empty, _long])


@case("C22")
@pytest.mark.parametrize("source", ["extra", "uri", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@UNUSABLE_BUNDLES
def test_unusable_ca_bundle(
    connect: SetConnection,
    connect_uri: SetUri,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    source: str,
    make: Callable[[Path], Path],
) -> None:
    path = str(make(tmp_path))
    with FaultServer(tls=tls_context(trustme.CA())) as server:
        if source == "extra":
            connect(host=server.url, extra={"verify": path})
        elif source == "uri":
            connect_uri(in_uri(server.url, query=f"verify={quote(path, safe='')}"))
        else:
            connect(host=server.url)
            monkeypatch.setenv(source, path)
        text = refused()
    assert server.connections == 0
    assert path in text
    assert ("verify" if source in ("extra", "uri") else source) in text


@pytest.mark.parametrize("source", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_path_out_of_the_environment_is_cut(
    connect: SetConnection, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv(source, "/x" * 300)
    with FaultServer(tls=tls_context(trustme.CA())) as server:
        connect(host=server.url)
        text = refused()
    assert server.connections == 0
    assert f"variable {source} names the CA bundle '{('/x' * 100)[:199]}…', which cannot be used" in text


@pytest.mark.parametrize("source", ["extra", "REQUESTS_CA_BUNDLE"])
def test_usable_ca_bundle(
    connect: SetConnection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    ca, path = trustme.CA(), tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    with FaultServer([http(200, DETACHED)], tls=tls_context(ca)) as server:
        if source == "extra":
            # The connection wins over the environment.
            connect(host=server.url, extra={"verify": str(path)})
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
        else:
            connect(host=server.url)
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
        assert detach() == DETACHED
    assert_one_detach(server)


@case("C23")
@pytest.mark.parametrize("form", ["json", "uri"])
@pytest.mark.parametrize(
    "name", ["time_out", "timeout", "Verify", "max_attempt", "api_key", " verify", "read-timeout"]
)
def test_unknown_extra_key(connect: SetConnection, connect_uri: SetUri, form: str, name: str) -> None:
    with untouched() as server:
        if form == "json":
            connect(host=server.url, extra={name: "hunter2", "total_timeout": 60})
        else:
            connect_uri(in_uri(server.url, query=f"{quote(name)}=hunter2&total_timeout=60"))
        text = refused("hunter2")
    assert f"Extra has unknown keys: '{name}'" in text
    for known in OPTIONS:
        assert known in text


def press_test(*secrets: str, clock: FakeClock | None = None) -> tuple[bool, str]:
    """Return what the Test button shows, and check that it tells nothing it should not."""
    hook = AitronosHook()
    log = Lines()
    hook._log = cast("Any", log)
    if clock is not None:
        hook.clock = clock  # type: ignore[misc]  # for this hook only
    good, message = hook.test_connection()
    assert message.isprintable()
    assert len(message) < 300
    for secret in (KEY, *secrets):
        assert secret not in message
    assert KEY not in repr(log.lines)
    return good, message


SPY = "internal-page"
"""Stands in every body: what whoever may press Test must not be able to read from any host."""

REPLIES: dict[str, tuple[bytes, bool, str]] = {
    "good": (http(200, {"is_valid": True, "error": None}), True, "accepted"),
    "good_with_error_text": (http(200, {"is_valid": True, "error": SPY}), True, "accepted"),
    "is_valid_false": (http(200, {"is_valid": False, "error": SPY}), False, "not valid"),
    "is_valid_as_text": (http(200, {"is_valid": "true", "error": None}), False, "makes no sense"),
    "is_valid_as_number": (http(200, {"is_valid": 1}), False, "makes no sense"),
    "another_object": (http(200, {"status": SPY}), False, "makes no sense"),
    "html": (http(200, f"<html>{SPY}</html>"), False, "Check Host"),
    "list": (http(200, [SPY]), False, "Check Host"),
    "empty": (http(200), False, "Check Host"),
    "redirect": (http(302, SPY, [("Location", f"http://{SPY}.example/")]), False, "redirects"),
    "401": (http(401, {"success": False, "error": {"code": SPY, "message": SPY}}), False, "Password"),
    "403": (http(403, SPY), False, "Password"),
    "404": (http(404, {"detail": SPY}), False, "Check Host"),
    "407": (
        http(407, SPY, [("Proxy-Authenticate", f"Basic realm={SPY}")]),
        False,
        "asks for credentials",
    ),
    "429": (http(429, SPY, [("Retry-After", "2")]), False, "too many"),
    "500": (http(500, SPY), False, "server"),
    "503": (http(503, SPY, reason=SPY), False, "server"),
    "204": (http(204), False, "Check Host"),
    "not_http": (f"{SPY}\r\n\r\n".encode(), False, "Check Host"),
}


@case("C24")
@pytest.mark.parametrize(("reply", "is_good", "says"), REPLIES.values(), ids=REPLIES)
def test_test_connection(
    connect: SetConnection, clock: FakeClock, reply: bytes, is_good: bool, says: str
) -> None:
    reply = reply.replace(b"\r\n", f"\r\nx-request-id: {SPY}\r\n".encode(), 1)
    with FaultServer([[reply, lambda connection: connection.sock.close()]]) as server:
        connect(host=server.url, extra={"max_attempts": 4})
        good, message = press_test(SPY, clock=clock)
    assert good is is_good
    assert says in message
    # One question that changes nothing, whatever came back.
    assert [(request.method, request.path) for request in server.requests] == [("GET", "/v1/auth/validate")]
    assert server.requests[0].values("X-API-Key") == [KEY]
    assert clock.sleeps == []


@pytest.mark.parametrize(("key", "is_good"), [("api_key", True), ("read_only_key", True), ("wrong", False)])
def test_test_connection_against_the_sandbox(connect: SetConnection, key: str, is_good: bool) -> None:
    with SandboxServer(api_key="sandbox-key-1", read_only_key="sandbox-key-2") as sandbox:
        connect(host=sandbox.url, password=getattr(sandbox, key, "sk-unknown-key"))
        good, message = press_test("sandbox-key", "sk-unknown-key")
    assert good is is_good
    assert sandbox.url in message
    assert [(request.method, request.path, request.key) for request in sandbox.requests] == [
        ("GET", "/v1/auth/validate", key)
    ]


def test_test_connection_without_network(connect: SetConnection, clock: FakeClock) -> None:
    connect(host=f"http://127.0.0.1:{closed_port()}")
    good, message = press_test(clock=clock)
    assert not good
    assert "no answer" in message
    assert clock.sleeps == []


def test_test_connection_does_not_wait_for_long(
    connect: SetConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hook_module.TEST_TIMEOUT <= 10  # the button waits within a web request
    monkeypatch.setattr(hook_module, "TEST_TIMEOUT", 0.2)
    with FaultServer([Hang()]) as server:
        connect(host=server.url, extra={"total_timeout": 3600, "read_timeout": 3600})
        good, message = press_test()
    assert not good
    assert "no answer" in message
    assert len(server.requests) == 1


def test_test_connection_names_an_unusable_ca_bundle(
    connect: SetConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with FaultServer(tls=tls_context(trustme.CA())) as server:
        connect(host=server.url)
        good, message = press_test()
    assert not good
    assert "/nowhere/ca.pem" in message
    assert "REQUESTS_CA_BUNDLE" in message
    assert server.connections == 0


def test_test_connection_names_a_proxy_that_wants_credentials(
    connect: SetConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(host="gw.example")
    with proxy(monkeypatch, [http(407, SPY)]):
        good, message = press_test(SPY)
    assert not good
    assert "proxy" in message
    assert "credentials" in message
