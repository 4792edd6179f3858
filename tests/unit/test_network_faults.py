"""What exceptions mean that came instead of a reply, however libraries wrap them."""

from __future__ import annotations

import http.client
import socket
import ssl

import pytest
import requests
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import (
    InvalidHeader,
    LocationValueError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

from airflow_aitronos.client.clock import Deadline
from airflow_aitronos.client.exchange import Exchange, ReplyTooLargeError
from airflow_aitronos.client.mask import Mask
from airflow_aitronos.client.network_faults import network_failure
from airflow_aitronos.client.reply import Failure
from airflow_aitronos.exceptions import AitronosConfigurationError, AitronosResponseError
from tests.support.fake_clock import FakeClock
from tests.unit.tools import KEY, make_settings

POOL, CONNECTION = HTTPConnectionPool("api.example"), HTTPConnection("api.example")


def caused_by(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def refused_certificate(message: str | None) -> requests.exceptions.SSLError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    if message is not None:
        error.verify_message = message
    return requests.exceptions.SSLError(error)


def judged(error: BaseException, *, is_sent: bool, left: float = 120) -> Failure:
    assert isinstance(error, Exception)
    settings, clock = make_settings(), FakeClock()
    deadline = Deadline(settings.total_timeout, clock)
    clock.advance(settings.total_timeout - left)
    exchange = Exchange(deadline, lambda: False, bytes_allowed=9, read_timeout=30)
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


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (requests.exceptions.InvalidHeader("x"), "malformed response"),
        (requests.ConnectionError(InvalidHeader("two lengths")), "malformed response"),
        (requests.ConnectionError(ProtocolError("x", ReplyTooLargeError())), "too large: it does not end"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_replies_that_will_come_again(error: BaseException, says: str) -> None:
    failure = judged(error, is_sent=True)
    assert failure.error is AitronosResponseError
    assert says in failure.what
    assert "Check that Host of the connection is the API" in failure.advice
    assert (failure.transient, failure.maybe_done) == (False, True)


@pytest.mark.parametrize(
    ("error", "says", "advises"),
    [
        (requests.exceptions.InvalidURL(), "cannot be used (InvalidURL)", "a SOCKS proxy needs"),
        (requests.exceptions.InvalidSchema(), "cannot be used (InvalidSchema)", "a SOCKS proxy needs"),
        (LocationValueError("no host"), "cannot be used (LocationValueError)", "a SOCKS proxy needs"),
        (OSError(2, "No such file"), "CA bundle could not be read (No such file)", "verify in Extra"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_this_machine_is_not_set_up_for(error: BaseException, says: str, advises: str) -> None:
    failure = judged(error, is_sent=False)
    assert failure.error is AitronosConfigurationError
    assert says in failure.what
    assert advises in failure.advice
    assert not failure.transient


def test_a_refused_certificate_names_whose_it_is() -> None:
    assert "certificate of http://127.0.0.1:9 was" in judged(refused_certificate("x"), is_sent=False).what


@pytest.mark.parametrize("is_sent", [True, False])
@pytest.mark.parametrize(("left", "is_used_up"), [(-1, True), (0, True), (0.5, False)])
def test_the_deadline_says_more_than_what_broke(left: float, is_used_up: bool, is_sent: bool) -> None:
    failure = judged(requests.ConnectionError(OSError(5, "x")), is_sent=is_sent, left=left)
    assert (failure.what.startswith("total_timeout of 120 s was used up (")) == is_used_up
    assert ("raise total_timeout" in failure.advice) == is_used_up
    assert (failure.transient, failure.maybe_done) == (not is_used_up, is_sent)
