"""Connections that cannot be used, and ones that look as if they could not."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import trustme

from airflow_aitronos._compat import AirflowFailException
from airflow_aitronos.exceptions import AitronosConfigurationError, AitronosError, AitronosNetworkError
from airflow_aitronos.hooks import aitronos as hook_module
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from tests.support import airflow_versions
from tests.support.addresses import closed_port, tls_context
from tests.support.cases import case
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer
from tests.support.faults import Hang
from tests.support.recording_log import RecordingLog
from tests.support.replies import http
from tests.unit import tools
from tests.unit.tools import ASSISTANT, BODY, CONN_ID, KEY, OPTIONS, RESULT, Connect, detach

# urllib3 warns of it too, once for each request.
unverified = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
both_forms = pytest.mark.parametrize("form", ["json", "uri"])
SECONDS = ["connect_timeout", "read_timeout", "total_timeout", "max_backoff", "max_retry_after"]
C9, C12, C13, C17 = case("C9"), case("C12"), case("C13"), case("C17")
C20, C21, C23 = case("C20"), case("C21"), case("C23")
UNCHECKED = airflow_versions.needs_unchecked_extra


def refused(*secrets: str) -> str:
    """Return why the connection cannot be used: permanently, and without a word of the secrets."""
    with pytest.raises(AitronosConfigurationError) as caught:
        detach()
    assert isinstance(caught.value, AirflowFailException)
    assert (caught.value.attempts, caught.value.status_code) == (0, None)
    tools.assert_hides(caught.value, KEY, *secrets)
    text = str(caught.value)
    assert text.isprintable()
    assert "Not retryable. (" in text
    assert text.endswith("no request was sent)")
    return text


@contextmanager
def proxy(monkeypatch: pytest.MonkeyPatch, *replies: bytes) -> Iterator[FaultServer]:
    """Give a proxy on loopback: what it is asked for is what a call wants to reach."""
    with FaultServer(replies) as server:
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, server.url)
        yield server


def rows(mark: pytest.MarkDecorator, says: str, *rows: dict[str, Any], more: Any = ()) -> Iterator[Any]:
    """Yield rows of one case of the fault matrix."""
    return (pytest.param(row, says, marks=[mark, *more], id=ascii(row)[:60]) for row in rows)


HOST = "Host has no usable host name, address or port"
GW, GW_8443 = {"host": "gw.example"}, ("https://gw.example/x", "gw.example:8443")
NO_SECONDS: list[Any] = [[5, 30], 0, -1, True, {}, 1e12, math.nan, math.inf, "-1", "nan", "1_0"]
NO_FLAGS: list[Any] = [0, 1, [], ["/ca.pem"], "0", "no", "None", " "]
NO_ATTEMPTS: list[Any] = [0, 11, 1.5, True, "0", "1.5"]
OTHER_SCHEMES = [
    "ftp://gw.example",
    "file:///x",
    "//gw.example",
    "javascript:alert(1)",
    "https://",
    "https:gw",
]
LEAKING_HOSTS = [
    "http://user:{}@gw.example", "user:{}@gw.example", "https://gw.example?{}", "gw.example#@{}", "gw.example/a {}",
    "gw.example\r\nX-Evil: {}", "gw.example\\@{}", "gw.example/{}/../x", "gw.example/{}%2e%2e", "gw.example/\x00{}",
    "http://[::1]{}:80", "http://h\u00fcnter2.example", "{0}:{0}:{0}", "{}..example", "-{}.example",
]  # fmt: skip
NO_HEADERS = [f"hunter2{one}-b00c" for one in ("\n", "\x00", "\x7f", " ", "€", "ü", "\r\nX-Evil: 1")]
NO_JSON = ['{"verify": "hunter2"', "hunter2", '{"total_timeout": 5} hunter2']
NO_KEYS = ["time_out", "Verify", "api_key", " verify"]


def each(name: str, values: Iterable[Any]) -> list[dict[str, Any]]:
    """Return a connection for each value of a field, or of an Extra key."""
    return [{"extra": {name: one}} if name in OPTIONS else {name: one} for one in values]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        *rows(case("C2"), "Password is empty. The API key goes into Password.", *each("password", (None, "", " \t\r\n"))),
        *rows(case("C4"), "outside printable ASCII", *each("password", NO_HEADERS)),
        *rows(case("C7"), "asterisks, as Airflow shows a masked key", {"password": "***"}, {"password": " * "}),
        *rows(case("C8"), "Login is not used", {"login": "hunter2", "password": None}),
        *rows(C12, HOST, *each("host", ("gw.example:0", "gw.example:", "gw.example:99999", "gw.example:hunter2"))),
        *rows(C12, "Port is not a number from 1 to 65535", {"port": 99999}, {"port": -1}),
        *rows(C12, "Port is 8444 and Host says 8443.", {"host": "gw.example:8443", "port": 8444}),
        *rows(case("C15"), "Host has ", *each("host", OTHER_SCHEMES)),
        *rows(case("C16"), "Host h", *({"host": one.format("hunter2")} for one in LEAKING_HOSTS)),
        *rows(C17, "Schema is neither empty nor 'https' or 'http'.", {"schema": "hunter2"}, {"schema": "ftp"}),
        *rows(C17, "A path prefix goes into Host", {"form": "uri", "host": "gw.example", "schema": "x/v1"}),
        *rows(C17, "Schema says http and Host says https", {"host": "https://gw.example", "schema": "http"}),
        *rows(case("C18"), "Extra is not valid JSON", *each("extra", NO_JSON), more=[UNCHECKED]),
        *rows(case("C19"), "Extra is not a JSON object", *each("extra", ("[1]", '"s"', "5", "true")), more=[UNCHECKED]),
        *rows(C20, "to a number of seconds from 0", *({"extra": {name: "30s"}} for name in SECONDS)),
        *rows(C20, f"Extra key read_timeout of connection '{CONN_ID}' is ", *each("read_timeout", NO_SECONDS)),
        *rows(C20, "to a whole number from 1 to 10", *each("max_attempts", NO_ATTEMPTS)),
        *rows(C21, "true, false or the path of a CA bundle", *each("verify", NO_FLAGS)),
        *rows(C21, "true or false", *each("allow_http", (0, "yes"))),
        *rows(C23, f"Known keys: {', '.join(OPTIONS)}.", *({"extra": {one: "hunter2", "total_timeout": 60}} for one in NO_KEYS)),
        *rows(C23, "unknown keys: 'time_out'", {"form": "uri", "extra": {"time_out": "hunter2"}}),
    ],
)  # fmt: skip
def test_a_connection_that_cannot_be_used(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], says: str
) -> None:
    connect(**fields)
    with proxy(monkeypatch) as server:
        text = refused("hunter2", "nter2.example", "-b00c")
        # The form shows it, so it names no connection, which has a random id there.
        shown = text.partition(" Not retryable.")[0].replace(f" of connection '{CONN_ID}'", "")
        assert AitronosHook().test_connection() == (False, shown)
    assert server.connections == 0
    assert says in text


@case("C1")
@airflow_versions.needs_lookup_outside_tasks
@pytest.mark.parametrize("through", ["hook", "operator"])
def test_an_unknown_connection_is_airflows_to_report(monkeypatch: pytest.MonkeyPatch, through: str) -> None:
    operator = DetachAssistantWorkflowOperator(
        task_id="detach", assistant_id=ASSISTANT, aitronos_conn_id="no"
    )
    with proxy(monkeypatch) as server, pytest.raises(airflow_versions.AirflowNotFoundException) as caught:
        _ = detach("no") if through == "hook" else operator.execute({})
    assert server.connections == 0
    # Retryable: a secrets backend that is down for a minute results in this very exception.
    assert not isinstance(caught.value, AirflowFailException | AitronosError)


@case("C3")
@both_forms
@pytest.mark.parametrize(("before", "after"), [("", "\r\n"), (" \t", "\u3000")], ids=ascii)
def test_a_key_with_space_around_it(connect: Connect, form: str, before: str, after: str) -> None:
    assert KEY in tools.airflow_redacts(f"key {KEY} here")
    with tools.detached_server() as server:
        connect(form=form, host=server.url, password=before + KEY + after)
        assert detach() == RESULT
    tools.assert_one_detach(server)
    assert tools.airflow_redacts(f"key {KEY} here") == "key *** here"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        *rows(case("C5"), "Password is not text", *each("password", [123456789, True, ["sk-abcdef"]])),
        *rows(C12, "Port is not", {"port": True}),
        *rows(C17, "Schema is neither", {"schema": 5}),
        *rows(C9, "Host holds", *each("host", (False, 0, []))),
    ],
)
def test_a_field_of_another_type(monkeypatch: pytest.MonkeyPatch, fields: Any, says: str) -> None:
    # A secrets backend may return any object; through the environment Airflow refuses it by itself.
    connection = tools.connection_fields(**fields)
    monkeypatch.setattr(AitronosHook, "get_connection", lambda self, conn_id: connection)
    assert says in refused("123456789", "sk-abcdef")


@case("C6")
@pytest.mark.parametrize("key", ["k", "assi"])
def test_a_short_key_works_and_is_not_redacted(connect: Connect, key: str) -> None:
    with tools.detached_server() as server:
        connect(host=server.url, password=key)
        assert detach() == RESULT
    assert [request.values("X-API-Key") for request in server.requests] == [[key]]


@pytest.mark.parametrize(
    ("fields", "target"),
    [
        *rows(C9, "api.aitronos.com:443", {"host": None}, {"host": "  "}, {"form": "uri"}),
        *rows(case("C10"), "gw.example:443", *each("host", ("gw.example", "HTTPS://GW.EXAMPLE", " gw.example// ", "gw.example:443"))),
        *rows(C12, "gw.example:443", {**GW, "port": 0}, {**GW, "port": 443}),
        *rows(C12, "gw.example:8443", *({**one, "port": 8443} for one in (*each("host", GW_8443), {"form": "uri", **GW}))),
        *rows(C13, "[2001:db8::7]:8443", {"host": "2001:db8::7", "port": 8443}, {"host": "https://[2001:DB8::7]:8443/x"}),
        *rows(C13, "[2001:db8::7]:8443", {"form": "uri", "host": "[2001:db8::7]", "port": 8443}),
        *rows(C17, "gw.example:443", *({**GW, "schema": one} for one in ("", " HTTPS "))),
        *rows(C17, "gw.example:443", {"form": "uri", **GW, "schema": "https"}),
    ],
)  # fmt: skip
def test_where_a_call_goes(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, fields: Any, target: str
) -> None:
    connect(**fields)
    with proxy(monkeypatch, http(502)) as server, pytest.raises(AitronosNetworkError):
        detach(max_attempts=1)
    (request,) = server.requests
    # The oldest urllib3 and http.client leave the brackets of an IPv6 address out.
    assert (request.method, request.path) in [("CONNECT", target), ("CONNECT", re.sub(r"[\[\]]", "", target))]
    assert KEY.encode() not in server.requests[0].raw


@case("C11")
@both_forms
@pytest.mark.parametrize(
    ("path", "prefix"),
    [("/", ""), ("//x//y//", "/x/y"), ("/x/v1/", "/x"), ("/v1/v1", "/v1"), ("/X_y-~.z", "/X_y-~.z")],
)
def test_a_path_prefix(connect: Connect, form: str, path: str, prefix: str) -> None:
    with tools.detached_server() as server:
        connect(form=form, host=server.url + path)
        assert detach() == RESULT
    tools.assert_one_detach(server, prefix=prefix)


@case("C14")
@pytest.mark.parametrize("fields", [{"host": "http://gw.example"}, {"host": "gw.example", "schema": "http"}])
@pytest.mark.parametrize("allow_http", [None, False, "false", True, "True"], ids=repr)
def test_http_to_another_machine(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, lines: RecordingLog, fields: Any, allow_http: Any
) -> None:
    connect(**fields, extra={"allow_http": allow_http})
    with proxy(monkeypatch, http(200, BODY)) as server:
        if allow_http in (True, "True"):
            assert detach(log=lines) == RESULT
        else:
            assert "Host says http://, which would send the API key unencrypted" in refused()
    assert len(server.requests) == sum("allow_http=true" in line for line in lines.texts("WARNING"))
    assert bool(server.requests) is (allow_http in (True, "True"))


@pytest.mark.parametrize(
    "extra", [None, "", "{}", *(pytest.param(one, marks=UNCHECKED) for one in (" \n", "null"))]
)
def test_a_blank_extra_is_no_extra(connect: Connect, extra: Any) -> None:
    with tools.detached_server() as server:
        connect(host=server.url, extra=extra)
        assert detach() == RESULT


@unverified
@C21
@both_forms
@pytest.mark.parametrize(("value", "is_sent"), [("False", True), ("FALSE", True), ("true", False)])
def test_verify_as_text(
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    lines: RecordingLog,
    form: str,
    value: str,
    is_sent: bool,
) -> None:
    if is_sent:  # the environment does not turn it on again
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with FaultServer([http(200, BODY)], tls=tls_context(trustme.CA())) as server:
        connect(form=form, host=server.url, extra={"verify": value})
        if is_sent:
            assert detach(log=lines) == RESULT
        else:
            with pytest.raises(AitronosNetworkError, match="certificate"):
                detach(log=lines)
    assert (len(server.requests) == 1) is is_sent
    assert any("verify=false" in text for text in lines.texts("WARNING")) is is_sent


@case("C22")
@pytest.mark.parametrize("source", ["json", "uri", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("content", [None, "hunter2", ""], ids=["missing", "text", "empty"])
def test_a_ca_bundle_that_cannot_be_used(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, content: str | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with FaultServer(tls=tls_context(trustme.CA())) as server:
        connect(host=server.url)
        if source.isupper():
            monkeypatch.setenv(source, str(path))
        else:
            connect(form=source, host=server.url, extra={"verify": str(path)})
        text = refused("hunter2")
    assert server.connections == 0
    assert str(path) in text
    assert (source if source.isupper() else "verify") in text


@pytest.mark.parametrize("source", ["extra", "REQUESTS_CA_BUNDLE"])
def test_a_ca_bundle(connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str) -> None:
    ca, path = trustme.CA(), str(tmp_path / "ca.pem")
    ca.cert_pem.write_to_path(path)
    # The connection wins over the environment.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem" if source == "extra" else path)
    with FaultServer([http(200, BODY)], tls=tls_context(ca)) as server:
        connect(host=server.url, extra={"verify": path} if source == "extra" else None)
        assert detach() == RESULT


SPY = "internal-page"
"""Stands in every body: what whoever may press Test must not be able to read from any host."""


def press_test(clock: FakeClock) -> tuple[bool, str]:
    """Return what the Test button shows, and check that it tells nothing it should not."""
    log, hook = RecordingLog(), AitronosHook()
    with patch.object(AitronosHook, "log", log), patch.object(AitronosHook, "clock", clock):
        good, message = hook.test_connection()
    assert message.isprintable()
    assert KEY not in message + repr(log.lines)
    assert SPY not in message
    assert clock.sleeps == []
    return good, message


@case("C24")
@pytest.mark.parametrize(
    ("reply", "is_good", "says"),
    [
        (http(200, {"is_valid": True, "error": SPY}), True, "accepted"),
        (http(200, {"is_valid": False, "error": SPY}), False, "not valid"),
        (http(200, {"is_valid": "true", "error": SPY}), False, "Check"),
        (http(200, f"<html>{SPY}</html>"), False, "Check"),
        (http(302, SPY, [("Location", f"http://{SPY}.example/")]), False, "302"),
        (http(401, {"success": False, "error": {"code": SPY, "message": SPY}}), False, "Password"),
        (http(404, {"detail": SPY}), False, "404"),
        (http(407, SPY, [("Proxy-Authenticate", f"Basic realm={SPY}")]), False, "407"),
        (http(503, SPY, reason=SPY), False, "503"),
        (f"{SPY}\r\n\r\n".encode(), False, "broke"),
    ],
    ids=lambda value: value[9:12].decode() if isinstance(value, bytes) else "",
)
def test_test_connection(connect: Connect, clock: FakeClock, reply: bytes, is_good: bool, says: str) -> None:
    reply = reply.replace(b"\r\n", f"\r\nx-request-id: {SPY}\r\n".encode(), 1)
    with FaultServer([[reply, lambda connection: connection.sock.close()]]) as server:
        connect(host=server.url, extra={"max_attempts": 4})
        good, message = press_test(clock)
    assert (good, says in message) == (is_good, True)
    # One request that changes nothing, whatever came back.
    assert [(one.method, one.path) for one in server.requests] == [("GET", "/v1/auth/validate")]


def test_test_connection_without_network(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    connect(host=f"http://127.0.0.1:{closed_port()}")
    assert "Could not connect" in press_test(clock)[1]
    assert hook_module.TEST_TIMEOUT <= 10, "the button waits within a web request"
    monkeypatch.setattr(hook_module, "TEST_TIMEOUT", 0.2)
    with FaultServer([Hang()]) as server:
        connect(host=server.url, extra={"total_timeout": 3600})
        assert "within read_timeout" in press_test(clock)[1]
    connect(host="gw.example")
    with proxy(monkeypatch, http(407, SPY)):
        assert "The proxy asks for credentials" in press_test(clock)[1]


OTHERS = [(1, 2), (10, 20), (100, 200), (1, 10), (5, 0), (30, 0), (True, False), (True, False)]
"""For every option a value for Extra, and another one for the argument, falsy where that is legal."""


@pytest.mark.parametrize(
    ("name", "in_extra", "argument"), [(name, *both) for name, both in zip(OPTIONS, OTHERS, strict=True)]
)
def test_argument_over_extra_over_default(connect: Connect, name: str, in_extra: Any, argument: Any) -> None:
    for nothing in (None, ""):  # empty, as the fields of a form are saved
        connect(extra={name: nothing})
        assert getattr(AitronosHook().settings, name) == OPTIONS[name]
    for form in ("json", "uri"):  # a text is fine in Extra
        connect(form=form, host="gw.example", extra={name: str(in_extra)})
        assert getattr(AitronosHook().settings, name) == in_extra
    assert getattr(AitronosHook(**{name: argument}).settings, name) == argument
    assert KEY not in repr(AitronosHook().settings)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("value", ["4", "true", 86_401, -1], ids=repr)
def test_an_argument_is_no_text_and_named_as_argument(connect: Connect, name: str, value: Any) -> None:
    connect()
    with pytest.raises(AitronosConfigurationError, match=f"^Argument {name} is .* Not retryable"):
        detach(**{name: value})


@pytest.mark.parametrize("allowed", ["", "{}0", "{}/prefix", "127.0.0.1", "http://127.0.0.1:1 {}"])
def test_only_an_origin_that_is_listed_is_called(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, allowed: str
) -> None:
    is_listed = " {}" in allowed
    with tools.detached_server() as server:
        connect(host=server.url + "/prefix")
        monkeypatch.setenv("AITRONOS_ALLOWED_ORIGINS", allowed.format(server.url))
        if is_listed:
            assert detach() == RESULT
        else:
            assert f"{server.url} is not among the origins in AITRONOS_ALLOWED_ORIGINS" in refused()
    assert server.connections == is_listed
