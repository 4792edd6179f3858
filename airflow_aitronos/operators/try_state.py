"""
What a later try of a task must know of the tries before it: one record in Airflow's task state store (3.3+).

``sent`` is written just before a request that cannot be undone or repeated, ``done`` with the result when its
response is there. Airflow stores the XCom only after ``execute`` has returned, so the record stays after a
success: if the XCom could not be stored, the next try returns the result and sends nothing.

A record counts for the same subject, ``max_tries`` of the task instance and ``retries`` of the task only.
*Clear* sets ``max_tries`` to the tries used plus ``retries``, and a retry leaves it (read in the source of
Airflow 3.3.0, 3.3.2 and 3.4.0b2), so a cleared task starts fresh.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_aitronos._compat import AirflowSkipException
from airflow_aitronos.client.detach import SentState
from airflow_aitronos.exceptions import AitronosCancelledError, AitronosError, AitronosUnsafeToRepeatError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_aitronos.client.sanitize import Log
    from airflow_aitronos.client.workflows import WorkflowSummary

KEY = "aitronos_call"


class TryState(SentState):
    """
    The record of one task instance.

    Below Airflow 3.3 there is no store, and nothing is known of earlier tries.

    :param context: of the task instance; empty outside a task run.
    :param log: gets a warning where the store does not answer.
    :param subject: what the call is about: a record about anything else is stale.
    :param repeatable: whether the call may be repeated; if not, a store that does not answer prevents it.
    """

    def __init__(
        self, context: Context, log: Log, subject: Mapping[str, str | None], *, repeatable: bool
    ) -> None:
        self._store: Any = context.get("task_state_store")
        self._log = log
        self._repeatable = repeatable
        self._about = {
            "subject": dict(subject),
            "max_tries": getattr(context.get("ti"), "max_tries", None),
            "retries": getattr(context.get("task"), "retries", None),
        }
        self._is_recorded = False
        self._try_number = getattr(context.get("ti"), "try_number", None)
        self.earlier_try: int | None = None
        """Number of the try that wrote the record."""
        self.result: Any = None
        """Result of an earlier try; None if there is none."""
        self._read()

    def _read(self) -> None:
        record, problem = self._ask(lambda store: store.get(KEY))
        if problem:
            self._cannot("read", problem)
        if not isinstance(record, dict):
            return
        self._is_recorded, self.earlier_try = True, record.get("try_number")
        about = {name: record.get(name) for name in self._about}
        if about == self._about:
            self.result = record.get("result") if record.get("state") == "done" else None
            self.maybe_done, self.workflow = self.result is None, record.get("workflow")
            if self.result is not None:
                line = "An earlier try of this task got the result; nothing is sent"
                self._log.warning(f"{line}: {self.result}")
        elif {**about, "retries": None} == {**self._about, "retries": None} and not self._repeatable:
            # The DAG was edited between two tries: no fresh start for a call that must not be repeated.
            self.maybe_done = True

    def sending(self, workflow: WorkflowSummary | None = None) -> None:
        """
        Record that a request is about to be sent.

        :param workflow: the one that is linked, if that is known.
        :raises AitronosError: if it cannot be recorded, and the call must not be repeated.
        """
        self.workflow = workflow
        if problem := self._write("sent"):
            self._cannot("written", problem)

    def done(self, result: Any) -> None:
        """
        Record the result; the next try returns it if Airflow cannot store it.

        :param result: JSON data.
        """
        self.result = result
        if problem := self._write("done", result=result):
            text = json.dumps(result)
            self._log.warning(f"The result could not be recorded for a retry ({problem}). It is: {text}")

    def not_carried_out(self) -> None:
        """Remove the record: no request of this or an earlier try can have been carried out."""
        if self._is_recorded:
            _, problem = self._ask(lambda store: store.delete(KEY))
            self._is_recorded = bool(problem)
            if problem:
                self._log.warning(f"The record of this call could not be removed ({problem}).")

    @contextmanager
    def call(self) -> Iterator[None]:
        """Remove the record, written or not, after a call that surely changed nothing."""
        try:
            yield
        except AirflowSkipException:
            self.not_carried_out()
            raise
        except AitronosError as error:
            if not error.maybe_done:
                self.not_carried_out()
            elif self.workflow is None and error.workflow_id and isinstance(error, AitronosCancelledError):
                # The response to a cancelled task has named the workflow.
                self.sending({"id": error.workflow_id, "name": None, "version": None, "external_id": None})
            raise

    def _write(self, state: str, result: Any = None) -> str | None:
        """Write the record; return what went wrong."""
        self._is_recorded = self._store is not None  # what does not answer may have written all the same
        record = {"state": state, **self._about, "workflow": self.workflow, "result": result}
        record["try_number"] = self._try_number
        return self._ask(lambda store: store.set(KEY, record))[1]

    def _ask(self, ask: Callable[[Any], Any]) -> tuple[Any, str | None]:
        """Return what the store answers, and what went wrong."""
        if self._store is None:
            return None, None
        try:
            return ask(self._store), None
        except Exception as error:  # noqa: BLE001  # whatever a state backend raises
            return None, type(error).__name__

    def _cannot(self, did: str, problem: str) -> None:
        cause = f"The record of this call could not be {did} in Airflow's task state store ({problem})."
        if not self._repeatable:
            fix = "Without it a retry could repeat the call."
            raise AitronosError(cause, fix=fix, about="no request was sent")
        self._log.warning(f"{cause} A later try of the task may not know of it.")


@contextmanager
def sent_once(
    context: Context, log: Log, subject: Mapping[str, str | None], *, intent: str, check_first: str
) -> Iterator[TryState]:
    """
    Let a call that must not be repeated be sent by one try of a task only.

    :param context: of the task instance.
    :param log: gets a warning where the store does not answer.
    :param subject: what the call is about.
    :param intent: what the call does, for the message.
    :param check_first: what to check before the call is repeated by hand.
    :raises AitronosUnsafeToRepeatError: if an earlier try may have sent the call.
    """
    state = TryState(context, log, subject, repeatable=False)
    if state.maybe_done:
        raise AitronosUnsafeToRepeatError(
            f"Try {state.earlier_try or 'unknown'} of this task may have sent the call to {intent}.",
            fix=f"Read the log of that try. {check_first} If it was not carried out, clear the task.",
            about="no request was sent",
            maybe_done=True,
            workflow_id=subject.get("workflow_id"),
        )
    with state.call():
        yield state
