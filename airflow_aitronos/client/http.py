"""One request out, one response in: status, headers and body. What ``requests`` raises passes through."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from airflow_aitronos import __version__
from airflow_aitronos.client.deadline import Deadline
from airflow_aitronos.client.sanitize import safe_text
from airflow_aitronos.client.settings import BODY_LIMIT, Settings
from airflow_aitronos.client.validation import refusal

# A read of 64 KiB may decompress to far more than it asks for (142 MiB seen, urllib3 below 2.6).
_READ_SIZE = 8192

_LARGE_UPLOAD = 64 * 1024

_HEADERS = {"User-Agent": f"airflow-provider-aitronos/{__version__}", "Accept": "application/json"}

NO_RESPONSE = (requests.RequestException, HTTPError, OSError, ValueError)
"""What requests and urllib3 raise instead of giving a response."""


@dataclass(frozen=True)
class Response:
    """
    A response; headers and body, which may repeat the key, have no ``repr``.

    :param status: HTTP status.
    :param headers: found whatever their case.
    :param body: decompressed; empty where the status alone decides and the body could not be read.
    :param is_too_large: whether the body is longer than ``BODY_LIMIT``, and was dropped.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    is_too_large: bool = False


class SafeSession(requests.Session):
    """
    A session that follows no redirect.

    ``requests`` removes only ``Authorization`` when a redirect leads to another host, not ``X-API-Key``. Even
    with ``allow_redirects=False`` it reads the whole body of a redirect, however long.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002  # the parent's signature
        """
        Return None: no response leads anywhere.

        :param resp: the response.
        """
        return None


class Http:
    """
    Send requests through one session.

    :param settings: of the hook.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.status: int | None = None
        """Of the last response, its body complete or not; None if there was none."""

    @cached_property
    def session(self) -> SafeSession:
        """The session, made when it is first needed."""
        session = SafeSession()
        session.auth = self.settings.auth
        session.verify, session.proxies = self.settings.verify, self.settings.proxies
        session.trust_env = False  # the settings have what the environment says
        session.headers.update(_HEADERS)
        return session

    def send(self, prepared: requests.PreparedRequest, deadline: Deadline) -> Response:
        """
        Send a request once.

        :param prepared: by :meth:`prepare`.
        :param deadline: of the call: both timeouts are cut to what it leaves.
        :return: the response, whatever its status.
        """
        settings, self.status = self.settings, None
        left = max(deadline.remaining(), 0.001)
        response = self.session.send(
            prepared,
            stream=True,
            allow_redirects=False,
            timeout=(min(settings.connect_timeout, left), min(settings.read_timeout, left)),
            verify=settings.verify,
            proxies=settings.proxies,
        )
        with response:
            return self._read(response, deadline)

    def prepare(self, method: str, path: str, json: Any, params: Any) -> requests.PreparedRequest:
        """
        Return a request that can be sent.

        :param method: HTTP method.
        :param path: below the base URL, its ids checked.
        :param json: body, None for none.
        :param params: query, None for none.
        :raises AitronosInputError: if the request cannot be sent as it is.
        """
        url = f"{self.settings.base_url}{path}"
        try:
            # Not by the session, which would add cookies that the server has set.
            prepared = requests.Request(
                method, url, headers=_HEADERS, params=params, json=json, auth=self.settings.auth
            ).prepare()
        except (requests.RequestException, ValueError, TypeError, RecursionError) as error:
            problem = type(error).__name__
        else:
            # requests resolves "..", decodes "%2e" and cuts at "#". The check of ids keeps those out; this
            # does not rely on it.
            if (prepared.url or "").partition("?")[0] == url:
                if isinstance(prepared.body, bytes) and len(prepared.body) > _LARGE_UPLOAD:
                    # Sent block by block: a socket's timeout counts for all that it is given at once.
                    prepared.body = BytesIO(prepared.body)  # type: ignore[assignment]  # as requests' own
                return prepared
            problem = "its URL would lead elsewhere"
        raise refusal(
            f"{method} {safe_text(path, limit=200)} cannot be sent ({problem}).",
            "Check ids, query and body.",
        )

    def _read(self, response: requests.Response, deadline: Deadline) -> Response:
        self.status = status = response.status_code
        if status < 200:
            # The final response may still come, and must not be taken for the answer to the next request.
            self.close()
        if 300 <= status < 400:
            return Response(status, response.headers, b"")
        body = bytearray()
        try:
            response.raw.decode_content = True
            # To the end, or a chunked response costs the connection. Positionally, for vcrpy.
            while chunk := response.raw.read1(_READ_SIZE):
                if body and deadline.remaining() <= 0:
                    raise requests.exceptions.ReadTimeout("total_timeout")
                body += chunk
                if len(body) > BODY_LIMIT:
                    return Response(status, response.headers, b"", is_too_large=True)
        except NO_RESPONSE:
            # A success and a 404 need their body to be understood; any other status decides alone.
            if status < 300 or status == 404:
                raise
            body.clear()
        return Response(status, response.headers, bytes(body))

    def close(self) -> None:
        """Close all connections; the next request opens new ones."""
        if (session := self.__dict__.pop("session", None)) is not None:
            session.close()


class _HideUnreadableHeaders(logging.Filter):
    """Keep header lines that urllib3 could not read out of its warning: they may repeat the key."""

    def filter(self, record: logging.LogRecord) -> bool:
        if "parse headers" in str(record.msg):
            record.msg, record.args, record.exc_info = (
                "Some header lines of a response are unreadable",
                (),
                None,
            )
        return True


logging.getLogger("urllib3.connection").addFilter(_HideUnreadableHeaders())
