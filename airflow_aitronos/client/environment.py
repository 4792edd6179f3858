"""What the environment says of proxies and certificates, checked once."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import requests
from requests.utils import get_auth_from_url, prepend_scheme_if_needed, select_proxy
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from airflow_aitronos.client.mask import Mask
from airflow_aitronos.client.safe_text import safe_text
from airflow_aitronos.client.settings import Settings, check_ca_bundle
from airflow_aitronos.exceptions import AitronosConfigurationError

_PROXY_SCHEMES = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})


@dataclass(frozen=True)
class Environment:
    """
    How requests leave this machine.

    :param proxies: as ``requests`` takes them; not shown, since their URLs may hold passwords.
    :param verify: True, False, or the path of a CA bundle.
    :param mask: replaces the key, and the password of the proxy.
    """

    proxies: dict[str, str] = field(repr=False)
    verify: bool | str
    mask: Mask = field(repr=False)


def read_environment(
    session: requests.Session, settings: Settings, *, mask_secret: Callable[[str], None]
) -> Environment:
    """
    Return proxies and CA bundle for a connection, as ``requests`` finds them.

    A server on this machine is never asked through a proxy, which could read the key where it is sent
    without TLS, and would look for the server on a machine of its own.

    :param session: merges environment and settings.
    :param settings: of the connection.
    :param mask_secret: tells Airflow of a secret that has to be masked in logs.
    :raises AitronosConfigurationError: if the environment names a proxy or a CA bundle that cannot be used.
    """
    environment = _merged(session, settings)
    mask = _mask_for_proxy(environment, settings, mask_secret)
    if mask is None:
        raise AitronosConfigurationError(
            f"Nothing was sent through connection '{settings.conn_id}': the environment variable "
            "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY does not hold a usable URL such as "
            "'http://proxy.example:3128'. Correct or unset it, or add the host to NO_PROXY. "
            "Trying again cannot help."
        )
    if environment.verify != settings.verify and settings.base_url.scheme == "https":
        _check_bundle(str(environment.verify), settings)
    return replace(environment, mask=mask)


def _merged(session: requests.Session, settings: Settings) -> Environment:
    merged = session.merge_environment_settings(str(settings.base_url), {}, True, settings.verify, None)
    proxies = {} if settings.base_url.is_loopback else dict(merged["proxies"])
    verify = settings.verify if merged["verify"] is None else merged["verify"]
    return Environment(proxies, verify, settings.auth.mask)


def _mask_for_proxy(
    environment: Environment, settings: Settings, mask_secret: Callable[[str], None]
) -> Mask | None:
    """Return what replaces the secrets of the proxy and the key, None if the proxy cannot be used."""
    secrets = _secrets_of_proxy(str(settings.base_url), environment)
    if secrets is None:
        return None
    for secret in secrets:
        mask_secret(secret)
    return settings.auth.mask.also(*secrets)


def _secrets_of_proxy(url: str, environment: Environment) -> set[str] | None:
    """Return what may not be shown of a proxy's URL, None if it cannot be used; raises nothing of it."""
    proxy = select_proxy(url, environment.proxies)
    if not proxy:
        return set()
    try:
        proxy_url = str(prepend_scheme_if_needed(proxy, "http"))  # type: ignore[no-untyped-call]  # theirs
        parts = parse_url(proxy_url)
        user, password = get_auth_from_url(proxy_url)
        sent = b64encode(f"{user}:{password}".encode("latin-1")).decode()  # as Proxy-Authorization has it
        if parts.scheme not in _PROXY_SCHEMES or not (parts.host or "").encode("idna"):
            return None
    except (ValueError, HTTPError):
        return None
    return {password, urlsplit(proxy_url).password or "", sent} - {""} if password else set()


def _check_bundle(path: str, settings: Settings) -> None:
    if problem := check_ca_bundle(path):
        name = "REQUESTS_CA_BUNDLE" if os.environ.get("REQUESTS_CA_BUNDLE") else "CURL_CA_BUNDLE"
        raise AitronosConfigurationError(
            f"Nothing was sent through connection '{settings.conn_id}': the environment variable {name} "
            f"names the CA bundle '{safe_text(path, limit=200)}', which cannot be used ({problem}). "
            "Correct or unset it, or set verify in Extra. Trying again cannot help."
        )
