"""What exceptions mean that came instead of a reply, however libraries wrap them."""

from __future__ import annotations

import http.client
import socket
import ssl

import pytest
import requests
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError, ReadTimeoutError

from airflow_aitronos.client.clock import Deadline
from airflow_aitronos.client.exchange import Exchange
from airflow_aitronos.client.mask import Mask
from airflow_aitronos.client.network_faults import network_failure
from airflow_aitronos.client.reply import Failure
from tests.support.fake_clock import FakeClock
from tests.unit.tools import KEY, make_settings

POOL = HTTPConnectionPool("api.example")


def caused_by(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def refused_certificate(message: str | None) -> requests.exceptions.SSLError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    if message is not None:
        error.verify_message = message
    return requests.exceptions.SSLError(error)


def judged(error: BaseException, *, is_sent: bool) -> Failure:
    assert isinstance(error, Exception)
    settings = make_settings()
    exchange = Exchange(
        Deadline(settings.total_timeout, FakeClock()), lambda: False, bytes_allowed=9, read_timeout=30
    )
    exchange.is_sent = is_sent
    return network_failure(error, settings, exchange, mask=Mask(KEY))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (requests.ConnectTimeout(), "within connect_timeout of 5 s"),
        (requests.ConnectionError(TimeoutError()), "within connect_timeout of 5 s"),
        (requests.ConnectionError(caused_by(OSError(), TimeoutError())), "within connect_timeout of 5 s"),
        (requests.ConnectionError(socket.gaierror()), "could not resolve the host name"),
        (
            requests.ConnectionError(caused_by(OSError(), UnicodeError("odd"))),
            "could not resolve the host name",
        ),
        (requests.ConnectionError(ConnectionRefusedError(111, "Connection refused")), "(Connection refused)"),
        (
            requests.ConnectionError(NewConnectionError(HTTPConnection("api.example"), "x")),
            "could not connect",
        ),
        (requests.ConnectionError(MaxRetryError(POOL, "/", OSError(5, KEY))), "(***)"),
        (requests.ConnectionError(OSError(5, "x" * 200)), f"({'x' * 119}…)"),
        (requests.ConnectionError(), "(ConnectionError)"),
        (refused_certificate("self-signed certificate"), "was refused (self-signed certificate)"),
        (refused_certificate(None), "was refused (certificate refused)"),
        (refused_certificate("y" * 200), f"was refused ({'y' * 119}…)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_kept_a_request_from_being_sent(error: BaseException, says: str) -> None:
    failure = judged(error, is_sent=False)
    assert says in failure.what
    assert not failure.maybe_done


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (requests.ReadTimeout(), "no answer within read_timeout of 30 s"),
        (ReadTimeoutError(POOL, "/", "x"), "the connection broke"),
        (
            caused_by(ReadTimeoutError(POOL, "/", "x"), TimeoutError()),
            "no answer within read_timeout of 30 s",
        ),
        (ProtocolError("x", http.client.IncompleteRead(b"")), "the reply broke off (IncompleteRead"),
        (requests.ConnectionError(ProtocolError("x", ConnectionResetError(104, "reset"))), "broke (reset)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_request_got_instead_of_a_reply(error: BaseException, says: str) -> None:
    failure = judged(error, is_sent=True)
    assert says in failure.what
    assert (failure.transient, failure.maybe_done) == (True, True)
