"""What requests and urllib3 raise -> the AitronosError, which says whether the request can have arrived."""

from __future__ import annotations

import re
import socket
import ssl
import traceback
from collections.abc import Iterator

import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    InvalidHeader,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
)

from airflow_aitronos.client.sanitize import safe_text
from airflow_aitronos.client.settings import Settings, proxy_wants_credentials
from airflow_aitronos.exceptions import (
    AitronosConfigurationError,
    AitronosError,
    AitronosNetworkError,
    AitronosResponseError,
)

_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: ([0-9]{3})")
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"})
_UNUSABLE_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    LocationValueError,
)
_CHECK_PROXY = "Check the proxy that HTTPS_PROXY or HTTP_PROXY names, and NO_PROXY."
_CHECK_NETWORK = "If this repeats, check the network between here and the server."


def network_error(error: Exception, settings: Settings, *, is_late: bool) -> AitronosError:
    """
    Return what an exception that came instead of a response stands for.

    :param error: the exception; nothing of it is kept but a short reason.
    :param settings: of the hook.
    :param is_late: whether ``total_timeout`` is used up.
    """
    chain = list(_chain(error))
    made = _before_request(chain, settings) or _after_request(chain, settings)
    for one in chain:
        # The frames hold the request, key included, and keep its socket open until they are collected.
        traceback.clear_frames(one.__traceback__)
    if is_late and made.may_pass_now:
        return AitronosNetworkError(
            f"total_timeout of {settings.total_timeout:g} s was used up: {made.cause}",
            fix="If the server needs longer, raise total_timeout.",
            maybe_done=made.maybe_done,
        )
    return made


def _before_request(chain: list[BaseException], settings: Settings) -> AitronosError | None:
    """Return the error of a request that surely never arrived; None if it may have arrived."""
    proxied, origin = _find(chain, ProxyError) is not None, settings.base_url.origin
    # Of http.client's own OSError only: the text of any other may hold what a server has sent.
    refusals = (_TUNNEL_REFUSED.match(str(one)) for one in chain if type(one) is OSError)
    tunnel = next(filter(None, refusals), None)
    if tunnel is not None and tunnel[1] == "407":
        return proxy_wants_credentials()
    if tunnel is not None:
        return _not_arrived(f"The proxy did not connect to {origin} (HTTP {tunnel[1]}).", _CHECK_PROXY)
    if certificate := _find(chain, ssl.SSLCertVerificationError):
        reason = safe_text(getattr(certificate, "verify_message", "") or "not verified", limit=120)
        fix = "For a private CA, set verify in Extra to the path of its CA bundle; else check Host."
        who = "the proxy" if proxied else origin
        return _not_arrived(f"The certificate of {who} was refused ({reason}).", fix, may_pass_now=False)
    for one in chain:
        if (
            isinstance(one, ssl.SSLError)
            and getattr(one, "reason", None) in _NO_TLS
            and _is_in_handshake(one)
        ):
            who = "The proxy" if proxied else "The server"
            return _not_arrived(
                f"{who} does not speak TLS on this port ({origin}).",
                "For plain HTTP, as the sandbox speaks, write http:// in Host; else check Host and Port.",
                may_pass_now=False,
            )
    if _find(chain, *_UNUSABLE_ADDRESS):
        return AitronosConfigurationError(
            f"The address of the server or of a proxy cannot be used ({type(chain[0]).__name__}).",
            fix="Check Host, HTTPS_PROXY, HTTP_PROXY and ALL_PROXY; a SOCKS proxy needs the package PySocks.",
        )
    if not _find(chain, ConnectTimeoutError, NewConnectionError, requests.ConnectTimeout):
        return None
    if proxied:
        return _not_arrived(f"Could not connect to the proxy ({_reason(chain)}).", _CHECK_PROXY)
    fix = "Check Host and Port of the connection, and whether the server is up."
    if _find(chain, NameResolutionError, socket.gaierror):
        return _not_arrived(
            f"Could not resolve the host name {settings.base_url.host}.", "Check Host, and DNS."
        )
    if not _find(chain, NewConnectionError):
        return _not_arrived(
            f"No connection to {origin} within connect_timeout of {settings.connect_timeout:g} s.", fix
        )
    return _not_arrived(f"Could not connect to {origin} ({_reason(chain)}).", fix)


def _after_request(chain: list[BaseException], settings: Settings) -> AitronosError:
    """Return the error of a request that may have arrived."""
    if _find(chain, requests.exceptions.InvalidHeader, InvalidHeader, DecodeError):
        return AitronosResponseError(
            f"Malformed response: its headers or compression cannot be read ({_reason(chain)}).",
            fix="Check that Host of the connection is the API.",
            maybe_done=True,
        )
    if _find(chain, requests.Timeout, ReadTimeoutError, TimeoutError):
        cause, fix = f"No response within read_timeout of {settings.read_timeout:g} s.", _CHECK_NETWORK
    elif _find(chain, ProxyError):
        cause, fix = f"The connection through the proxy broke ({_reason(chain)}).", _CHECK_PROXY
    else:
        cause, fix = (
            f"The connection broke before the response was complete ({_reason(chain)}).",
            _CHECK_NETWORK,
        )
    return AitronosNetworkError(cause, fix=fix, may_pass_now=True, maybe_done=True)


def _not_arrived(cause: str, fix: str, *, may_pass_now: bool = True) -> AitronosNetworkError:
    error = AitronosNetworkError(cause, fix=fix, may_pass_now=may_pass_now)
    error.never_arrived = True
    return error


def _is_in_handshake(error: ssl.SSLError) -> bool:
    return any(frame.f_code.co_name == "do_handshake" for frame, _ in traceback.walk_tb(error.__traceback__))


def _reason(chain: list[BaseException]) -> str:
    """Return the innermost reason in a few words: the system's text, never a text of the server."""
    texts = [one.strerror for one in chain if isinstance(one, OSError) and isinstance(one.strerror, str)]
    return safe_text(texts[-1] if texts else type(chain[-1]).__name__, limit=120)


def _find(chain: list[BaseException], *kinds: type[BaseException]) -> BaseException | None:
    return next((one for one in chain if isinstance(one, kinds)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """
    Yield an exception and all that it wraps: as argument, as reason, as cause.

    Not as context, which may come from the caller, who has an exception of an earlier call in hand.
    """
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__]
