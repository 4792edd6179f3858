"""Operators on assistants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_aitronos.client.detach import DetachResult
    from airflow_aitronos.hooks.aitronos import AitronosHook


class DetachAssistantWorkflowOperator(BaseOperator):
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
    ui_color = "#e8d7f7"

    def __init__(
        self,
        *,
        assistant_id: str,
        aitronos_conn_id: str = "aitronos_default",
        max_attempts: int | None = None,
        total_timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.assistant_id = assistant_id
        self.aitronos_conn_id = aitronos_conn_id
        self.max_attempts = max_attempts
        self.total_timeout = total_timeout
        self._hook: AitronosHook | None = None
        self._is_killed = False

    def execute(self, context: Context) -> DetachResult:  # noqa: ARG002  # Airflow's signature
        """
        Detach the workflow.

        :param context: of the task instance.
        :return: ``assistant_id`` (str), ``workflow_id`` (str, or None if the API named none) and ``message``
            (str or None).
        :raises AitronosError: one of its subclasses for every end but success.
        """
        # Imported here, so that parsing a DAG does not pay for requests.
        from airflow_aitronos.hooks.aitronos import AitronosHook

        with AitronosHook(
            self.aitronos_conn_id, max_attempts=self.max_attempts, total_timeout=self.total_timeout
        ) as hook:
            self._hook = hook
            if self._is_killed:  # while the task was being prepared
                hook.cancel()
            try:
                return hook.detach_assistant_workflow(self.assistant_id)
            finally:
                self._hook = None

    def on_kill(self) -> None:
        """Send nothing any more. Runs in a signal handler, and may run before ``execute``."""
        self._is_killed = True
        if self._hook is not None:
            self._hook.cancel()
