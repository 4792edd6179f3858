"""The hook: an Airflow connection in, named API calls out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_aitronos._compat import AirflowSkipException
from airflow_aitronos.client import workflows
from airflow_aitronos.client.api_call import Client
from airflow_aitronos.client.deadline import Clock
from airflow_aitronos.client.detach import Detach, SentState, Wanted
from airflow_aitronos.client.http import Http
from airflow_aitronos.client.sanitize import Log
from airflow_aitronos.client.settings import Settings, SettingsLoader
from airflow_aitronos.exceptions import AitronosError

if TYPE_CHECKING:
    import requests

    from airflow_aitronos.client.detach import DetachResult
    from airflow_aitronos.client.pace import Pace
    from airflow_aitronos.client.validation import IfNotAttached
    from airflow_aitronos.client.workflows import KeyValidation, PromoteResult, Workflow

TEST_TIMEOUT = 10.0
"""Longest time that *Test connection* takes, in seconds: it runs in a web request."""


class AitronosHook(BaseHook):
    """
    Call the Aitronos API through an Airflow connection of type ``aitronos``.

    Each option is the argument, else the connection's Extra, else the default. Use one hook for many calls,
    best as a context manager: its connections to the server stay open in between. A hook belongs to one
    thread of one process.

    :param aitronos_conn_id: id of the connection: Password holds the API key, Host the base URL.
    :param connect_timeout: seconds to connect. Default 5.
    :param read_timeout: seconds without a byte. Default 30.
    :param total_timeout: seconds for one call: all attempts, waits and slow bodies together. Name resolution,
        an upload in progress and headers that come byte by byte are not bounded by it: set Airflow's
        ``execution_timeout``, too. Default 120.
    :param max_attempts: maximum attempts for one call, 1 to 10. Default 4.
    :param max_backoff: longest wait between two attempts if the server names none, in seconds. Default 20.
    :param max_retry_after: longest wait named by the server that a call waits for, in seconds. Default 60.
    :param verify: True, or the path of a CA bundle; False gives up the protection of TLS. Default True.
    :param allow_http: permit ``http://`` to a host other than this machine. Default False.
    """

    conn_name_attr: ClassVar[str] = "aitronos_conn_id"
    default_conn_name: ClassVar[str] = "aitronos_default"
    conn_type: ClassVar[str] = "aitronos"
    hook_name: ClassVar[str] = "Aitronos"

    clock: ClassVar[Clock] = time

    def __init__(
        self,
        aitronos_conn_id: str = default_conn_name,
        *,
        connect_timeout: float | None = None,
        read_timeout: float | None = None,
        total_timeout: float | None = None,
        max_attempts: int | None = None,
        max_backoff: float | None = None,
        max_retry_after: float | None = None,
        verify: bool | str | None = None,
        allow_http: bool | None = None,
    ) -> None:
        super().__init__()
        self.aitronos_conn_id = aitronos_conn_id
        self._arguments: dict[str, Any] = {
            "connect_timeout": connect_timeout,
            "read_timeout": read_timeout,
            "total_timeout": total_timeout,
            "max_attempts": max_attempts,
            "max_backoff": max_backoff,
            "max_retry_after": max_retry_after,
            "verify": verify,
            "allow_http": allow_http,
        }
        self.defaults: Mapping[str, Any] = {}
        """Internal: defaults of options that an operator replaces; argument and Extra go before them."""
        self._cancelled = False
        self.is_cancelled: Callable[[], bool] = lambda: self._cancelled
        """Asked before each request and in each slice of a wait; operators set their own."""

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how Airflow 3.1 shows the connection form; later versions read the provider info."""
        from airflow_aitronos.get_provider_info import get_provider_info

        behaviour = get_provider_info()["connection-types"][0]["ui-field-behaviour"]
        return {
            "hidden_fields": behaviour["hidden-fields"],
            "relabeling": behaviour["relabeling"],
            "placeholders": behaviour["placeholders"],
        }

    @cached_property
    def settings(self) -> Settings:
        """
        The connection, checked.

        :raises AitronosConfigurationError: if the connection or an argument cannot be used.
        :raises airflow.exceptions.AirflowNotFoundException: if Airflow does not know the connection, or its
            secrets backend is down.
        """
        return self._load_settings(
            SettingsLoader(self.aitronos_conn_id, self.get_connection(self.aitronos_conn_id), mask_secret)
        )

    async def read_connection(self) -> None:
        """
        Read the connection on an event loop, for a trigger that then calls the hook in a thread.

        On Airflow 3.1 a thread cannot: the triggerer's channel to its supervisor is bound to the loop.

        :raises AitronosConfigurationError: as :attr:`settings` does.
        :raises airflow.exceptions.AirflowNotFoundException: as :attr:`settings` does.
        """
        self.settings = self._load_settings(
            SettingsLoader(
                self.aitronos_conn_id, await self.aget_connection(self.aitronos_conn_id), mask_secret
            )
        )

    def _load_settings(self, loader: SettingsLoader) -> Settings:
        settings = loader.load(self._arguments, self.defaults)
        for line in settings.warnings():
            self.log.warning("%s", line)
        return settings

    @cached_property
    def _client(self) -> Client:
        # Asked each time, since an operator sets is_cancelled once it has the hook.
        return Client(Http(self.settings), Log(self.log), self.clock, lambda: self.is_cancelled())  # noqa: PLW0108

    def new_client(self, pace: Pace) -> Client:
        """
        Return what one thread makes its calls with; for operators that make many.

        :param pace: of all the calls.
        """
        return replace(self._client, http=Http(self.settings), pace=pace)

    def get_conn(self) -> requests.Session:
        """
        Return the session that calls are sent through.

        It sends the API key to the connection's own host only and follows no redirect. It does not retry and
        has no deadline: prefer :meth:`request`.
        """
        return self._client.http.session

    def request(
        self,
        method: str,
        path: str,
        *,
        path_params: Mapping[str, object] | None = None,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        idempotent: bool | None = None,
    ) -> dict[str, Any]:
        """
        Make any call of the API.

        :param method: GET, POST, PUT, PATCH or DELETE.
        :param path: a template such as ``/v1/workflows/{workflow_id}``; below the base URL.
        :param path_params: the ids in the template by name, each checked.
        :param json: body.
        :param params: query.
        :param idempotent: whether the call may be sent again when it may have been carried out already.
            Default: GET and DELETE may, others may not. Say True for an upsert.
        :return: the JSON object of the response; empty for a 204 to a DELETE. All of it can go to XCom,
            unless it has keys that Airflow keeps for itself, ``__classname__`` and ``__id__``.
        :raises AitronosInputError: if the call cannot be sent.
        :raises AitronosUnsafeToRepeatError: if it is unknown whether a call was carried out that may not be
            sent again.
        :raises AitronosError: one of its subclasses for every other outcome but success.
        """
        return workflows.request(
            self._client,
            method,
            path,
            path_params=path_params,
            json=json,
            params=params,
            idempotent=idempotent,
        )

    def detach_assistant_workflow(
        self,
        assistant_id: str,
        *,
        expected_workflow_id: str | None = None,
        if_not_attached: IfNotAttached | None = None,
        record_workflow: bool | None = None,
        include_workflow_details: bool = False,
        check_only: bool = False,
        state: SentState | None = None,
    ) -> DetachResult:
        """
        Detach the workflow of an assistant ("Detach workflow from assistant" page).

        The workflow itself is not deleted. There is no undo: no call links a workflow to an assistant again.

        :param assistant_id: the assistant.
        :param expected_workflow_id: detach only this one, and read the link before every DELETE; None for
            any.
        :param if_not_attached: outcome if nothing is linked: ``succeed``, ``skip`` or ``fail``; None: a 200
            is a success, a 404 is an error.
        :param record_workflow: read the link before every DELETE, log it, and return its id in any case.
        :param include_workflow_details: read the link, and return ``workflow`` too.
        :param check_only: read the link, and send no DELETE.
        :param state: what earlier tries of a task have sent; for operators.
        :return: ``assistant_id`` (str), ``workflow_id`` (str or None), ``message`` (str or None) and
            ``outcome``: ``detached``, ``not_attached`` or ``would_detach``; with details also ``workflow``:
            None, or ``id`` (str), ``name`` (str or None), ``version`` (int or None) and ``external_id`` (str
            or None).
        :raises AitronosWorkflowMismatchError: if another workflow is linked than the expected one.
        :raises AitronosNotAttachedError: if nothing is linked and ``if_not_attached`` is ``fail``.
        :raises airflow.exceptions.AirflowSkipException: if nothing is linked and it is ``skip``.
        :raises AitronosError: one of its subclasses for every other outcome but success.
        """
        wanted = Wanted(
            assistant_id,
            expected_workflow_id,
            if_not_attached,
            record_workflow,
            include_workflow_details,
            check_only,
        )
        result = Detach(self._client, wanted, state or SentState()).run()
        if result["outcome"] == "not_attached" and if_not_attached == "skip":
            raise AirflowSkipException(f"Assistant '{wanted.assistant_id}' has no workflow linked.")
        return result

    def get_assistant_workflow(self, assistant_id: str) -> Workflow | None:
        """
        Read which workflow is linked to an assistant.

        :param assistant_id: the assistant.
        :return: the workflow, its fields as in :class:`~airflow_aitronos.client.workflows.Workflow`, or None
            if none is linked.
        :raises AitronosNotFoundError: if there is no such assistant, or a 404 does not say what is missing.
        :raises AitronosError: one of its subclasses for every other outcome but success.
        """
        return workflows.get_assistant_workflow(self._client, assistant_id)

    def get_workflow(self, workflow_id: str) -> Workflow:
        """
        Read a workflow.

        :param workflow_id: the workflow.
        :return: its fields, as in :class:`~airflow_aitronos.client.workflows.Workflow`.
        :raises AitronosError: one of its subclasses for every other outcome but success.
        """
        return workflows.get_workflow(self._client, workflow_id)

    def list_workflows(
        self, *, external_id: str | None = None, active_only: bool | None = None, page_size: int = 20
    ) -> Iterator[Workflow]:
        """
        Read the workflows of the key's organization, one page after the other as you iterate.

        :param external_id: only the workflow with this one.
        :param active_only: only active ones.
        :param page_size: workflows in one call, 1 to 100; halved where a page is over 8 MiB.
        :return: each workflow, its fields as in :class:`~airflow_aitronos.client.workflows.Workflow`.
        :raises AitronosResponseError: if a page repeats workflows of the page before it.
        :raises AitronosError: one of its subclasses for every other outcome but success.
        """
        filters = {"external_id": external_id, "active_only": active_only}
        return workflows.list_workflows(self._client, filters, page_size)

    def get_assistant(self, assistant_id: str) -> dict[str, Any]:
        """
        Read an assistant.

        :param assistant_id: the assistant.
        :return: the assistant as the API shows it, with its ``id``; ``workflow_id`` is the linked workflow.
        :raises AitronosError: one of its subclasses for every other outcome but success.
        """
        return workflows.get_assistant(self._client, assistant_id)

    def list_assistants(
        self,
        organization_id: str,
        *,
        search: str | None = None,
        access_mode: str | None = None,
        include_inactive: bool | None = None,
        sort_by: str | None = None,
        sort_order: str | None = None,
        fields: Literal["summary", "standard", "full"] | None = None,
        page_size: int = 50,
    ) -> Iterator[dict[str, Any]]:
        """
        Read the assistants of an organization, one page after the other as you iterate.

        The API lists only those that the owner of the key may see.

        :param organization_id: the organization.
        :param search: only those whose texts hold this.
        :param access_mode: only those with this one.
        :param include_inactive: inactive ones, too.
        :param sort_by: field to sort by.
        :param sort_order: ``asc`` or ``desc``.
        :param fields: how much of each to return.
        :param page_size: assistants in one call, 1 to 100; halved where a page is over 8 MiB.
        :return: each assistant as the API shows it, with its ``id``.
        :raises AitronosResponseError: if a page repeats assistants of the page before it.
        :raises AitronosError: one of its subclasses for every other outcome but success.
        """
        filters = {
            "search": search,
            "access_mode": access_mode,
            "include_inactive": include_inactive,
            "sort_by": sort_by,
            "sort_order": sort_order,
            "fields": fields,
        }
        return workflows.list_assistants(self._client, organization_id, filters, page_size)

    def create_workflow(
        self,
        *,
        name: str,
        definition: dict[str, Any],
        description: str | None = None,
        external_id: str | None = None,
    ) -> Workflow:
        """
        Create a workflow, or update the one with the same ``external_id``.

        Without ``external_id`` the call is never sent again once it may have arrived: it would make a second
        workflow.

        :param name: of the workflow.
        :param definition: its graph of nodes.
        :param description: of the workflow.
        :param external_id: your own id for it.
        :return: the workflow, its fields as in :class:`~airflow_aitronos.client.workflows.Workflow`.
        :raises AitronosUnsafeToRepeatError: if it is unknown whether it was created, and there is no
            ``external_id``.
        :raises AitronosError: one of its subclasses for every other outcome but success.
        """
        fields = {
            "name": name,
            "definition": definition,
            "description": description,
            "external_id": external_id,
        }
        return workflows.create_workflow(self._client, fields)

    def update_workflow(
        self,
        workflow_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        definition: dict[str, Any] | None = None,
        is_active: bool | None = None,
        external_id: str | None = None,
    ) -> Workflow:
        """
        Change a workflow; what is None stays as it is.

        :param workflow_id: the workflow.
        :param name: new name.
        :param description: new description.
        :param definition: new graph of nodes.
        :param is_active: whether it is active from now on.
        :param external_id: new id of your own for it.
        :return: the workflow, its fields as in :class:`~airflow_aitronos.client.workflows.Workflow`.
        :raises AitronosUnsafeToRepeatError: if it is unknown whether it was changed.
        :raises AitronosError: one of its subclasses for every other outcome but success.
        """
        fields = {
            "name": name,
            "description": description,
            "definition": definition,
            "is_active": is_active,
            "external_id": external_id,
        }
        return workflows.update_workflow(self._client, workflow_id, fields)

    def promote_workflow_to_assistant(
        self,
        workflow_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        primary_node_id: str | None = None,
    ) -> PromoteResult:
        """
        Make a new assistant from a workflow, and link the workflow to it.

        The call is never sent again once it may have arrived: it would make a second assistant.

        :param workflow_id: the workflow.
        :param name: of the assistant.
        :param description: of the assistant.
        :param primary_node_id: the node that answers; needed where several could.
        :return: ``assistant_id`` (str), ``workflow_id`` (str) and ``message`` (str or None).
        :raises AitronosUnsafeToRepeatError: if it is unknown whether the assistant was made.
        :raises AitronosError: one of its subclasses for every other outcome but success.
        """
        fields = {"name": name, "description": description, "primary_node_id": primary_node_id}
        return workflows.promote_workflow(self._client, workflow_id, fields)

    def validate_key(self) -> KeyValidation:
        """
        Ask the API about the key, which changes nothing.

        :return: ``is_valid`` (bool), ``error`` (str or None) and ``requires_reconnect`` (bool or None). Only
            ``is_valid`` decides: a text under ``error`` can stand beside a true one.
        :raises AitronosAuthenticationError: if the API refuses the key instead.
        :raises AitronosError: one of its subclasses for every other outcome but success.
        """
        return workflows.validate_key(self._client)

    def test_connection(self) -> tuple[bool, str]:
        """
        Check the API key without changing anything: what the *Test* button does.

        One ``GET /v1/auth/validate`` ("Validate authentication" page of the vendor's API reference), with no
        retry.

        :return: whether the key was accepted, and a text without anything from the reply's body.
        """
        try:
            settings = self.settings
        except AitronosError as error:
            # Airflow calls this with a random connection id, which nobody knows.
            cause = error.cause.replace(f" of connection '{self.aitronos_conn_id}'", "")
            return False, f"{cause} {error.fix}"
        total_timeout = min(settings.total_timeout, TEST_TIMEOUT)
        http = Http(replace(settings, max_attempts=1, total_timeout=total_timeout))
        origin = settings.base_url.origin
        try:
            key = workflows.validate_key(Client(http, Log(self.log), self.clock, self.is_cancelled))
        except AitronosError as error:
            # Only the status of a response: whoever may test a connection could read through it what any host
            # on the network answers.
            cause = f"{origin} answered HTTP {error.status_code}." if error.status_code else error.cause
            return False, f"{cause} {error.fix}"
        finally:
            http.close()
        if key["is_valid"]:
            return True, f"{origin} accepted the API key."
        return False, f"{origin} says that the API key is not valid. Put a valid API key into Password."

    @property
    def last_request_id(self) -> str | None:
        """The ``x-request-id`` of the last reply; None before the first, or if it had none."""
        client: Client | None = self.__dict__.get("_client")
        return client.last_request_id if client is not None else None

    def cancel(self) -> None:
        """
        Send nothing any more; for a signal handler.

        The call in progress raises :class:`AitronosCancelledError`: in a wait within half a second, in a
        request when its response is there.
        """
        # A plain bool: taking a lock in a signal handler can deadlock.
        self._cancelled = True

    def close(self) -> None:
        """Close the connections to the server; the next call opens new ones."""
        client: Client | None = self.__dict__.get("_client")
        if client is not None:
            client.http.close()

    def __enter__(self) -> Self:
        """Return the hook itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the connections to the server."""
        self.close()
