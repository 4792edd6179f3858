"""The connection's Host, Port and Schema, made one base URL."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

DEFAULT_BASE_URL = "https://api.aitronos.com"
"""Host of the API ("API reference" of the vendor's documentation)."""

_DEFAULT_PORTS = {"https": 443, "http": 80}
_HOST_NAME = re.compile(r"(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.(?!$)|\.?$))+")
# "." and ".." would be resolved away and change the path; they are not among what this matches.
_PREFIX_SEGMENT = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")
_LEGAL_CHARACTERS = re.compile(r"[\x21-\x7e]*")


class BaseUrlError(ValueError):
    """
    Raise when a field cannot be part of a base URL.

    The text never repeats the field's value, which may hold a password.

    :param field: the connection field, as the connection form calls it.
    :param problem: what is wrong, and what is legal.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


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
        """Scheme, host and port, without a path."""
        return f"{self.scheme}://{self.host}" + ("" if self.port is None else f":{self.port}")

    @property
    def is_loopback(self) -> bool:
        """Whether requests stay on this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        """Return the URL that API paths are appended to."""
        return self.origin + self.prefix


def parse_base_url(host: object, port: object = None, schema: object = None) -> BaseUrl:
    """
    Return the base URL that a connection's fields describe.

    :param host: host name or address, or a URL with scheme, port and path prefix; blank for the default.
    :param port: port number; 0 and None for the one in the host, or the scheme's own.
    :param schema: ``http`` or ``https``, as some connections carry the scheme; blank for the one in the
        host.
    :raises BaseUrlError: if a field cannot be used, or two contradict each other.
    """
    parts = _split_host(host, _scheme_of_schema(schema))
    name = _host_name(parts)
    return BaseUrl(parts.scheme, name, _port(parts, port), _prefix(parts.path))


def _scheme_of_schema(schema: object) -> str | None:
    if schema is None or (isinstance(schema, str) and not schema.strip()):
        return None
    scheme = schema.strip().lower() if isinstance(schema, str) else None
    if scheme in _DEFAULT_PORTS:
        return scheme
    raise BaseUrlError(
        "Schema",
        "may only be empty, 'https' or 'http'. A path prefix belongs into Host; in the URI form of a "
        "connection the path lands in Schema, so use the JSON form.",
    )


def _split_host(host: object, scheme: str | None) -> SplitResult:
    """Return the parts of Host, its scheme settled."""
    if host is None or (isinstance(host, str) and not host.strip()):
        host = DEFAULT_BASE_URL
    if not isinstance(host, str):
        raise BaseUrlError("Host", "must be text, such as 'https://api.aitronos.com'.")
    host = host.strip()
    if not _LEGAL_CHARACTERS.fullmatch(host) or "\\" in host or "%" in host:
        raise BaseUrlError(
            "Host",
            "holds a space, a control character, a backslash, '%' or a character outside ASCII. "
            "Write an international name in its xn-- form.",
        )
    if host.count(":") > 1 and _is_ipv6(host):
        host = f"[{host}]"
    if "://" not in host:
        host = f"{scheme or 'https'}://{host}"
    try:
        parts = urlsplit(host)
    except ValueError:
        raise BaseUrlError("Host", "is not a host name, an address or a URL.") from None
    _check_scheme(parts.scheme, scheme)
    if "@" in parts.netloc or "?" in host or "#" in host:
        raise BaseUrlError("Host", "must not hold a user name, a password, a query or a fragment.")
    return parts


def _check_scheme(in_host: str, in_schema: str | None) -> None:
    if in_host not in _DEFAULT_PORTS:
        raise BaseUrlError("Host", "has a scheme other than https and http.")
    if in_schema is not None and in_schema != in_host:
        raise BaseUrlError("Schema", f"says {in_schema} where Host says {in_host}. Leave Schema empty.")


def _host_name(parts: SplitResult) -> str:
    name = parts.hostname or ""
    if _is_ipv6(name):
        name = f"[{name}]"
    elif not _HOST_NAME.fullmatch(name):
        name = ""
    # urlsplit drops what follows a bracket: only a host that is all of it will do.
    if not name or not re.fullmatch(re.escape(name) + "(?::[^:]*)?", parts.netloc.lower()):
        raise BaseUrlError("Host", "has no usable host name or address in it.")
    return name


def _port(parts: SplitResult, field: object) -> int | None:
    try:
        in_host = parts.port
    except ValueError:
        raise BaseUrlError("Host", "has a port that is not a number from 1 to 65535.") from None
    if in_host == 0 or parts.netloc.endswith(":"):
        raise BaseUrlError("Host", "has a port that is not a number from 1 to 65535.")
    in_field = _port_number(field)
    if in_field and in_host not in (None, in_field):
        raise BaseUrlError("Port", f"is {in_field} where Host says {in_host}. Leave one of them out.")
    port = in_field or in_host
    return None if port == _DEFAULT_PORTS[parts.scheme] else port


def _port_number(field: object) -> int | None:
    if field is None or field == "":
        return None
    number = int(field) if isinstance(field, str) and re.fullmatch("[0-9]{1,5}", field) else field
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= 65535:
        raise BaseUrlError("Port", "must be a number from 1 to 65535, or empty.")
    return number


def _prefix(path: str) -> str:
    segments = [segment for segment in path.split("/") if segment]
    if not all(_PREFIX_SEGMENT.fullmatch(segment) for segment in segments):
        raise BaseUrlError(
            "Host", "has a path prefix with other characters than A-Z a-z 0-9 - . _ ~, or a '.' segment."
        )
    # The paths of the API start with /v1 themselves.
    if segments and segments[-1] == "v1":
        segments.pop()
    return "".join(f"/{segment}" for segment in segments)


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False
