"""The audit trail: one structured log line when a try of a task starts, and one when it ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_aitronos._compat import AirflowRescheduleException, AirflowSkipException
from airflow_aitronos.exceptions import AitronosError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_aitronos.client.call import Log

_SUBJECT = {"assistant_id": None, "workflow_id": None}
_OF_TASK_INSTANCE = ("dag_id", "task_id", "run_id", "map_index", "try_number")


class Audit:
    """
    What is known of one try: which task it belongs to, what it is about, and how it ended.

    :param log: gets the lines.
    :param context: of the task instance; empty outside a task run.
    :param facts: what the try is about, such as ``assistant_id``.
    """

    def __init__(self, log: Log, context: Context, facts: dict[str, Any]) -> None:
        task_instance = context.get("ti")
        self._log = log
        self._task = {name: getattr(task_instance, name, None) for name in _OF_TASK_INSTANCE}
        self._facts: dict[str, Any] = dict(_SUBJECT)
        self.note(**facts)

    def note(self, **facts: Any) -> None:
        """
        Add what has become known.

        :param facts: by name, such as ``workflow_id``.
        """
        self._facts |= {name: _shown(name, value) for name, value in facts.items()}

    def started(self) -> None:
        """Log that the try starts."""
        self._log.info("%s", self._line(event="started"))

    def ended(self, error: BaseException | None, trace_id: str | None) -> None:
        """
        Log how the try ended; an error of this package gets the facts as attributes.

        :param error: that ended it, None for none.
        :param trace_id: of the last reply.
        """
        end: dict[str, Any] = {"outcome": _outcome(error), "trace_id": trace_id}
        if isinstance(error, AitronosError):
            end |= {
                "trace_id": error.trace_id or trace_id,
                "error": type(error).__name__,
                "maybe_done": error.maybe_done,
            }
            if error.trace_id is None:
                error.trace_id = trace_id
            self._tell(error)
        elif error is not None and not isinstance(error, AirflowRescheduleException):
            end["error"] = type(error).__name__
        self._log.info("%s", self._line(event="ended", **end))

    def _tell(self, error: AitronosError) -> None:
        # What the error itself knows comes first: the id in an answer says more than the one asked for.
        for name, value in {**self._task, **self._facts}.items():
            if getattr(error, name, None) is None:
                setattr(error, name, value)
            elif name in self._facts:
                self._facts[name] = getattr(error, name)

    def _line(self, **facts: Any) -> str:
        return "Audit: " + json.dumps({**facts, **self._task, **self._facts}, ensure_ascii=True)


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "done"
    if isinstance(error, AitronosError):
        return error.outcome
    if isinstance(error, AirflowRescheduleException):
        return "rescheduled"
    if isinstance(error, AirflowSkipException):
        return "skipped"
    # Airflow's timeouts and the death of a process are no Exception; its other errors are.
    return "failed" if isinstance(error, Exception) else "interrupted"


def _shown(name: str, value: object) -> object:
    """Return a fact as one safe line; a template may have rendered anything."""
    from airflow_aitronos.client.ids import shown_id
    from airflow_aitronos.client.safe_text import safe_text

    if isinstance(value, str):
        return shown_id(value) if name in _SUBJECT else safe_text(value, limit=130)
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    return f"<{type(value).__name__}>"
