"""An Airflow connection, checked once."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from airflow_aitronos.client.auth import ApiKeyAuth, is_sendable
from airflow_aitronos.client.base_url import BaseUrl, BaseUrlError, parse_base_url
from airflow_aitronos.client.mask import NO_SECRETS, Mask
from airflow_aitronos.client.safe_text import safe_text
from airflow_aitronos.exceptions import AitronosConfigurationError

_A_DAY = 86_400
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_HASHED_CERTIFICATE = re.compile(r"[0-9a-f]{8}\.[0-9]+")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")


class ConnectionFields(Protocol):
    """The fields of an Airflow connection that settings are made of."""

    host: str | None
    port: int | None
    schema: str | None
    password: str | None
    extra: str | None


@dataclass(frozen=True)
class Settings:
    """
    Everything that calls through one connection need to know.

    :param conn_id: id of the Airflow connection, for messages.
    :param base_url: where the API is.
    :param auth: sends the API key, and keeps it.
    :param connect_timeout: seconds to connect.
    :param read_timeout: seconds without a byte.
    :param total_timeout: seconds for one call: all attempts, waits and slow bodies together.
    :param max_attempts: requests at most for one call.
    :param max_backoff: longest wait of our own choosing, in seconds.
    :param max_retry_after: longest wait that the server may ask for inside the task, in seconds.
    :param verify: True, False, or the path of a CA bundle.
    :param allow_http: permit ``http://`` to a host that is not this machine.
    """

    conn_id: str
    base_url: BaseUrl
    auth: ApiKeyAuth
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
                "the way to the server can read the API key. Give the path of a CA bundle instead."
            )
        if self.base_url.scheme == "http" and not self.base_url.is_loopback:
            lines.append(
                f"Connection '{self.conn_id}' has allow_http=true and an http:// host: the API key travels "
                "unencrypted."
            )
        return lines


def load_settings(
    conn_id: str,
    connection: ConnectionFields,
    arguments: Mapping[str, Any],
    *,
    mask_secret: Callable[[str], None],
) -> Settings:
    """
    Return the settings of a connection: argument before Extra before default.

    :param conn_id: id of the connection, for messages.
    :param connection: the Airflow connection.
    :param arguments: keyword arguments of the hook by name; None stands for "not given".
    :param mask_secret: tells Airflow of a secret that has to be masked in logs.
    :raises AitronosConfigurationError: if a field, an Extra key or an argument has no legal value.
    """
    reader = _Reader(conn_id, connection, mask_secret)
    # Error trackers show local variables, and Airflow's connections show their password.
    del connection
    return reader.read(arguments)


def check_ca_bundle(path: str) -> str | None:
    """
    Return what is wrong with a CA bundle, None if it can be used.

    :param path: of a file with certificates in PEM form, or of a folder of hashed certificates.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if Path(path).is_dir():
            # OpenSSL takes any folder, and then finds no certificate good.
            if not any(_HASHED_CERTIFICATE.fullmatch(entry.name) for entry in Path(path).iterdir()):
                return "a folder without hashed certificates"
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except (OSError, ValueError) as error:
        return safe_text(getattr(error, "strerror", None) or type(error).__name__)
    return None


