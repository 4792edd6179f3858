"""An Airflow connection, its Extra and the environment, checked and merged once for each hook."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
from requests.utils import get_auth_from_url, select_proxy
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from airflow_aitronos.client import validation
from airflow_aitronos.client.auth import ApiKeyAuth
from airflow_aitronos.client.sanitize import Redactor, safe_text
from airflow_aitronos.client.validation import parse_attempts, parse_seconds, parsed
from airflow_aitronos.exceptions import AitronosConfigurationError

DEFAULT_BASE_URL = "https://api.aitronos.com"
"""Host of the API ("API reference")."""

BODY_LIMIT = 8 * 1024 * 1024
"""Longest response body that is read, in bytes after decompression."""

_DEFAULT_PORTS = {"https": 443, "http": 80}
_HOST_NAME = re.compile(r"(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.(?!$)|\.?$))+")
# "." and ".." would change the path.
_PREFIX_SEGMENT = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")
_PRINTABLE_ASCII = re.compile(r"[\x21-\x7e]+")
_HOST_CHARACTERS = re.compile(r"[^\s\\%@?#\x00-\x20\x7f-\U0010ffff]+")


class ConnectionFields(Protocol):
    """The fields of an Airflow connection that are used."""

    host: str | None
    port: int | None
    schema: str | None
    password: str | None
    extra: str | None


@dataclass(frozen=True)
class BaseUrl:
    """
    Where the API is.

    :param scheme: ``https`` or ``http``.
    :param host: host name in lower case, IPv4 address, or IPv6 address in brackets.
    :param port: None for the scheme's own.
    :param prefix: path before ``/v1``: empty, or starts with a slash and ends without one.
    """

    scheme: str
    host: str
    port: int | None
    prefix: str

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.host}" + ("" if self.port is None else f":{self.port}")

    @property
    def is_loopback(self) -> bool:
        """Whether requests stay on this machine."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        """Return the URL that API paths are appended to."""
        return self.origin + self.prefix


@dataclass(frozen=True)
class Settings:
    """
    Everything that the calls of a hook need to know.

    :param conn_id: id of the Airflow connection.
    :param base_url: where the API is.
    :param auth: holds and sends the API key.
    :param redact: replaces the key and a proxy's password in a text.
    :param proxies: as ``requests`` takes them; not shown, since their URLs may hold passwords.
    :param connect_timeout: seconds to connect.
    :param read_timeout: seconds without a byte.
    :param total_timeout: seconds for one call.
    :param max_attempts: maximum attempts for one call.
    :param max_backoff: longest wait of our own choosing, in seconds.
    :param max_retry_after: longest wait for the server that is waited for inside a call, in seconds.
    :param verify: True, False or the path of a CA bundle, ``REQUESTS_CA_BUNDLE`` included.
    :param allow_http: permit ``http://`` to a host that is not loopback.
    """

    conn_id: str
    base_url: BaseUrl
    auth: ApiKeyAuth
    redact: Redactor = field(repr=False)
    proxies: dict[str, str] = field(repr=False)
    connect_timeout: float
    read_timeout: float
    total_timeout: float
    max_attempts: int
    max_backoff: float
    max_retry_after: float
    verify: bool | str
    allow_http: bool

    def warnings(self) -> list[str]:
        """Return a line for each setting that gives up protection."""
        lines = []
        if self.verify is False:
            lines.append(
                f"Connection '{self.conn_id}' has verify=false: certificates are not checked, so anyone on "
                "the way to the server can read the API key. Set verify to the path of a CA bundle instead."
            )
        if self.base_url.scheme == "http" and not self.base_url.is_loopback:
            lines.append(
                f"Connection '{self.conn_id}' has allow_http=true and an http:// host: the API key travels "
                "unencrypted."
            )
        return lines


def proxy_wants_credentials(status_code: int | None = None) -> AitronosConfigurationError:
    """Return the error of a proxy that answers 407, in a tunnel or as a response."""
    return AitronosConfigurationError(
        "The proxy asks for credentials (407).",
        fix="Put user and password into the URL in HTTPS_PROXY or HTTP_PROXY, or add the host to NO_PROXY.",
        status_code=status_code,
    )


class SettingsLoader:
    """
    Read one connection, and name the field that is wrong.

    Connection and key stand in attributes only: error trackers show the local variables of frames, and
    Airflow's connections show their password.

    :param conn_id: id of the connection, for messages.
    :param connection: the Airflow connection.
    :param mask_secret: tells Airflow of a secret to mask in logs.
    """

    def __init__(
        self, conn_id: str, connection: ConnectionFields, mask_secret: Callable[[str], None]
    ) -> None:
        self._conn_id = safe_text(conn_id, limit=100)
        self._connection = connection
        self._mask_secret = mask_secret
        self._key = ""
        self._redact = Redactor()
        self._proxies: dict[str, str] = {}

    def load(self, arguments: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Settings:
        """
        Return the settings of a hook: argument over Extra over default.

        :param arguments: keyword arguments of the hook by name; None stands for "not given".
        :param defaults: by name, where they differ from those in :data:`OPTIONS`.
        :raises AitronosConfigurationError: if a field, an Extra key, an argument or the environment is not
            usable.
        """
        self._key = self._read_key()
        self._redact = Redactor(self._key)
        extra = self._read_extra()
        options = {
            name: self._option(
                name, arguments.get(name), extra.get(name), (defaults or {}).get(name, default), parse
            )
            for name, (default, parse) in OPTIONS.items()
        }
        base_url = self._read_base_url()
        self._check_origin(base_url, allow_http=options["allow_http"])
        given = options["verify"]
        options["verify"], is_usable = self._read_environment(base_url, given)
        if not is_usable:
            raise self._error(
                "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY in the environment is not a URL",
                "Write it like 'http://proxy.example:3128', or add the host to NO_PROXY.",
            )
        if options["verify"] != given:  # one that was given has been read already
            name = "REQUESTS_CA_BUNDLE" if os.environ.get("REQUESTS_CA_BUNDLE") else "CURL_CA_BUNDLE"
            parsed(f"verify or the environment variable {name}", options["verify"], _parse_verify)
        auth = ApiKeyAuth(self._key, base_url.origin)
        return Settings(self._conn_id, base_url, auth, self._redact, self._proxies, **options)

    def _read_key(self) -> str:
        fix = "The API key goes into Password."
        if not isinstance(self._connection.password, str | None):
            raise self._error("Password is not text", f"{fix} In JSON, write it in quotes.")
        # Stripped before it is masked: Airflow masks the password as stored, with the line break that a
        # copied key may end in.
        key = (self._connection.password or "").strip()
        if not key:
            raise self._error("Password is empty", f"{fix} Login is not used.")
        self._mask_secret(key)
        if not key.strip("*"):
            raise self._error("Password holds asterisks, as Airflow shows a masked key", fix)
        # requests lets NUL and Latin-1 through, and quotes the whole value when it refuses one.
        if not _PRINTABLE_ASCII.fullmatch(key):
            key = ""  # no local variable of a frame that raises holds it
            raise self._error(
                "Password holds a space or a character outside printable ASCII", f"{fix} Copy it again."
            )
        return key

    def _read_extra(self) -> dict[str, Any]:
        # Not by Airflow, which logs invalid JSON and goes on with an empty Extra.
        extra: Any = self._connection.extra
        if isinstance(extra, str):
            problem = None
            try:
                extra = json.loads(extra) if extra.strip() else None
            except json.JSONDecodeError as error:
                problem = f"line {error.lineno}, column {error.colno}"
            except (ValueError, RecursionError) as error:
                problem = type(error).__name__
            if problem:  # raised here, since the parser's exception holds the whole text
                raise self._error(
                    f"Extra is not valid JSON ({problem})", "Write a JSON object or leave it empty."
                )
        if extra is None:
            return {}
        if not isinstance(extra, dict):
            raise self._error("Extra is not a JSON object", 'Write it like {"total_timeout": 120}.')
        if unknown := sorted(set(extra) - set(OPTIONS)):
            shown = ", ".join(f"'{safe_text(key, self._redact, limit=40)}'" for key in unknown[:5])
            raise self._error(f"Extra has unknown keys: {shown}", f"Known keys: {', '.join(OPTIONS)}.")
        return extra

    def _option(self, name: str, argument: Any, extra: Any, default: Any, parse: Callable[..., Any]) -> Any:
        if argument is not None:
            return parsed(f"Argument {name}", argument, parse)
        if extra is None or extra == "":  # as a URI connection has it
            return default
        source = f"Extra key {name} of connection '{self._conn_id}'"
        return parsed(source, extra, partial(parse, text=True), self._redact)

    def _read_base_url(self) -> BaseUrl:
        host: Any = "" if self._connection.host is None else self._connection.host
        text = (host.strip() or DEFAULT_BASE_URL) if isinstance(host, str) else host
        legal = "Write a host name or a URL such as 'https://gateway.example/aitronos'."
        if not isinstance(text, str) or not _HOST_CHARACTERS.fullmatch(text):
            raise self._error(
                "Host holds a user, a query, a space or another character that no host has", legal
            )
        if text.count(":") > 1 and "[" not in text and "/" not in text:
            text = f"[{text}]"  # IPv6: a URI connection drops the brackets
        schema = self._scheme_of_schema()
        # Split here, since parse_url would resolve "..".
        authority, *segments = text.rpartition("://")[2].split("/")
        prefix = [segment for segment in segments if segment]
        try:
            url = parse_url(text if "://" in text else f"{schema or 'https'}://{text}")
        except LocationParseError:
            url = None
        name = (url.host or "") if url else ""
        is_host = _HOST_NAME.fullmatch(name) or name.startswith("[")
        if url is None or not is_host or url.port == 0 or authority.endswith(":"):
            raise self._error("Host has no usable host name, address or port", legal)
        if url.scheme not in _DEFAULT_PORTS:
            raise self._error("Host has a scheme other than https and http", legal)
        if schema not in (None, url.scheme):
            raise self._error(f"Schema says {schema} and Host says {url.scheme}", "Leave Schema empty.")
        if not all(_PREFIX_SEGMENT.fullmatch(part) for part in prefix):
            raise self._error("Host has a path prefix with other characters than A-Z a-z 0-9 - . _ ~", legal)
        # The paths of the API start with /v1 themselves.
        path = "".join(f"/{part}" for part in (prefix[:-1] if prefix[-1:] == ["v1"] else prefix))
        port = self._port(url.port)
        return BaseUrl(url.scheme, name, None if port == _DEFAULT_PORTS[url.scheme] else port, path)

    def _scheme_of_schema(self) -> str | None:
        schema = self._connection.schema
        scheme = schema.strip().lower() if isinstance(schema, str) else schema
        if scheme not in (None, "", *_DEFAULT_PORTS):
            raise self._error(
                "Schema is neither empty nor 'https' or 'http'",
                "A path prefix goes into Host; a URI connection puts it into Schema, so use the JSON form.",
            )
        return scheme or None

    def _port(self, in_host: int | None) -> int | None:
        port: Any = self._connection.port
        if isinstance(port, str) and port.isascii() and port.isdigit():
            port = int(port)
        if port in (None, "", 0):
            return in_host
        if isinstance(port, bool) or not isinstance(port, int) or not 0 < port <= 65535:
            raise self._error("Port is not a number from 1 to 65535", "Correct it or leave it empty.")
        if in_host not in (None, port):
            raise self._error(f"Port is {port} and Host says {in_host}", "Leave one of them out.")
        return port

    def _check_origin(self, base_url: BaseUrl, *, allow_http: bool) -> None:
        if base_url.scheme == "http" and not base_url.is_loopback and not allow_http:
            raise self._error(
                "Host says http://, which would send the API key unencrypted",
                "Use https://, or set allow_http to true in Extra if the way to that host is safe.",
            )
        allowed = os.environ.get(validation.ALLOWED_ORIGINS, validation.origins_if_unset)
        if allowed is not None and base_url.origin not in allowed.split():
            raise self._error(
                f"{base_url.origin} is not among the origins in {validation.ALLOWED_ORIGINS}",
                "Tests set this variable so that they reach a sandbox only; add the origin if it is meant.",
            )

    def _read_environment(self, base_url: BaseUrl, verify: bool | str) -> tuple[bool | str, bool]:
        """Keep the proxies; return ``verify``, and whether the proxy is usable."""
        merged = requests.Session().merge_environment_settings(str(base_url), {}, True, verify, None)
        # No proxy for loopback: it would look for the server on its own machine, and could read the key.
        self._proxies = {} if base_url.is_loopback else dict(merged["proxies"])
        verify = verify if merged["verify"] is None or base_url.scheme == "http" else merged["verify"]
        proxy = select_proxy(str(base_url), self._proxies)
        try:
            url = proxy if proxy is None or "://" in proxy else f"http://{proxy}"
            user, password = get_auth_from_url(url or "")
            basic = b64encode(f"{user}:{password}".encode("latin-1")).decode()  # as requests sends it
            as_written = urlsplit(url or "").password or ""
        except ValueError:
            return verify, False
        if password:
            for secret in (password, as_written, basic):
                self._mask_secret(secret)
            self._redact = Redactor(self._key, password, as_written, basic)
        return verify, True

    def _error(self, cause: str, fix: str) -> AitronosConfigurationError:
        about = f"connection '{self._conn_id}', no request was sent"
        return AitronosConfigurationError(f"{cause}.", fix=fix, about=about)


def _parse_switch(value: object, *, text: bool = False) -> bool:
    word = value.strip().lower() if text and isinstance(value, str) else None
    if word in ("true", "false"):
        return word == "true"
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _parse_verify(value: object, *, text: bool = False) -> bool | str:
    legal = "true, false or the path of a CA bundle"
    if isinstance(value, str) and value.strip().lower() not in ("true", "false", ""):
        # requests takes any text for a path, and fails with a bare OSError.
        if problem := _problem_of_bundle(value):
            raise ValueError(f"{legal} that can be read ({problem})")
        return value
    try:
        return _parse_switch(value, text=text)
    except ValueError:
        pass
    raise ValueError(legal)


def _problem_of_bundle(path: str) -> str | None:
    """Return why a CA bundle, a file or a folder, cannot be used; None if it can."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if Path(path).is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except (OSError, ValueError) as error:
        return safe_text(getattr(error, "strerror", None) or type(error).__name__)
    return None


OPTIONS: dict[str, tuple[Any, Callable[..., Any]]] = {
    "connect_timeout": (5.0, parse_seconds),
    "read_timeout": (30.0, parse_seconds),
    "total_timeout": (120.0, parse_seconds),
    "max_attempts": (4, parse_attempts),
    "max_backoff": (20.0, partial(parse_seconds, smallest=0)),
    "max_retry_after": (60.0, partial(parse_seconds, smallest=0)),
    "verify": (True, _parse_verify),
    "allow_http": (False, _parse_switch),
}
"""The keys of Extra, which are keyword arguments of the hook too: default and parser."""
