"""What a fault of the network means: whether the request may have arrived, and whether to try again."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace

import requests
from urllib3.exceptions import InvalidHeader, LocationValueError, ProtocolError

from airflow_aitronos.client.exchange import Exchange, ReplyTooLargeError
from airflow_aitronos.client.mask import Mask
from airflow_aitronos.client.reply import Failure, refuses
from airflow_aitronos.client.safe_text import safe_text
from airflow_aitronos.client.settings import Settings
from airflow_aitronos.exceptions import (
    AitronosCancelledError,
    AitronosConfigurationError,
    AitronosNetworkError,
    AitronosResponseError,
)

_REASON_LIMIT = 120
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
_PROXY_AUTHENTICATION = re.compile(r"Tunnel connection failed: 407\b")
_UNUSABLE = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    LocationValueError,
)


def network_failure(error: Exception, settings: Settings, exchange: Exchange, *, mask: Mask) -> Failure:
    """
    Return what an exception that came instead of a reply means.

    :param error: the exception; nothing of it is kept but a short reason.
    :param settings: of the connection.
    :param exchange: the request, and how far it came.
    :param mask: replaces the key, and the password of a proxy.
    """
    reason = _reason(error, mask)
    if unusable := _unusable(error, reason):
        return unusable
    if exchange.is_sent:
        failure = _no_good_reply(error, reason, settings)
        if refuses(exchange.status):
            failure = replace(failure, maybe_done=False)
    elif exchange.is_at_proxy or isinstance(error, requests.exceptions.ProxyError):
        failure = _proxy_failure(error, reason, settings)
    else:
        failure = _tls_failure(error, settings.base_url.origin) or _no_connection(error, reason, settings)
    if exchange.deadline.remaining() <= 0 and failure.transient:
        return Failure(
            AitronosNetworkError,
            f"total_timeout of {settings.total_timeout:g} s was used up ({failure.what})",
            "If the server needs longer, raise total_timeout.",
            maybe_done=failure.maybe_done,
        )
    return failure


def is_too_large(error: Exception) -> bool:
    """
    Return whether a reply was given up for its length.

    :param error: what came instead of its end.
    """
    return _find(error, ReplyTooLargeError) is not None


def not_sent(settings: Settings, *, is_cancelled: bool) -> Failure:
    """
    Return the failure of a request that was held back at the last moment.

    :param settings: of the connection.
    :param is_cancelled: whether that was because the task was told to stop, and not for want of time.
    """
    if is_cancelled:
        return told_to_stop("nothing more was sent")
    return Failure(
        AitronosNetworkError,
        f"total_timeout of {settings.total_timeout:g} s was used up before the request could be sent",
        "If connecting takes that long, raise total_timeout.",
    )


def told_to_stop(what: str) -> Failure:
    """
    Return the end of a call whose task was told to stop.

    :param what: how far the call had come.
    """
    return Failure(AitronosCancelledError, what, "Whoever stopped the task knows why.")


def too_large(what: str, status: int | None = None) -> Failure:
    """
    Return the failure of a reply that is too large to be read.

    :param what: in what way.
    :param status: HTTP status of the reply, if that came.
    """
    return Failure(
        AitronosResponseError,
        f"response too large: {what}",
        "Check that Host of the connection is the API and not some other server.",
        maybe_done=True,
        facts={"status_code": status},
    )


def odd_encoding(status: int) -> Failure:
    """
    Return the failure of a reply that is packed in a way that was not asked for.

    :param status: HTTP status of the reply.
    """
    return Failure(
        AitronosResponseError,
        f"malformed response: HTTP {status} with a Content-Encoding that was not asked for",
        "Check that Host of the connection is the API, and what a gateway on the way does to replies.",
        maybe_done=True,
        facts={"status_code": status},
    )


def undecodable(status: int) -> Failure:
    """
    Return the failure of a reply whose body cannot be unpacked, or ends too early.

    :param status: HTTP status of the reply.
    """
    return _broken("the body of the reply could not be decompressed", maybe_done=not refuses(status))


def proxy_refused(status: int | None = None) -> Failure:
    """
    Return the failure of a request for which a proxy wants credentials.

    :param status: HTTP status of the reply, if there was one.
    """
    return Failure(
        AitronosConfigurationError,
        "the proxy asks for credentials (407)",
        "Put user name and password into the proxy URL in HTTPS_PROXY or HTTP_PROXY, or add the host to "
        "NO_PROXY.",
        facts={"status_code": status},
    )


def _unusable(error: Exception, reason: str) -> Failure | None:
    """Return the failure of a request for which this machine is not set up."""
    if isinstance(error, requests.exceptions.ProxyError) and any(
        _PROXY_AUTHENTICATION.match(str(one)) for one in _chain(error) if type(one) is OSError
    ):
        return proxy_refused()
    if isinstance(error, _UNUSABLE):
        return Failure(
            AitronosConfigurationError,
            f"the address of the server or of a proxy cannot be used ({type(error).__name__})",
            "Check Host of the connection, and HTTPS_PROXY, HTTP_PROXY and ALL_PROXY; a SOCKS proxy needs "
            "the package PySocks.",
        )
    if (
        isinstance(error, OSError)
        and not isinstance(error, requests.RequestException)
        and not is_too_large(error)
    ):
        return Failure(
            AitronosConfigurationError,
            f"the CA bundle could not be read ({reason})",
            "Check verify in Extra, and the environment variable REQUESTS_CA_BUNDLE.",
        )
    return None


def _no_connection(error: Exception, reason: str, settings: Settings) -> Failure:
    """Return the failure of a request that surely was not sent, for want of a connection."""
    host, origin = settings.base_url.host, settings.base_url.origin
    if _find(error, socket.gaierror) or _find(error, UnicodeError):
        what, advice = f"could not resolve the host name {host}", "Check Host of the connection, and DNS."
    elif _find(error, TimeoutError) or isinstance(error, requests.Timeout):
        what = f"no connection to {origin} within connect_timeout of {settings.connect_timeout:g} s"
        advice = "Check Host and Port of the connection, and firewalls on the way."
    else:
        what = f"could not connect to {origin} ({reason})"
        advice = "Check Host and Port of the connection, and whether the server is up."
    return Failure(AitronosNetworkError, what, advice, transient=True)


def _proxy_failure(error: Exception, reason: str, settings: Settings) -> Failure:
    """Return the failure of a request that surely was not sent, for want of a proxy that lets it through."""
    advice = "Check the proxy that HTTPS_PROXY or HTTP_PROXY names, and NO_PROXY."
    if refused := _tls_failure(error, "the proxy"):
        return replace(refused, advice=f"{refused.advice} {advice}")
    what = f"the proxy did not connect to {settings.base_url.host} ({reason})"
    return Failure(AitronosNetworkError, what, advice, transient=not is_too_large(error))


def _tls_failure(error: Exception, whose: str) -> Failure | None:
    """Return the failure of a handshake that will not get better."""
    cause = _find(error, ssl.SSLError)
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = safe_text(getattr(cause, "verify_message", "certificate refused"), limit=_REASON_LIMIT)
        return Failure(
            AitronosNetworkError,
            f"the certificate of {whose} was refused ({reason})",
            "If the server uses a private CA, set verify in Extra to the path of its CA bundle; otherwise "
            "check Host and the server's certificate.",
        )
    if isinstance(cause, ssl.SSLError) and cause.reason in _NO_TLS:
        return Failure(
            AitronosNetworkError,
            f"the server does not speak TLS on this port ({whose})",
            "Check Host and Port of the connection.",
        )
    return None


def _no_good_reply(error: Exception, reason: str, settings: Settings) -> Failure:
    """Return the failure of a request that may have arrived."""
    if is_too_large(error):
        return too_large("it does not end")
    if isinstance(error, requests.exceptions.InvalidHeader) or _find(error, InvalidHeader):
        return Failure(
            AitronosResponseError,
            f"malformed response ({reason})",
            "Check that Host of the connection is the API.",
            maybe_done=True,
        )
    if isinstance(error, requests.Timeout) or _find(error, TimeoutError):
        what = f"no answer within read_timeout of {settings.read_timeout:g} s"
    elif isinstance(error, ProtocolError):
        what = f"the reply broke off ({reason})"
    else:
        what = f"the connection broke ({reason})"
    return _broken(what)


def _broken(what: str, *, maybe_done: bool = True) -> Failure:
    return Failure(
        AitronosNetworkError,
        what,
        "If this repeats, look at the network between here and the server.",
        transient=True,
        maybe_done=maybe_done,
    )


def _reason(error: BaseException, mask: Mask) -> str:
    """Return the root of an exception in a few words; server bytes in it are made safe."""
    chain = list(_chain(error))
    for kind in (http.client.HTTPException, OSError):
        # The innermost says it best: "Connection refused", not "Max retries exceeded".
        found = [
            one for one in chain if isinstance(one, kind) and not isinstance(one, requests.RequestException)
        ]
        if found:
            last = found[-1]
            text = getattr(last, "strerror", None) or str(last) or type(last).__name__
            return safe_text(text, mask=mask, limit=_REASON_LIMIT)
    return safe_text(type(chain[-1]).__name__, limit=_REASON_LIMIT)


def _find(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    return next((one for one in _chain(error) if isinstance(one, kind)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that it wraps: as argument, as reason, as cause."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