class _Reader:
    """
    Reads one connection, and says which field is wrong.

    Keeps connection and key in attributes: local variables of frames that raise are shown by error trackers.

    :param conn_id: id of the connection, for messages.
    :param connection: the Airflow connection.
    :param mask_secret: tells Airflow of a secret that has to be masked in logs.
    """

    def __init__(
        self, conn_id: str, connection: ConnectionFields, mask_secret: Callable[[str], None]
    ) -> None:
        self._conn_id = safe_text(conn_id, limit=100)
        self._connection = connection
        self._mask_secret = mask_secret
        self._mask = NO_SECRETS

    def read(self, arguments: Mapping[str, Any]) -> Settings:
        """
        Return the settings.

        :param arguments: keyword arguments of the hook by name.
        """
        self._check_key()
        extra = self._extra(self._connection.extra)
        values = {name: self._option(name, arguments.get(name), extra.get(name)) for name in _OPTIONS}
        base_url = self._base_url(allow_http=values["allow_http"])
        auth = ApiKeyAuth(self._key, base_url.origin)
        return Settings(conn_id=self._conn_id, base_url=base_url, auth=auth, **values)

    def _check_key(self) -> None:
        where = "The API key goes into the Password field of the connection"
        if not isinstance(self._connection.password, str | None):
            raise self._error("Password", f"is not text. {where}, in quotes where it is written as JSON.")
        # Stripped, then masked, then checked: Airflow masks the password as stored, with the line break that
        # a copied key may end in, and would let the key itself through.
        self._key = (self._connection.password or "").strip()
        if not self._key:
            raise self._error("Password", f"is empty. {where}; Login is not used.")
        self._mask_secret(self._key)
        self._mask = Mask(self._key)
        if not self._key.strip("*"):
            raise self._error("Password", f"holds asterisks, as Airflow shows a masked key. {where}.")
        if not is_sendable(self._key):
            raise self._error(
                "Password",
                "holds a space, a control character or a character outside ASCII within the key, which "
                f"cannot be sent in a header. Copy the key once more. {where}.",
            )

    def _extra(self, raw: object) -> dict[str, Any]:
        # Read here rather than by Airflow, which logs broken JSON and goes on with an empty Extra: the call
        # would run with other timeouts and another verify than written down.
        if raw is None or (isinstance(raw, str) and not raw.strip()):
            return {}
        is_broken = False
        try:
            extra = json.loads(raw) if isinstance(raw, str) else raw
        except (ValueError, RecursionError):
            is_broken = True
        if is_broken:  # raised out here, since the parser's exception holds the whole text
            raise self._error("Extra", "is not valid JSON. Leave it empty or write a JSON object.")
        if extra is None:
            return {}
        if not isinstance(extra, dict):
            raise self._error("Extra", 'must be a JSON object, such as {"total_timeout": 120}.')
        if unknown := sorted(set(extra) - set(_OPTIONS)):
            shown = ", ".join(f"'{safe_text(key, mask=self._mask, limit=40)}'" for key in unknown[:5])
            raise self._error("Extra", f"has unknown keys: {shown}. Known are: {', '.join(_OPTIONS)}.")
        return extra

    def _option(self, name: str, argument: Any, extra: Any) -> Any:
        """Return an option from wherever it was given: argument before Extra before default."""
        parse, default = _OPTIONS[name]
        if argument is not None:
            source, value = f"argument {name}", argument
        elif extra is not None and extra != "":
            source, value = f"Extra key {name}", extra
        else:
            return default
        try:
            return parse(value)
        except ValueError as error:
            problem = str(error)
        shown = safe_text(_repr(value), mask=self._mask, limit=300)
        raise self._error(source, f"must be {problem}, not {shown}.")

    def _base_url(self, *, allow_http: bool) -> BaseUrl:
        try:
            base_url = parse_base_url(self._connection.host, self._connection.port, self._connection.schema)
        except BaseUrlError as error:
            field, problem = error.field, str(error)
        else:
            if base_url.scheme == "https" or base_url.is_loopback or allow_http:
                return base_url
            field = "Host"
            problem = (
                "says http://, which would send the API key unencrypted. Use https://, or set allow_http to "
                "true in Extra if the way to that host is safe."
            )
        raise self._error(field, problem)

    def _error(self, field: str, problem: str) -> AitronosConfigurationError:
        return AitronosConfigurationError(
            f"Nothing was sent: connection '{self._conn_id}' cannot be used: {field} {problem} "
            "Trying again cannot help."
        )


def _repr(value: object) -> str:
    try:
        return repr(value)
    except ValueError:  # Python writes no number of more than some thousand digits
        return f"<{type(value).__name__}>"


def _seconds(*, smallest: float) -> Callable[[Any], float]:
    """Return a parser of a duration between ``smallest`` and a day, in seconds."""
    legal = f"a number of seconds from {smallest:g} to {_A_DAY}"

    def parse(value: Any) -> float:
        if isinstance(value, str):
            # Extras from a URI are always strings. float() would take "1_0" and "inf" too.
            value = float(value) if _NUMBER.fullmatch(value.strip()) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(legal)
        if not smallest <= value <= _A_DAY:  # which NaN is not either
            raise ValueError(legal)
        return float(value)

    return parse


def _attempts(value: Any) -> int:
    legal = "a whole number from 1 to 10"
    if isinstance(value, str):
        value = int(value) if _WHOLE_NUMBER.fullmatch(value.strip()) else None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10:
        raise ValueError(legal)
    return value


def _flag(value: Any) -> bool:
    flag = _as_bool(value)
    if flag is None:
        raise ValueError("true or false")
    return flag


def _verify(value: Any) -> bool | str:
    flag = _as_bool(value)
    if flag is not None:
        return flag
    if not isinstance(value, str) or not value.strip():
        raise ValueError("true, false, or the path of a CA bundle")
    # requests would take any text for a path, "False" and "0" too, and fail with a bare OSError.
    if problem := check_ca_bundle(value):
        raise ValueError(f"true, false, or the path of a CA bundle that can be read ({problem})")
    return value


def _as_bool(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    words = {"true": True, "false": False}
    return words.get(value.strip().lower()) if isinstance(value, str) else None


_OPTIONS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "connect_timeout": (_seconds(smallest=0.001), 5.0),
    "read_timeout": (_seconds(smallest=0.001), 30.0),
    "total_timeout": (_seconds(smallest=0.001), 120.0),
    "max_attempts": (_attempts, 4),
    "max_backoff": (_seconds(smallest=0), 20.0),
    "max_retry_after": (_seconds(smallest=0), 60.0),
    "verify": (_verify, True),
    "allow_http": (_flag, False),
}
"""The legal keys of Extra, which are the keyword arguments of the hook too, each with parser and default."""
