"""Operators on assistants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_aitronos.operators._base import AitronosOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_aitronos.client.detach import DetachResult
    from airflow_aitronos.client.workflows import AssistantWorkflow


class DetachAssistantWorkflowOperator(AitronosOperator):
    """
    Take the workflow off an assistant; the workflow itself is not deleted.

    There is no undo: the API has no call that links an existing workflow to an existing assistant.

    A fault that may pass is tried again within the task; a fault that cannot pass, such as a refused key,
    fails the task at once, whatever its ``retries`` say. The task's log has one line for each failed attempt
    and one for the end.

    :param assistant_id: the assistant; a ``str`` once rendered. Templated.
    :param aitronos_conn_id: id of the Airflow connection. Templated.
    :param max_attempts: requests at most within one try of the task, 1 to 10; None for the connection's.
    :param total_timeout: seconds for all of them together, waits included; None for the connection's.
    """

    template_fields: Sequence[str] = ("assistant_id", "aitronos_conn_id")

    def __init__(self, *, assistant_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.assistant_id = assistant_id

    def execute(self, context: Context) -> DetachResult:
        """
        Detach the workflow.

        :param context: of the task instance.
        :return: ``assistant_id`` (str), ``workflow_id`` (str, or None if the API named none) and ``message``
            (str or None).
        :raises AitronosError: one of its subclasses for every end but success.
        """
        with self._this_try(context, assistant_id=self.assistant_id) as (hook, audit):
            result = hook.detach_assistant_workflow(self.assistant_id)
            audit.note(workflow_id=result["workflow_id"])
        self._tell_outlets(
            context, assistant_id=result["assistant_id"], workflow_id=result["workflow_id"], version=None
        )
        return result


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
