"""The sandbox as a test sees it: prepare it, script faults, check what was done."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest

from airflow_aitronos.sandbox.errors import ApiError
from airflow_aitronos.sandbox.faults import Fault, FaultKind
from airflow_aitronos.sandbox.recorder import RecordedRequest
from airflow_aitronos.sandbox.server import SandboxServer

DEFAULT_CONN_ID = "aitronos_default"


class Sandbox:
    """
    Prepare a running sandbox and check what was done to it.

    All faults take the same further arguments. ``times``: for how many requests, one unless given. ``skip``:
    how many such requests pass before. ``method`` and ``path``: for which requests; the path is a regular
    expression that matches all of it. ``delay``: seconds that the caller waits first. ``after_commit``:
    whether the request is carried out, so that only its response is lost. ``optional``: whether the test
    passes although no request meets the fault. Each request meets the first fault that is meant for it.

    :param server: a sandbox that runs.
    :param patch: sets environment variables, and whose owner puts them back.
    """

    def __init__(self, server: SandboxServer, patch: pytest.MonkeyPatch) -> None:
        self._server = server
        self._patch = patch
        self._required: Counter[str] = Counter()
        self._optional: Counter[str] = Counter()

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
        """
        connection = json.loads(self._server.connection_json())
        if api_key is not None:
            connection["password"] = api_key
        self._patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({**connection, "extra": extra}))
        for name in ("AIRFLOW__SECRETS__BACKEND", "AIRFLOW__WORKERS__SECRETS_BACKEND"):
            self._patch.setenv(name, "")
        _clear_secrets_backends()

    @contextmanager
    def connected(self, conn_id: str = DEFAULT_CONN_ID, **arguments: Any) -> Iterator[None]:
        """
        Set the Airflow connection inside a ``with`` block, and put the former one back after it.

        :param conn_id: id of the connection.
        :param arguments: as for :meth:`connect`.
        """
        with pytest.MonkeyPatch.context() as patch:
            Sandbox(self._server, patch).connect(conn_id, **arguments)
            yield

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
        :raises ValueError: if there is no such assistant or workflow, or the assistant has one already.
        """
        try:
            self._server.store.link(assistant_id, workflow_id)
        except ApiError as error:
            raise ValueError(f"Cannot link {workflow_id} to {assistant_id}: {error.message}") from None

    def unlink(self, assistant_id: str) -> None:
        """
        Unlink the workflow of an assistant, as somebody else would; it does not count as detached.

        :param assistant_id: the assistant.
        """
        self._server.store.unlink(assistant_id)

    # --- faults ---

    def fail(
        self, status: int, code: str | None = None, *, retry_after: float | str | None = None, **which: Any
    ) -> None:
        """
        Answer the next request with an error envelope.

        :param status: HTTP status, 400 to 599.
        :param code: code in the envelope, one that fits the status unless given.
        :param retry_after: value of the ``Retry-After`` header: seconds, or a date as text.
        :param which: see the class.
        """
        header = None if retry_after is None else str(retry_after)
        self._script("status", status=status, code=code, retry_after=header, **which)

    def reset_connection(self, **which: Any) -> None:
        """
        Reset the connection of the next request instead of a response.

        :param which: see the class.
        """
        self._script("reset", **which)

    def truncate(self, **which: Any) -> None:
        """
        Break off in the middle of the next response's body.

        :param which: see the class.
        """
        self._script("truncate", **which)

    def delay(self, seconds: float, **which: Any) -> None:
        """
        Answer the next request normally, but late.

        :param seconds: how late; real ones, whatever clock the hook has.
        :param which: see the class.
        """
        self._script("delay", delay=seconds, **which)

    def _script(self, kind: FaultKind, *, optional: bool = False, **fields: Any) -> None:
        fault = Fault(kind, **fields)
        self._server.faults.add(fault)
        (self._optional if optional else self._required)[_described(fault)] += 1

    @property
    def pending_faults(self) -> list[Fault]:
        """Return the faults that are still to come, each with the ``times`` that are left."""
        return self._server.faults.pending

    def assert_faults_met(self) -> None:
        """
        Check that each fault met a request, optional ones aside; done at the end of each test.

        :raises AssertionError: if not; the text lists the faults and the requests.
        """
        # A fault that some requests have met has fewer times left, so its description is another one.
        pending = Counter(_described(fault) for fault in self.pending_faults)
        if unmet := list(((pending - self._optional) & self._required).elements()):
            self._fail(f"No request met: {'; '.join(unmet)}. Remove it, or add optional=True.")

    # --- checks ---

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
        Check that an assistant's workflow was detached exactly once, and that it has none now.

        A request that is repeated after a lost response detaches nothing more: that is still once.

        :param assistant_id: the assistant.
        :param workflow_id: the workflow that it has to be, any unless given.
        :raises AssertionError: if not; the text lists the requests.
        """
        detached = [one for one in self._server.store.detached if one[0] == assistant_id]
        self._compare({assistant_id: workflow_id}, detached)

    def assert_detached_exactly(self, expected: Mapping[str, str] | Collection[str]) -> None:
        """
        Check that these workflows were detached, each exactly once, and no others.

        :param expected: the workflow of each assistant by the assistant's id, or only the assistants' ids.
        :raises AssertionError: if not, or if one of them is linked again; the text lists the differences and
            the requests.
        """
        by_assistant = expected if isinstance(expected, Mapping) else dict.fromkeys(expected)
        self._compare(by_assistant, self._server.store.detached)

    def assert_nothing_detached(self) -> None:
        """
        Check that no workflow was detached.

        :raises AssertionError: if one was; the text lists which and the requests.
        """
        self.assert_detached_exactly({})

    def _compare(self, expected: Mapping[str, str | None], detached: list[tuple[str, str]]) -> None:
        links, workflows = self.links, {assistant: list[str]() for assistant in expected}
        for assistant, workflow in detached:
            workflows.setdefault(assistant, []).append(workflow)
        differences = [
            f"{one}: expected {expected.get(one, 'nothing') or 'one workflow'}, "
            f"detached {', '.join(found) or 'nothing'}, linked now {links.get(one)}."
            for one, found in workflows.items()
            if len(found) != 1 or expected.get(one, "") not in (None, *found) or links.get(one) is not None
        ]
        if differences:
            self._fail("\n".join(differences))

    def _fail(self, message: str) -> NoReturn:
        lines = []
        for one in self.requests:
            scripted = f" (scripted: {one.fault})" if one.fault else ""
            lines.append(f"  {one.method} {one.path} -> {one.status_code or 'no response'}{scripted}")
        raise AssertionError("\n".join([f"{message} Requests:", *(lines or ["  none"])]))


def _described(fault: Fault) -> str:
    requests = " ".join(filter(None, [fault.method, fault.path])) or "any request"
    return f"{fault} for {requests}, times={fault.times}"


def _clear_secrets_backends() -> None:
    # Airflow 3.3 and later keep the backends that they had in another test. Airflow may not be imported yet.
    configuration = sys.modules.get("airflow.sdk.configuration")
    if (clear := getattr(configuration, "clear_secrets_backends_cache", None)) is not None:
        clear()
