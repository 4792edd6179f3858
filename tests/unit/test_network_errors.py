"""What exceptions mean that came instead of a response: whether the request can have arrived, above all."""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import suppress
from typing import Any

import pytest
import requests
from urllib3 import exceptions as below
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from airflow_aitronos.client.network_errors import network_error
from airflow_aitronos.exceptions import (
    AitronosConfigurationError,
    AitronosError,
    AitronosNetworkError,
    AitronosResponseError,
)
from tests.support.addresses import closed_port
from tests.support.fault_server import FaultServer
from tests.support.faults import Reset
from tests.unit.tools import KEY, Connect, assert_hides, detach, make_settings

POOL, CONNECTION = HTTPConnectionPool("api.example"), HTTPConnection("api.example")
RESET = ConnectionResetError(104, "Connection reset by peer")


def wrapped(error: Exception) -> requests.ConnectionError:
    """Return an exception as requests wraps it."""
    return requests.ConnectionError(below.MaxRetryError(POOL, "/", error))


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def certificate_error() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


def no_tls(function: str) -> ssl.SSLError:
    """Return "wrong version number", raised in a function of this name."""
    error = ssl.SSLError(1, "wrong version number")
    error.reason = "WRONG_VERSION_NUMBER"
    scope: dict[str, Any] = {"error": error}
    exec(f"def {function}():\n    raise error", scope)
    with suppress(ssl.SSLError):
        scope[function]()
    return error


def judged(error: Exception, *, is_late: bool = False) -> AitronosError:
    return network_error(error, make_settings(), is_late=is_late)


TUNNEL = "Tunnel connection failed: 502 Bad Gateway"


@pytest.mark.parametrize(
    ("error", "says", "is_retried"),
    [
        (wrapped(below.NewConnectionError(CONNECTION, "x")), "Could not connect to https://api.aitronos.com", True),
        (wrapped(below.NameResolutionError("h", CONNECTION, socket.gaierror())), "Could not resolve", True),
        (wrapped(below.ConnectTimeoutError()), "within connect_timeout of 5 s", True),
        (caused_by(OSError(), below.NewConnectionError(CONNECTION, "x")), "Could not connect", True),
        (wrapped(below.ProxyError("x", below.NewConnectionError(CONNECTION, "x"))), "Could not connect to the proxy", True),
        (wrapped(below.ProxyError("x", OSError(TUNNEL))), "The proxy did not connect to https://api.aitronos.com (HTTP 502)", True),
        (requests.exceptions.SSLError(certificate_error()), "was refused (self-signed certificate)", False),
        (wrapped(below.SSLError(no_tls("do_handshake"))), "does not speak TLS on this port", False),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
def test_what_never_arrived(error: Exception, says: str, is_retried: bool) -> None:
    made = judged(error)
    assert isinstance(made, AitronosNetworkError)
    assert says in made.cause
    assert (made.maybe_done, made.may_pass_now) == (False, is_retried)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (wrapped(below.ProtocolError("x", RESET)), "(Connection reset by peer)"),
        (wrapped(below.ProtocolError("x", http.client.RemoteDisconnected("x"))), "The connection broke"),
        (wrapped(below.ProxyError("x", http.client.RemoteDisconnected("x"))), "The connection through the proxy broke"),
        (requests.exceptions.SSLError(ssl.SSLError(1, "bad record mac")), "The connection broke"),
        (wrapped(below.SSLError(no_tls("read"))), "The connection broke"),
        (requests.ReadTimeout(), "No response within read_timeout of 30 s"),
        (below.ReadTimeoutError(POOL, "/", "x"), "No response within read_timeout of 30 s"),
        (below.ProtocolError("x", http.client.IncompleteRead(b"")), "(IncompleteRead)"),
        # What a server has sent is no word of the proxy's.
        (wrapped(below.ProtocolError("x", http.client.BadStatusLine(TUNNEL))), "(BadStatusLine)"),
        (requests.ConnectionError(TUNNEL), "(ConnectionError)"),
        (wrapped(ConnectionResetError(TUNNEL)), "(ConnectionResetError)"),
        (requests.ConnectionError(ConnectionRefusedError(111, "Connection refused")), "(Connection refused)"),
        (requests.ConnectionError(socket.gaierror(-2, "x")), "The connection broke"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
def test_what_may_have_arrived(error: Exception, says: str) -> None:
    made = judged(error)
    assert isinstance(made, AitronosNetworkError)
    assert says in made.cause
    assert (made.maybe_done, made.may_pass_now) == (True, True)


@pytest.mark.parametrize(
    ("error", "kind", "maybe_done"),
    [
        (requests.exceptions.InvalidHeader("x"), AitronosResponseError, True),
        (requests.ConnectionError(below.InvalidHeader("x")), AitronosResponseError, True),
        (below.DecodeError("x"), AitronosResponseError, True),
        (requests.exceptions.InvalidSchema(), AitronosConfigurationError, False),
        (below.LocationValueError("x"), AitronosConfigurationError, False),
        (
            wrapped(below.ProxyError("x", OSError("Tunnel connection failed: 407 No"))),
            AitronosConfigurationError,
            False,
        ),
    ],
    ids=repr,
)
def test_what_comes_again(error: Exception, kind: type[AitronosError], maybe_done: bool) -> None:
    made = judged(error)
    assert type(made) is kind
    assert (made.maybe_done, made.may_pass_now) == (maybe_done, False)


def test_an_exception_of_the_callers_does_not_count() -> None:
    error = wrapped(below.ProtocolError("x", RESET))
    error.__context__ = below.NewConnectionError(CONNECTION, "of an earlier call")
    assert judged(error).maybe_done


def test_a_call_in_an_except_block_is_judged_by_itself(connect: Connect) -> None:
    def call_after_another_failed() -> None:
        try:
            requests.get(f"http://127.0.0.1:{closed_port()}", timeout=5)
        except requests.ConnectionError:
            detach(max_attempts=1)

    with FaultServer([Reset()]) as server:
        connect(host=server.url)
        with pytest.raises(AitronosNetworkError, match="The connection broke") as caught:
            call_after_another_failed()
    assert caught.value.maybe_done


@pytest.mark.parametrize("error", [wrapped(below.ConnectTimeoutError()), requests.ReadTimeout()], ids=repr)
def test_the_deadline_says_more_than_what_broke(error: Exception) -> None:
    made, late = judged(error), judged(error, is_late=True)
    assert late.cause == f"total_timeout of 120 s was used up: {made.cause}"
    assert (late.maybe_done, late.may_pass_now) == (made.maybe_done, False)


def test_nothing_of_the_exception_is_kept() -> None:
    error = wrapped(OSError(5, "x" * 200 + KEY))
    error.request = requests.Request("DELETE", "https://x", headers={"X-API-Key": KEY}).prepare()
    made = judged(error)
    assert_hides(made, KEY)
    assert f"({'x' * 119}…)" in made.cause
    assert (made.__cause__, made.__context__) == (None, None)
