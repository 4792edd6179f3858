"""One request: a decoded reply comes back, or what went wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from airflow_aitronos.client.adapter import DeadlineAdapter
from airflow_aitronos.client.clock import Deadline, current_deadline
from airflow_aitronos.client.network_faults import network_failure, too_large
from airflow_aitronos.client.reply import Failure, Reply
from airflow_aitronos.client.safe_text import Mask, safe_text
from airflow_aitronos.client.settings import Settings, check_ca_bundle
from airflow_aitronos.exceptions import AitronosConfigurationError, AitronosInputError

BODY_LIMIT = 1024 * 1024
"""Longest body that is read, in bytes after decompression."""

_CHUNK = 16 * 1024


class AitronosSession(requests.Session):
    """
    A session that follows no redirect, whatever a caller says.

    ``requests`` takes only ``Authorization`` off when a redirect leads to another host: ``X-API-Key`` would
    go along. And even with ``allow_redirects=False`` it reads the body of a redirect to its end, however
    long, to prepare the next request; here there is no next one.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002  # the parent's signature
        """
        Return None: no reply leads anywhere.

        :param resp: the reply.
        """
        return None


@dataclass(frozen=True)
class Request:
    """
    What to send.

    :param method: HTTP method.
    :param path: below the base URL, its ids checked.
    :param json: body, None for none.
    :param params: query, None for none.
    """

    method: str
    path: str
    json: Any = None
    params: Any = None


class Transport:
    """
    Send requests through one session, kept alive between them.

    :param settings: of the connection.
    :param mask_secret: tells Airflow of a secret that has to be masked in logs.
    """

    def __init__(self, settings: Settings, *, mask_secret: Callable[[str], None]) -> None:
        self._settings = settings
        self._mask_secret = mask_secret

    @cached_property
    def session(self) -> AitronosSession:
        """The ``requests`` session, made when it is first asked for."""
        session = AitronosSession()
        session.auth = self._settings.auth
        session.verify = self._settings.verify
        # Only what every urllib3 decodes piece by piece: "br" and "zstd" pack far tighter bombs.
        session.headers.update({"Accept": "application/json", "Accept-Encoding": "gzip, deflate"})
        session.mount("https://", DeadlineAdapter())
        session.mount("http://", DeadlineAdapter())
        return session

    @cached_property
    def environment(self) -> dict[str, Any]:
        """
        What the environment says of proxies and certificates, looked up once.

        :raises AitronosConfigurationError: if it names a CA bundle that cannot be used.
        """
        settings: dict[str, Any] = dict(
            self.session.merge_environment_settings(
                str(self._settings.base_url), {}, True, self._settings.verify, None
            )
        )
        for proxy in settings["proxies"].values():
            if password := urlsplit(proxy).password:
                self._mask_secret(password)
        bundle = settings["verify"]
        if bundle == self._settings.verify or self._settings.base_url.scheme != "https":
            return settings
        if problem := check_ca_bundle(bundle):
            name = "REQUESTS_CA_BUNDLE" if os.environ.get("REQUESTS_CA_BUNDLE") else "CURL_CA_BUNDLE"
            raise AitronosConfigurationError(
                f"Nothing was sent: the environment variable {name} names the CA bundle "
                f"'{safe_text(bundle, limit=200)}', which cannot be used ({problem}). Correct or unset it, "
                f"or set verify in the Extra of connection '{self._settings.conn_id}'. "
                "Trying again cannot help."
            )
        return settings

    @property
    def mask(self) -> Mask:
        """What replaces the key in texts."""
        return self._settings.auth.mask

    def send(self, request: Request, deadline: Deadline) -> Reply | Failure:
        """
        Send a request once.

        :param request: what to send.
        :param deadline: when the reply has to be complete.
        :return: the reply, whatever its status, or the failure.
        :raises AitronosInputError: if the request cannot be sent as it is; nothing was sent.
        :raises AitronosConfigurationError: if the environment does not let it be sent.
        """
        prepared = self._prepare(request)
        environment = self.environment
        token = current_deadline.set(deadline)
        try:
            return self._exchange(prepared, environment, deadline)
        except (requests.RequestException, HTTPError, OSError) as error:
            # Read here, and not raised from here: in `error` stands the request, key included, and an
            # exception raised inside this block would carry it as its context.
            return network_failure(error, self._settings, expired=deadline.remaining() <= 0)
        finally:
            current_deadline.reset(token)

    def close(self) -> None:
        """Close all connections; the next request opens new ones."""
        if (session := self.__dict__.pop("session", None)) is not None:
            session.close()

    def _prepare(self, request: Request) -> requests.PreparedRequest:
        expected = f"{self._settings.base_url}{request.path}"
        try:
            prepared = self.session.prepare_request(
                requests.Request(request.method, expected, json=request.json, params=request.params)
            )
        except (requests.RequestException, ValueError, TypeError) as error:
            problem = type(error).__name__
        else:
            # The last look before the wire. requests resolves "..", decodes "%2e" and cuts at "#"; the
            # check of ids keeps all that out, and this does not rely on it.
            if (prepared.url or "").partition("?")[0] == expected:
                return prepared
            problem = "its URL would lead elsewhere"
        raise AitronosInputError(
            f"Nothing was sent: {request.method} {safe_text(request.path, limit=200)} cannot be sent as it "
            f"is ({problem}). Check the ids, the query and the body. Trying again cannot help."
        )

    def _exchange(
        self, prepared: requests.PreparedRequest, environment: dict[str, Any], deadline: Deadline
    ) -> Reply | Failure:
        left = max(deadline.remaining(), 0.001)
        timeout = (min(self._settings.connect_timeout, left), min(self._settings.read_timeout, left))
        response = self.session.send(prepared, **{**environment, "stream": True, "timeout": timeout})
        try:
            body = bytearray()
            for chunk in response.iter_content(_CHUNK):
                body += chunk
                if len(body) > BODY_LIMIT:
                    return too_large(response.status_code, BODY_LIMIT)
            return Reply(response.status_code, response.headers, bytes(body))
        finally:
            # Read to its end, the reply has given its connection back already, and this does nothing.
            response.close()
