"""Operators on assistants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_aitronos.client.options import check_options
from airflow_aitronos.operators._base import AitronosOperator
from airflow_aitronos.operators._given import NOT_GIVEN, check_not_lost, how_given

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_aitronos.client.detach_rules import DetachResult
    from airflow_aitronos.client.options import IfNotAttached
    from airflow_aitronos.client.workflows import AssistantWorkflow
    from airflow_aitronos.hooks.aitronos import AitronosHook
    from airflow_aitronos.operators._memory import TryMemory


class DetachAssistantWorkflowOperator(AitronosOperator):
    """
    Take the workflow off an assistant; the workflow itself is not deleted.

    There is no undo: the API has no call that links an existing workflow to an existing assistant.

    A fault that may pass is tried again within the task; a fault that cannot pass, such as a refused key,
    fails the task at once, whatever its ``retries`` say. The task's log has one line for each failed attempt
    and one for the end.

    With ``expected_workflow_id`` the link is read before every DELETE. Read and delete are two calls: a
    change in the moment between them cannot be excluded.

    On Airflow 3.3 a later try of the task knows that an earlier one sent a DELETE, and what was linked then.

    :param assistant_id: the assistant; a ``str`` once rendered. Templated.
    :param expected_workflow_id: detach only this workflow, and stop if another one is linked; a ``str`` once
        rendered: what renders to nothing is an error, not a detach without guard. Templated.
    :param if_not_attached: what becomes of the task if nothing is linked: ``succeed``, ``skip`` or ``fail``.
    :param record_workflow: read what is linked before a DELETE, log it, and return its id even if the answer
        to the DELETE is lost. None for True if ``expected_workflow_id`` or ``include_workflow_details`` is
        given, else False.
    :param include_workflow_details: return name, version and ``external_id`` of the workflow, too.
    :param check_only: look at what would be detached, log and return it, and send no DELETE.
    :param aitronos_conn_id: id of the Airflow connection. Templated.
    :param max_attempts: requests at most within one try of the task, 1 to 10; None for the connection's. With
        a look at the link, each is a GET and a DELETE.
    :param total_timeout: seconds for all of them together, waits included; None for the connection's.
    """

    template_fields: Sequence[str] = ("assistant_id", "expected_workflow_id", "aitronos_conn_id")

    def __init__(
        self,
        *,
        assistant_id: str,
        expected_workflow_id: str | None = NOT_GIVEN,
        if_not_attached: IfNotAttached = "succeed",
        record_workflow: bool | None = None,
        include_workflow_details: bool = False,
        check_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_options(
            if_not_attached=if_not_attached,
            record_workflow=record_workflow,
            include_workflow_details=include_workflow_details,
            check_only=check_only,
        )
        self.assistant_id = assistant_id
        self._guard_is = how_given(expected_workflow_id)
        self.expected_workflow_id = None if expected_workflow_id is NOT_GIVEN else expected_workflow_id
        self.if_not_attached = if_not_attached
        self.record_workflow = record_workflow
        self.include_workflow_details = include_workflow_details
        self.check_only = check_only

    def execute(self, context: Context) -> DetachResult:
        """
        Detach the workflow.

        :param context: of the task instance.
        :return: ``assistant_id`` (str), ``workflow_id`` (str, or None if none is known), ``message`` (str or
            None), and with details ``workflow``: None, or ``id`` (str), ``name`` (str or None), ``version``
            (int or None) and ``external_id`` (str or None).
        :raises AitronosWorkflowMismatchError: if another workflow is linked than the expected one.
        :raises AitronosNotAttachedError: if nothing is linked and ``if_not_attached`` is ``fail``.
        :raises airflow.exceptions.AirflowSkipException: if nothing is linked and it is ``skip``.
        :raises AitronosError: one of its subclasses for every other end but success.
        """
        facts = {"check_only": True} if self.check_only else {}
        with (
            self._this_try(context, assistant_id=self.assistant_id, **facts) as (hook, audit),
            self._memory(hook, context) as memory,
        ):
            result = hook.detach_assistant_workflow(
                self.assistant_id,
                expected_workflow_id=self.expected_workflow_id,
                if_not_attached=self.if_not_attached,
                record_workflow=self.record_workflow,
                include_workflow_details=self.include_workflow_details,
                check_only=self.check_only,
                memory=memory,
            )
            audit.note(workflow_id=result["workflow_id"])
        linked = memory.workflow
        self._tell_outlets(
            context,
            assistant_id=result["assistant_id"],
            workflow_id=result["workflow_id"],
            version=linked["version"] if linked and linked["id"] == result["workflow_id"] else None,
            **facts,
        )
        return result

    def _memory(self, hook: AitronosHook, context: Context) -> TryMemory:
        """
        Return what is known of earlier tries that were about the same, once it is known what that is.

        :param hook: whose connection says which API it was.
        :param context: of the task instance.
        :raises AitronosInputError: if an id cannot be sent. Told before the connection is looked for.
        """
        from airflow_aitronos.client.ids import check_id
        from airflow_aitronos.operators._memory import TryMemory

        check_not_lost(
            "expected_workflow_id",
            self.expected_workflow_id,
            self._guard_is,
            context,
            without="a detach without guard",
        )
        subject = {"assistant_id": check_id("assistant_id", self.assistant_id)}
        if self.expected_workflow_id is not None:
            subject["expected_workflow_id"] = check_id("expected_workflow_id", self.expected_workflow_id)
        if self.check_only:
            return TryMemory(self.log, {}, subject, clock=hook.clock)
        subject["api"] = str(hook.settings.base_url)
        return TryMemory(self.log, context, subject, clock=hook.clock)


class GetAssistantWorkflowOperator(AitronosOperator):
    """
    Read which workflow is linked to an assistant; nothing is changed.

    :param assistant_id: the assistant; a ``str`` once rendered. Templated.
    :param aitronos_conn_id: id of the Airflow connection. Templated.
    :param max_attempts: requests at most within one try of the task, 1 to 10; None for the connection's.
    :param total_timeout: seconds for all of them together, waits included; None for the connection's.
    """

    template_fields: Sequence[str] = ("assistant_id", "aitronos_conn_id")

    def __init__(self, *, assistant_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.assistant_id = assistant_id

    def execute(self, context: Context) -> AssistantWorkflow:
        """
        Read the workflow.

        :param context: of the task instance.
        :return: ``assistant_id`` (str), ``workflow_id`` (str, or None if none is linked) and ``workflow``
            (None, or a dict of ``id``, ``name``, ``version`` and ``external_id``).
        :raises AitronosNotFoundError: if there is no such assistant, or no telling whether there is.
        :raises AitronosError: one of its subclasses for every other end but success.
        """
        with self._this_try(context, assistant_id=self.assistant_id) as (hook, audit):
            workflow = hook.get_assistant_workflow(self.assistant_id)
            from airflow_aitronos.client.workflows import link_of

            link = link_of(self.assistant_id, workflow)
            audit.note(workflow_id=link["workflow_id"])
        return link
