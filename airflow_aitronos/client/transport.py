"""One request: a decoded reply comes back, or what went wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import requests
from requests.utils import select_proxy

from airflow_aitronos import __version__
from airflow_aitronos.client.adapter import DeadlineAdapter
from airflow_aitronos.client.body import ACCEPTED, BODY_LIMIT, NO_REPLY, read_body
from airflow_aitronos.client.clock import Deadline
from airflow_aitronos.client.environment import Environment, read_environment
from airflow_aitronos.client.exchange import Exchange, NotSentError, current_exchange
from airflow_aitronos.client.network_faults import network_failure, not_sent
from airflow_aitronos.client.reply import Failure, Reply
from airflow_aitronos.client.safe_text import safe_text
from airflow_aitronos.client.settings import Settings
from airflow_aitronos.exceptions import AitronosInputError

_HEAD_LIMIT = 512 * 1024
"""Bytes that a reply may take besides its body: headers, framing, and what compression adds."""

_HEADERS = {
    "User-Agent": f"airflow-provider-aitronos/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": ACCEPTED,
    "Connection": "keep-alive",
}


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
    :param is_cancelled: whether the task was told to stop; nothing is sent from then on.
    """

    def __init__(
        self, settings: Settings, *, mask_secret: Callable[[str], None], is_cancelled: Callable[[], bool]
    ) -> None:
        self._settings = settings
        self._mask_secret = mask_secret
        self._is_cancelled = is_cancelled
        self._process = os.getpid()

    @cached_property
    def session(self) -> AitronosSession:
        """The ``requests`` session, made when it is first asked for."""
        session = AitronosSession()
        session.auth = self._settings.auth
        session.verify = self._settings.verify
        session.headers.update(_HEADERS)
        session.mount("https://", DeadlineAdapter())
        session.mount("http://", DeadlineAdapter())
        return session

    @cached_property
    def _environment(self) -> Environment:
        return read_environment(self.session, self._settings, mask_secret=self._mask_secret)

    def uses_proxy(self) -> bool:
        """
        Return whether requests go through a proxy, which then resolves the host's name.

        :raises AitronosConfigurationError: if the environment names a proxy that cannot be used.
        """
        return select_proxy(str(self._settings.base_url), self._environment.proxies) is not None

    def send(self, request: Request, deadline: Deadline) -> Reply | Failure:
        """
        Send a request once.

        :param request: what to send.
        :param deadline: when the reply has to be complete.
        :return: the reply, whatever its status, or the failure.
        :raises AitronosInputError: if the request cannot be sent as it is; nothing was sent.
        :raises AitronosConfigurationError: if the environment does not let it be sent.
        """
        self._leave_connections_of_parent()
        prepared = self._prepare(request)
        environment = self._environment
        exchange = Exchange(
            deadline,
            self._is_cancelled,
            bytes_allowed=BODY_LIMIT + _HEAD_LIMIT,
            read_timeout=self._settings.read_timeout,
        )
        token = current_exchange.set(exchange)
        try:
            return self._exchange(prepared, environment, deadline)
        except NotSentError:
            return not_sent(self._settings, is_cancelled=self._is_cancelled())
        except NO_REPLY as error:
            # Read here, and not raised from here: in `error` stands the request, key included, and an
            # exception raised inside this block would carry it as its context.
            return network_failure(error, self._settings, exchange, mask=environment.mask)
        except BaseException as error:  # noqa: BLE001  # it is raised again
            # AirflowTaskTimeout and its like go on, but for the frames of requests and urllib3: among their
            # local variables is the key, and error trackers show those.
            raise error.with_traceback(None)  # noqa: B904  # the same exception, not a new one
        finally:
            current_exchange.reset(token)

    def close(self) -> None:
        """Close all connections; the next request opens new ones."""
        if (session := self.__dict__.pop("session", None)) is not None:
            session.close()

    def _leave_connections_of_parent(self) -> None:
        """Forget connections that came along in a fork: the parent reads the replies on them, too."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self.__dict__.pop("session", None)

    def _prepare(self, request: Request) -> requests.PreparedRequest:
        expected = f"{self._settings.base_url}{request.path}"
        # Not by the session, which would merge cookies, .netrc and its own settings into each request anew:
        # that is a third of the cost of a call, and lets a server hand us state to carry along.
        prepared = requests.PreparedRequest()
        try:
            prepared.prepare(
                method=request.method,
                url=expected,
                headers=_HEADERS,
                params=request.params,
                auth=self._settings.auth,
                json=request.json,
            )
        except (requests.RequestException, ValueError, TypeError, RecursionError) as error:
            problem = type(error).__name__
        else:
            # The last look before the wire. requests resolves "..", decodes "%2e" and cuts at "#"; the
            # check of ids keeps all that out, and this does not rely on it.
            on_the_wire = self._settings.base_url.origin + prepared.path_url
            if _without_query(prepared.url or "") == _without_query(on_the_wire) == expected:
                return prepared
            problem = "its URL would lead elsewhere"
        raise AitronosInputError(
            f"Nothing was sent: {request.method} {safe_text(request.path, limit=200)} cannot be sent as it "
            f"is ({problem}). Check the ids, the query and the body. Trying again cannot help."
        )

    def _exchange(
        self, prepared: requests.PreparedRequest, environment: Environment, deadline: Deadline
    ) -> Reply | Failure:
        left = max(deadline.remaining(), 0.001)
        response = self.session.send(
            prepared,
            stream=True,
            timeout=(min(self._settings.connect_timeout, left), min(self._settings.read_timeout, left)),
            verify=environment.verify,
            proxies=environment.proxies,
        )
        try:
            body = read_body(response)
            if response.status_code < 200:
                # The final reply may still come, and must not be taken for the answer to the next request.
                self.session.close()
        finally:
            # Read to its end, the reply has given its connection back already, and this does nothing.
            response.close()
        return body if isinstance(body, Failure) else Reply(response.status_code, response.headers, body)


def _without_query(url: str) -> str:
    return url.partition("?")[0]
