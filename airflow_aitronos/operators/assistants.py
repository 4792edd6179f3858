"""Operators on assistants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_aitronos.exceptions import AitronosInputError
from airflow_aitronos.operators._base import AitronosOperator
from airflow_aitronos.operators._memory import TryMemory

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_aitronos.client.detach_rules import DetachResult, IfNotAttached
    from airflow_aitronos.client.workflows import AssistantWorkflow


_NO_GUARD: Any = object()
"""Tells a guard that was not asked for from one that turned out to be None."""


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
        expected_workflow_id: str | None = _NO_GUARD,
        if_not_attached: IfNotAttached = "succeed",
        record_workflow: bool | None = None,
        include_workflow_details: bool = False,
        check_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if if_not_attached not in ("succeed", "skip", "fail"):
            raise AitronosInputError(
                f"Task '{self.task_id}': if_not_attached must be 'succeed', 'skip' or 'fail'."
            )
        self.assistant_id = assistant_id
        is_given = expected_workflow_id is not _NO_GUARD
        self.expected_workflow_id = expected_workflow_id if is_given else None
        self.if_not_attached = if_not_attached
        self.record_workflow = record_workflow
        self.include_workflow_details = include_workflow_details
        self.check_only = check_only
        self._guard_is = "left out" if not is_given else "None" if expected_workflow_id is None else "given"

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
        subject = {"assistant_id": str(self.assistant_id), "conn_id": self.aitronos_conn_id}
        with (
            self._this_try(context, assistant_id=self.assistant_id) as (hook, audit),
            TryMemory(self.log, {} if self.check_only else context, subject) as memory,
        ):
            result = hook.detach_assistant_workflow(
                self.assistant_id,
                expected_workflow_id=self._guard(context),
                if_not_attached=self.if_not_attached,
                record_workflow=self.record_workflow,
                include_workflow_details=self.include_workflow_details,
                check_only=self.check_only,
                memory=memory,
            )
            audit.note(workflow_id=result["workflow_id"])
        if not self.check_only:
            self._tell_outlets(
                context,
                assistant_id=result["assistant_id"],
                workflow_id=result["workflow_id"],
                version=memory.workflow["version"] if memory.workflow is not None else None,
            )
        return result

    def _guard(self, context: Context) -> str | None:
        """
        Return the rendered ``expected_workflow_id``, None only if no guard was asked for.

        Written down in a DAG, None says that none is wanted. A template that renders to it does not, nor does
        a mapped task's value: there an upstream task may have found no workflow.
        """
        is_mapped = getattr(context.get("ti"), "map_index", -1) >= 0
        is_lost = self._guard_is == "given" or (self._guard_is == "None" and is_mapped)
        if is_lost and self.expected_workflow_id is None:
            raise AitronosInputError(
                "Nothing was sent: expected_workflow_id rendered to nothing, and a detach without guard was "
                "not asked for. Did an upstream XCom or variable return nothing? Leave the argument out for "
                "a detach without guard. Trying again cannot help."
            )
        return self.expected_workflow_id


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
