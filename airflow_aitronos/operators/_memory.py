"""What a later try of a task knows of the tries before it: Airflow's task state store, from 3.3 on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast

from airflow_aitronos._compat import AirflowSkipException
from airflow_aitronos.exceptions import AitronosCancelledError, AitronosError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_aitronos.client.call import Log
    from airflow_aitronos.client.workflows import WorkflowSummary

KEY = "aitronos_detach_sent"


class TryMemory:
    """
    Remember that a DELETE was sent, and what was linked then, until its outcome is known.

    Below Airflow 3.3 there is no store: the memory then ends with the try. A store that does not answer costs
    the memory, not the detach.

    :param log: gets a warning if the store does not answer.
    :param context: of the task instance; empty outside a task run.
    :param subject: what the DELETE is about: a note about anything else does not count.
    """

    def __init__(self, log: Log, context: Context, subject: dict[str, str]) -> None:
        self._log = log
        self._store: Any = context.get("task_state_store")
        self._subject = subject
        self._kept: dict[str, Any] | None = None
        self.was_sent = False
        self.workflow: WorkflowSummary | None = None

    def __enter__(self) -> Self:
        """Recall what an earlier try has noted."""
        noted = self._ask("read", "get", KEY)
        if isinstance(noted, dict) and noted.get("subject") == self._subject:
            self._kept = noted
            self.was_sent = True
            self.workflow = _workflow_of(noted)
        return self

    def keep(self, workflow: WorkflowSummary | None) -> None:
        """
        Note that a DELETE is about to be sent.

        :param workflow: the one that is linked, None if that is not known.
        """
        self.workflow = workflow
        note = {"subject": self._subject, "workflow": workflow or {}}
        if note != self._kept:
            self._kept = note
            self._ask("written", "set", KEY, note)

    def __exit__(self, error_type: object, error: BaseException | None, traceback: object) -> None:
        """Forget the note if the outcome is known: a task that is cleared and run again starts clean."""
        if self._kept is not None and _is_known(error):
            self._ask("deleted", "delete", KEY)

    def _ask(self, what: str, method: str, *arguments: Any) -> Any:
        if self._store is None:
            return None
        try:
            return getattr(self._store, method)(*arguments)
        except Exception as error:  # noqa: BLE001  # whatever a state backend raises
            self._log.warning(
                "%s",
                f"The note on a sent DELETE could not be {what} in Airflow's task state store "
                f"({type(error).__name__}): a later try of this task may not know of it.",
            )
            return None


def _is_known(error: BaseException | None) -> bool:
    """Return whether the end of a try tells the outcome of what was sent, in this try and before."""
    if error is None or isinstance(error, AirflowSkipException):
        return True
    if not isinstance(error, AitronosError) or isinstance(error, AitronosCancelledError):
        return False
    # Without an attempt, such as with a connection that cannot be used, nothing new is known.
    return error.attempts > 0 and not error.maybe_done


def _workflow_of(note: dict[str, Any]) -> WorkflowSummary | None:
    workflow: Any = note.get("workflow")
    if not isinstance(workflow, dict) or not isinstance(workflow.get("id"), str):
        return None
    return cast("WorkflowSummary", workflow)
