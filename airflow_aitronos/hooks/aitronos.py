"""The hook: an Airflow connection in, named API calls out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_aitronos._compat import AirflowSkipException
from airflow_aitronos.client import links, workflows
from airflow_aitronos.client.call import Client
from airflow_aitronos.client.clock import Clock, SystemClock
from airflow_aitronos.client.detach import check_operation, check_rules, detach_operation
from airflow_aitronos.client.key_check import KeyValidation, check_key, validate_key
from airflow_aitronos.client.operation import generic_operation
from airflow_aitronos.client.options import IfNotAttached
from airflow_aitronos.client.pages import check_page_size, read_pages
from airflow_aitronos.client.settings import Settings, load_settings
from airflow_aitronos.exceptions import AitronosConfigurationError

if TYPE_CHECKING:
    import requests

    from airflow_aitronos.client.detach import Memory
    from airflow_aitronos.client.detach_rules import DetachOutcome, DetachResult
    from airflow_aitronos.client.workflows import DeployedWorkflow, PromoteResult, Workflow

TEST_TIMEOUT = 10.0
"""Seconds that the *Test* button waits at most: it runs in a web request."""


class AitronosHook(BaseHook):
    """
    Call the Aitronos API through an Airflow connection of type ``aitronos``.

    Every option is taken from the argument, else from the connection's Extra, else from the default. Reuse
    one hook for many calls, best as a context manager: its connections to the server stay open in between.
    A hook belongs to one thread.

    :param aitronos_conn_id: id of the connection: Password holds the API key, Host the base URL.
    :param connect_timeout: seconds to connect. Default 5.
    :param read_timeout: seconds without a byte. Default 30.
    :param total_timeout: seconds for one call: all attempts, waits and slow bodies together; only the
        resolution of the host name cannot be interrupted. Default 120.
    :param max_attempts: requests at most for one call, 1 to 10. Default 4.
    :param max_backoff: longest wait of our own choosing between two attempts, in seconds. Default 20.
    :param max_retry_after: longest ``Retry-After`` that is waited for inside a call, in seconds. Default 60.
    :param verify: True, or the path of a CA bundle; False gives up the protection of TLS. Default True.
    :param allow_http: permit ``http://`` to a host other than this machine. Default False.
    """

    conn_name_attr: ClassVar[str] = "aitronos_conn_id"
    default_conn_name: ClassVar[str] = "aitronos_default"
    conn_type: ClassVar[str] = "aitronos"
    hook_name: ClassVar[str] = "Aitronos"

    clock: ClassVar[Clock] = SystemClock()

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
        self._is_cancelled = False

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
        settings = load_settings(
            self.aitronos_conn_id,
            self.get_connection(self.aitronos_conn_id),
            self._arguments,
            mask_secret=mask_secret,
        )
        for line in settings.warnings():
            self.log.warning("%s", line)
        return settings

    @cached_property
    def _client(self) -> Client:
        return self._new_client(self.settings)

    def _new_client(self, settings: Settings) -> Client:
        return Client(
            settings,
            log=self.log,
            mask_secret=mask_secret,
            is_cancelled=lambda: self._is_cancelled,
            clock=self.clock,
        )

    def get_conn(self) -> requests.Session:
        """
        Return the session that calls are sent through.

        It sends the API key to the connection's own host only and follows no redirect. It does not retry, has
        no deadline, and does not read replies: prefer :meth:`request`.
        """
        return self._client.transport.session

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
        :return: the JSON object of the reply; empty for a 204 to a DELETE. All of it can go to XCom, unless
            it has keys that Airflow keeps for itself, ``__classname__`` and ``__id__``.
        :raises AitronosInputError: if the call cannot be sent.
        :raises AitronosUnsafeToRepeatError: if it is unknown whether a call was carried out that may not be
            sent again.
        :raises AitronosError: one of its subclasses for every other end but success.
        """
        operation = generic_operation(
            method, path, path_params=path_params, json=json, params=params, idempotent=idempotent
        )
        return cast("dict[str, Any]", self._client.call(operation))

    def detach_assistant_workflow(
        self,
        assistant_id: str,
        *,
        expected_workflow_id: str | None = None,
        if_not_attached: IfNotAttached | None = None,
        record_workflow: bool | None = None,
        include_workflow_details: bool = False,
        check_only: bool = False,
        memory: Memory | None = None,
    ) -> DetachResult:
        """
        Take the workflow off an assistant; the workflow itself is not deleted, and there is no undo.

        :param assistant_id: the assistant.
        :param expected_workflow_id: detach only this one, reading the link before every DELETE; None for any.
        :param if_not_attached: ``succeed``, ``skip`` or ``fail``; None: a 200 is good, a 404 is an error.
        :param record_workflow: read the link before every DELETE, log it, return its id whatever comes.
        :param include_workflow_details: read the link, and return ``workflow`` too.
        :param check_only: read the link, and send no DELETE.
        :param memory: of DELETEs that were sent before; for operators.
        :return: :class:`~airflow_aitronos.client.detach_rules.DetachResult`.
        :raises AitronosWorkflowMismatchError: if another workflow is linked than the expected one.
        :raises AitronosNotAttachedError: if nothing is linked, and that is to ``fail``.
        :raises airflow.exceptions.AirflowSkipException: if nothing is linked, and that is to ``skip``.
        :raises AitronosError: one of its subclasses for every other end but success.
        """
        rules = check_rules(
            assistant_id,
            expected_workflow_id,
            if_not_attached=if_not_attached,
            record_workflow=record_workflow,
            include_workflow_details=include_workflow_details,
            check_only=check_only,
        )
        operation = check_operation(rules) if check_only else detach_operation(rules, memory)
        outcome: DetachOutcome = self._client.call(operation)
        if if_not_attached == "skip" and not outcome.was_attached:
            raise AirflowSkipException(f"Assistant '{rules.assistant_id}' has no workflow linked.")
        return outcome.result

    def get_assistant_workflow(self, assistant_id: str) -> Workflow | None:
        """
        Read which workflow is linked to an assistant.

        :param assistant_id: the assistant.
        :return: the workflow, its fields as in :class:`~airflow_aitronos.client.workflows.Workflow`, or None
            if none is linked.
        :raises AitronosNotFoundError: if there is no such assistant, or no telling whether there is.
        :raises AitronosError: one of its subclasses for every other end but success.
        """
        operation = links.get_assistant_workflow(assistant_id)
        return cast("Workflow | None", self._client.call(operation))

    def get_workflow(self, workflow_id: str) -> Workflow:
        """
        Read a workflow.

        :param workflow_id: the workflow.
        :return: its fields, as in :class:`~airflow_aitronos.client.workflows.Workflow`.
        :raises AitronosError: one of its subclasses for every end but success.
        """
        operation = workflows.get_workflow(workflow_id)
        return cast("Workflow", self._client.call(operation))

    def list_workflows(
        self, *, external_id: str | None = None, active_only: bool | None = None, page_size: int = 100
    ) -> Iterator[Workflow]:
        """
        Read the workflows of the key's organization, one page after the other as you iterate.

        :param external_id: only the workflow with this one.
        :param active_only: only active ones.
        :param page_size: workflows in one call.
        :return: each workflow, its fields as in :class:`~airflow_aitronos.client.workflows.Workflow`.
        :raises AitronosResponseError: if a page repeats workflows of the page before it.
        :raises AitronosError: one of its subclasses for every other end but success.
        """
        filters = {"external_id": external_id, "active_only": active_only}
        check_page_size(page_size)
        return read_pages(self._client, filters, page_size)

    def create_workflow(
        self,
        *,
        name: str,
        definition: dict[str, Any],
        description: str | None = None,
        external_id: str | None = None,
    ) -> DeployedWorkflow:
        """
        Create a workflow, or update the one with the same ``external_id``.

        Without ``external_id`` the call is never sent again once it may have arrived: it would make a second
        workflow.

        :param name: of the workflow.
        :param definition: its graph of nodes.
        :param description: of the workflow.
        :param external_id: your own id for it.
        :return: the workflow, its fields as in :class:`~airflow_aitronos.client.workflows.Workflow`, and
            ``created``: True if the call made it, False if it updated it, None if the answer leaves that
            open, as the vendor does not document how versions count.
        :raises AitronosUnsafeToRepeatError: if it is unknown whether it was created, and there is no
            ``external_id``.
        :raises AitronosError: one of its subclasses for every other end but success.
        """
        fields = {
            "name": name,
            "definition": definition,
            "description": description,
            "external_id": external_id,
        }
        operation = workflows.create_workflow(fields, now=self.clock.time())
        return cast("DeployedWorkflow", self._client.call(operation))

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
        :raises AitronosError: one of its subclasses for every other end but success.
        """
        fields = {
            "name": name,
            "description": description,
            "definition": definition,
            "is_active": is_active,
            "external_id": external_id,
        }
        operation = workflows.update_workflow(workflow_id, fields)
        return cast("Workflow", self._client.call(operation))

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
        :raises AitronosError: one of its subclasses for every other end but success.
        """
        fields = {"name": name, "description": description, "primary_node_id": primary_node_id}
        operation = workflows.promote_workflow(workflow_id, fields)
        return cast("PromoteResult", self._client.call(operation))

    def validate_key(self) -> KeyValidation:
        """
        Ask the API about the key, which changes nothing.

        :return: ``is_valid`` (bool), ``error`` (str or None) and ``requires_reconnect`` (bool or None). Only
            ``is_valid`` decides: a text under ``error`` can stand beside a true one.
        :raises AitronosAuthenticationError: if the API refuses the key instead.
        :raises AitronosError: one of its subclasses for every other end but success.
        """
        return cast("KeyValidation", self._client.call(validate_key()))

    def test_connection(self) -> tuple[bool, str]:
        """
        Check the API key without changing anything: what the *Test* button does.

        One ``GET /v1/auth/validate`` ("Validate authentication" page of the vendor's API reference), with no
        retry.

        :return: whether the key was accepted, and a text without anything from the reply's body.
        """
        try:
            client = self.quick_client()
        except AitronosConfigurationError as error:
            return False, str(error)
        try:
            return check_key(client)
        finally:
            client.close()

    def quick_client(self) -> Client:
        """
        Return a client of its own that tries once and waits no longer than a person would.

        :raises AitronosConfigurationError: if the connection or an argument cannot be used.
        """
        total_timeout = min(self.settings.total_timeout, TEST_TIMEOUT)
        return self._new_client(replace(self.settings, max_attempts=1, total_timeout=total_timeout))

    @property
    def last_request_id(self) -> str | None:
        """The ``x-request-id`` of the last reply; None before the first, or if it had none."""
        client: Client | None = self.__dict__.get("_client")
        return client.last_request_id if client is not None else None

    def cancel(self) -> None:
        """
        Send nothing any more; for ``on_kill`` of operators.

        The call under way ends with :class:`AitronosCancelledError`: a wait within half a second, a request
        when its reply is there.
        """
        # A plain bool: this runs in a signal handler, where taking a lock can deadlock.
        self._is_cancelled = True

    def close(self) -> None:
        """Close the connections to the server; the next call opens new ones."""
        if (client := self.__dict__.get("_client")) is not None:
            client.close()

    def __enter__(self) -> Self:
        """Return the hook itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the connections to the server."""
        self.close()
