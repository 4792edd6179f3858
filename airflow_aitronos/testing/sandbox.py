"""The sandbox as a test sees it: prepare it, script what goes wrong, look at what was done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from airflow_aitronos.sandbox.faults import Fault
from airflow_aitronos.sandbox.recorder import RecordedRequest
from airflow_aitronos.sandbox.server import SandboxServer
from airflow_aitronos.testing import own_connection

DEFAULT_CONN_ID = "aitronos_default"


class Sandbox:
    """
    Prepare a running sandbox and look at it.

    The faults take the same last arguments. ``times``: for how many requests, one unless given. ``method``
    and ``path``: for which ones, a regular expression that the whole path matches. ``delay``: seconds to
    keep the caller waiting first. ``after_commit``: whether the request is carried out, so that only its
    answer is lost. Each request meets the first fault in line that is meant for it.

    :param server: a sandbox that runs.
    :param patch: sets environment variables, and whose owner puts them back.
    """

    def __init__(self, server: SandboxServer, patch: pytest.MonkeyPatch) -> None:
        self._server = server
        self._patch = patch

    @property
    def url(self) -> str:
        """Return the base URL."""
        return self._server.url

    @property
    def read_only_key(self) -> str:
        """Return the API key that may only read."""
        return self._server.read_only_key

    # --- prepare ---

    def connect(self, conn_id: str = DEFAULT_CONN_ID, *, api_key: str | None = None, **extra: Any) -> None:
        """
        Set the Airflow connection to this sandbox in the environment, until the test is over.

        Secrets backends are turned off for as long, because Airflow would ask them first.

        :param conn_id: id of the connection.
        :param api_key: the key, the one that may do everything unless given.
        :param extra: the connection's Extra, such as ``max_attempts=2``.
        :raises pytest.UsageError: if Airflow finds another connection all the same.
        """
        self._connect(self._patch, conn_id, api_key, extra)

    @contextmanager
    def connected(
        self, conn_id: str = DEFAULT_CONN_ID, *, api_key: str | None = None, **extra: Any
    ) -> Iterator[None]:
        """
        Set the Airflow connection inside a ``with`` block, and put the former one back after it.

        :param conn_id: id of the connection.
        :param api_key: the key, the one that may do everything unless given.
        :param extra: the connection's Extra, such as ``max_attempts=2``.
        """
        with pytest.MonkeyPatch.context() as patch:
            self._connect(patch, conn_id, api_key, extra)
            yield

    def _connect(
        self, patch: pytest.MonkeyPatch, conn_id: str, api_key: str | None, extra: dict[str, Any]
    ) -> None:
        connection = json.loads(self._server.connection_json())
        if api_key is not None:
            connection["password"] = api_key
        patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({**connection, "extra": extra}))
        for name, value in own_connection.NO_SECRETS_BACKEND.items():
            patch.setenv(name, value)
        own_connection.require(conn_id, self.url)

    def add_assistant(self, assistant_id: str, *, workflow_id: str | None = None) -> None:
        """
        Add an assistant.

        :param assistant_id: its id.
        :param workflow_id: a new workflow to link to it; for one that exists use :meth:`link`.
        :raises ValueError: if there is one with such an id already.
        """
        # First, so that a workflow that is refused leaves no assistant behind.
        if workflow_id is not None:
            self.add_workflow(workflow_id)
        self._server.store.add_assistant(assistant_id, assistant_id=assistant_id)
        if workflow_id is not None:
            self.link(assistant_id, workflow_id)

    def add_workflow(self, workflow_id: str, *, external_id: str | None = None) -> None:
        """
        Add a workflow that no assistant uses.

        :param workflow_id: its id.
        :param external_id: its name in another system.
        :raises ValueError: if there is one with such an id already.
        """
        definition: dict[str, Any] = {"nodes": [{"id": "llm_1", "type": "llm"}], "edges": []}
        self._server.store.add_workflow(
            workflow_id, definition, workflow_id=workflow_id, external_id=external_id
        )

    def link(self, assistant_id: str, workflow_id: str) -> None:
        """
        Link a workflow to an assistant that has none.

        :param assistant_id: the assistant.
        :param workflow_id: the workflow.
        """
        self._server.store.link(assistant_id, workflow_id)

    def unlink(self, assistant_id: str) -> None:
        """
        Take the workflow off an assistant, as somebody else would; :meth:`assert_detached_once` ignores it.

        :param assistant_id: the assistant.
        """
        self._server.store.unlink(assistant_id)

    # --- what goes wrong ---

    def fail(
        self, status: int, code: str | None = None, *, retry_after: float | str | None = None, **which: Any
    ) -> None:
        """
        Answer the next request with an error envelope.

        :param status: HTTP status, 400 to 599.
        :param code: code in the envelope, one that fits the status unless given.
        :param retry_after: value of the ``Retry-After`` header: seconds, or a date as text.
        :param which: ``times``, ``method``, ``path``, ``delay``, ``after_commit``; see the class.
        """
        header = None if retry_after is None else str(retry_after)
        self._server.faults.add(Fault("status", status=status, code=code, retry_after=header, **which))

    def reset_connection(self, **which: Any) -> None:
        """
        Reset the connection of the next request instead of an answer.

        :param which: ``times``, ``method``, ``path``, ``delay``, ``after_commit``; see the class.
        """
        self._server.faults.add(Fault("reset", **which))

    def truncate(self, **which: Any) -> None:
        """
        Break off in the middle of the next answer's body.

        :param which: ``times``, ``method``, ``path``, ``delay``, ``after_commit``; see the class.
        """
        self._server.faults.add(Fault("truncate", **which))

    def delay(self, seconds: float, **which: Any) -> None:
        """
        Answer the next request well, but late.

        :param seconds: how late; real ones, whatever clock the hook has.
        :param which: ``times``, ``method``, ``path``, ``after_commit``; see the class.
        """
        self._server.faults.add(Fault("delay", delay=seconds, **which))

    @property
    def pending_faults(self) -> list[Fault]:
        """Return the faults that no request has met yet."""
        return self._server.faults.pending

    # --- look ---

    @property
    def requests(self) -> list[RecordedRequest]:
        """Return the requests so far, the last 10,000 at most, oldest first."""
        return self._server.requests

    @property
    def links(self) -> dict[str, str | None]:
        """Return every assistant's workflow, None for those that have none."""
        return self._server.store.links

    def assert_detached_once(self, assistant_id: str, workflow_id: str | None = None) -> None:
        """
        Check that a workflow was taken off an assistant exactly once, and that it has none now.

        A request that is repeated after a lost answer takes off nothing more: that is still once.

        :param assistant_id: the assistant.
        :param workflow_id: the workflow that it has to be, any unless given.
        :raises AssertionError: if not; the text lists what was sent.
        """
        taken = [flow for one, flow in self._server.store.detached if one == assistant_id]
        now = self.links.get(assistant_id)
        if len(taken) == 1 and now is None and workflow_id in (None, taken[0]):
            return
        what = f" ({workflow_id})" if workflow_id else ""
        raise AssertionError(
            f"{assistant_id} should have lost its workflow{what} exactly once; "
            f"taken off: {', '.join(taken) or 'nothing'}; linked now: {now}. Sent:\n{self._sent()}"
        )

    def _sent(self) -> str:
        lines = []
        for one in self.requests:
            answer = one.status_code or "no reply"
            scripted = f" (scripted: {one.fault})" if one.fault else ""
            lines.append(f"  {one.method} {one.path} -> {answer}{scripted}")
        return "\n".join(lines) or "  nothing"
