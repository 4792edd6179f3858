"""Operators on assistants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_aitronos.client.validation import check_detach_options, check_id, check_switch, is_literal
from airflow_aitronos.operators.base import (
    NOT_GIVEN,
    AitronosOperator,
    check_literal_id,
    check_rendered,
    how_given,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_aitronos.client.detach import DetachResult
    from airflow_aitronos.client.validation import IfNotAttached
    from airflow_aitronos.client.workflows import AssistantWorkflow


class DetachAssistantWorkflowOperator(AitronosOperator):
    """
    Detach the workflow of an assistant ("Detach workflow from assistant" page); the workflow is not deleted.

    There is no undo: the API has no call that links an existing workflow to an existing assistant.

    Failures that may pass are retried within the task. A failure that a retry cannot help, such as a refused
    key, fails the task at once, whatever its ``retries`` are.

    With ``expected_workflow_id`` the link is read before every DELETE. Read and DELETE are two calls: a
    change in the milliseconds between them cannot be excluded.

    On Airflow 3.3 and later a later try of the task knows that an earlier one sent a DELETE, what was linked
    then, and the result if there was one.

    :param assistant_id: the assistant; a ``str`` once rendered. Templated.
    :param expected_workflow_id: detach only this workflow, and fail if another one is linked; a ``str`` once
        rendered. What renders to nothing is an error. Templated.
    :param if_not_attached: outcome of the task if nothing is linked: ``succeed``, ``skip`` or ``fail``.
    :param record_workflow: read what is linked before a DELETE, log it, and return its id even if the
        response to the DELETE is lost. None for True if ``expected_workflow_id`` or
        ``include_workflow_details`` is given, else False.
    :param include_workflow_details: return name, version and ``external_id`` of the workflow, too.
    :param check_only: read what would be detached, log and return it, and send no DELETE. A bool, or a text
        that is ``true`` or ``false``. Templated.
    :param aitronos_conn_id: id of the Airflow connection. Templated.
    :param max_attempts: maximum attempts within one try of the task, 1 to 10; None for the connection's. With
        a read of the link, each is a GET and a DELETE.
    :param total_timeout: seconds for all of them together, waits included; None for the connection's.
    """

    template_fields: Sequence[str] = (
        "assistant_id",
        "expected_workflow_id",
        "check_only",
        "aitronos_conn_id",
    )

    def __init__(
        self,
        *,
        assistant_id: str,
        expected_workflow_id: str | None = NOT_GIVEN,
        if_not_attached: IfNotAttached = "succeed",
        record_workflow: bool | None = None,
        include_workflow_details: bool = False,
        check_only: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_literal_id("assistant_id", assistant_id)
        if expected_workflow_id is not NOT_GIVEN:
            check_literal_id("expected_workflow_id", expected_workflow_id)
        check_detach_options(if_not_attached, record_workflow, include_workflow_details)
        if is_literal(check_only):
            check_switch("check_only", check_only)
        self._expected_given = how_given(expected_workflow_id)
        self.assistant_id = assistant_id
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
            None) and ``outcome`` (``detached``, ``not_attached`` or ``would_detach``); with details also
            ``workflow``: None, or ``id`` (str), ``name`` (str or None), ``version`` (int or None) and
            ``external_id`` (str or None).
        :raises AitronosWorkflowMismatchError: if another workflow is linked than the expected one.
        :raises AitronosNotAttachedError: if nothing is linked and ``if_not_attached`` is ``fail``.
        :raises airflow.exceptions.AirflowSkipException: if nothing is linked and it is ``skip``.
        :raises AitronosError: one of its subclasses for every other outcome but success.
        """
        from airflow_aitronos.operators.try_state import TryState

        with self._try(context, assistant_id=self.assistant_id) as (hook, audit):
            assistant_id, expected = check_id("assistant_id", self.assistant_id), self.expected_workflow_id
            name, otherwise = "expected_workflow_id", "a detach of whatever is linked"
            check_rendered(name, expected, self._expected_given, context, otherwise=otherwise)
            expected = None if expected is None else check_id(name, expected)
            check_only = check_switch("check_only", self.check_only)
            api = str(hook.settings.base_url)
            subject = {"assistant_id": assistant_id, "expected_workflow_id": expected, "api": api}
            state = TryState({} if check_only else context, self._safe_log, subject, repeatable=True)
            if state.result is None:
                with state.call():
                    detached = hook.detach_assistant_workflow(
                        assistant_id,
                        expected_workflow_id=expected,
                        if_not_attached=self.if_not_attached,
                        record_workflow=self.record_workflow,
                        include_workflow_details=self.include_workflow_details,
                        check_only=check_only,
                        state=state,
                    )
                state.done(detached)
            result: DetachResult = state.result
            audit.update(workflow_id=result["workflow_id"], result=result["outcome"])
        linked = state.workflow
        self._add_to_outlet_events(
            context,
            assistant_id=result["assistant_id"],
            workflow_id=result["workflow_id"],
            version=linked["version"] if linked and linked["id"] == result["workflow_id"] else None,
            outcome=result["outcome"],
        )
        return result


class GetAssistantWorkflowOperator(AitronosOperator):
    """
    Read which workflow is linked to an assistant; nothing is changed.

    :param assistant_id: the assistant; a ``str`` once rendered. Templated.
    :param aitronos_conn_id: id of the Airflow connection. Templated.
    :param max_attempts: maximum attempts within one try of the task, 1 to 10; None for the connection's.
    :param total_timeout: seconds for all of them together, waits included; None for the connection's.
    """

    template_fields: Sequence[str] = ("assistant_id", "aitronos_conn_id")

    def __init__(self, *, assistant_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_literal_id("assistant_id", assistant_id)
        self.assistant_id = assistant_id

    def execute(self, context: Context) -> AssistantWorkflow:
        """
        Read the workflow.

        :param context: of the task instance.
        :return: ``assistant_id`` (str), ``workflow_id`` (str, or None if none is linked) and ``workflow``
            (None, or ``id``, ``name``, ``version`` and ``external_id``).
        :raises AitronosNotFoundError: if there is no such assistant, or the API does not say whether there
            is.
        :raises AitronosError: one of its subclasses for every other outcome but success.
        """
        with self._try(context, assistant_id=self.assistant_id) as (hook, audit):
            workflow = hook.get_assistant_workflow(self.assistant_id)
            from airflow_aitronos.client.workflows import link_of

            link = link_of(self.assistant_id, workflow)
            audit["workflow_id"] = link["workflow_id"]
        return link
