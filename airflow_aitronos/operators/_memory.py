"""What a later try of a task knows of the tries before it: Airflow's task state store, from 3.3 on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, cast

from airflow_aitronos._compat import AirflowSkipException
from airflow_aitronos.exceptions import (
    AitronosCancelledError,
    AitronosError,
    AitronosUnsafeToRepeatError,
    AitronosWorkflowMismatchError,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_aitronos.client.call import Log
    from airflow_aitronos.client.clock import Clock
    from airflow_aitronos.client.workflows import WorkflowSummary
    from airflow_aitronos.hooks.aitronos import AitronosHook

QUICK = 0.2
"""Seconds: the store is Airflow's API server, which is asked again for a minute if it does not answer."""

KEY = "aitronos_detach_sent"
ONCE_KEY = "aitronos_call_sent"


class TryMemory:
    """
    Remember that a DELETE was sent, and what was linked then, until its outcome is known.

    Below Airflow 3.3 there is no store: the memory then ends with the try. A store that does not answer costs
    the memory, not the detach.

    :param log: gets a warning if the store does not answer.
    :param context: of the task instance; empty outside a task run.
    :param subject: what the DELETE is about: a note about anything else does not count.
    :param clock: what the store's time is measured with.
    """

    def __init__(
        self, log: Log, context: Context, subject: Mapping[str, str | None], *, clock: Clock
    ) -> None:
        self._log = log
        self._clock = clock
        self._store: Any = context.get("task_state_store")
        self._subject = dict(subject)
        self._kept: dict[str, Any] | None = None
        self._may_be_there = False
        self.was_sent = False
        self.workflow: WorkflowSummary | None = None

    def __enter__(self) -> Self:
        """Recall what an earlier try has noted."""
        answered, noted = self._ask("read", "get", KEY)
        self._may_be_there = not answered or noted is not None
        if isinstance(noted, dict) and noted.get("subject") == self._subject:
            self._kept = noted
            self.was_sent = True
            self.workflow = _workflow_of(noted)
        return self

    def keep(self, workflow: WorkflowSummary | None) -> bool:
        """
        Note that a DELETE is about to be sent.

        :param workflow: the one that is linked, None if that is not known.
        :return: whether the store took its time over it.
        """
        self.workflow = workflow
        note = {"subject": self._subject, "workflow": workflow or {}}
        if self._store is None or note == self._kept:
            return False
        started = self._clock.monotonic()
        answered, _ = self._ask("written", "set", KEY, note)
        # What did not answer may have written all the same.
        self._may_be_there = True
        if answered:
            self._kept = note
        return self._clock.monotonic() - started > QUICK

    def refused(self) -> None:
        """Forget the note: no DELETE was carried out so far."""
        self._forget()

    def __exit__(self, error_type: object, error: BaseException | None, traceback: object) -> None:
        """Forget the note if the outcome is known: a task that is cleared and run again starts clean."""
        if _is_known(error):
            self._forget()
        elif self._kept is not None:
            # The answer to a task that was told to stop may have named the workflow.
            self.keep(self.workflow)

    def _forget(self) -> None:
        if self._may_be_there:
            answered, _ = self._ask("deleted", "delete", KEY)
            self._may_be_there = not answered
            self._kept = None

    def _ask(self, what: str, method: str, *arguments: Any) -> tuple[bool, Any]:
        """Return whether the store answered, and what."""
        if self._store is None:
            return True, None
        try:
            return True, getattr(self._store, method)(*arguments)
        except Exception as error:  # noqa: BLE001  # whatever a state backend raises
            self._log.warning(
                "%s",
                f"The note on a sent DELETE could not be {what} in Airflow's task state store "
                f"({type(error).__name__}): a later try of this task may not know of it, or take it for new.",
            )
            return False, None


@contextmanager
def at_most_once(
    hook: AitronosHook, context: Context, *, intent: str, look_first: str, workflow_id: str | None = None
) -> Iterator[None]:
    """
    Stop if an earlier try may have sent a call that must not be repeated, and remember that this one may.

    An earlier try that ended with an error of this package has said all there is to say; one that ended
    without a word, since its worker died or a timeout of Airflow's ended it, leaves its note. The stop is
    told once: whoever clears the task after it has looked. A store that does not answer keeps the call from
    being sent.

    :param hook: that makes the call; its log gets a warning if the note could not be removed.
    :param context: of the task instance; empty outside a task run.
    :param intent: what the call is for, as in "could not …".
    :param look_first: what to look at before the call is repeated by hand.
    :param workflow_id: the workflow that the call is about.
    :raises AitronosUnsafeToRepeatError: if there is a note.
    :raises AitronosConfigurationError: if the connection cannot be used.
    """
    store: Any = context.get("task_state_store")
    if store is None:
        yield
        return
    hook.get_conn()  # a connection that cannot be read is no call that may have been sent
    if store.get(ONCE_KEY) is not None:
        _remove_mark(store, hook.log)
        raise AitronosUnsafeToRepeatError(
            f"Could not {intent} through connection '{hook.aitronos_conn_id}': an earlier try of the task "
            "may have sent the call, and ended without a word. It may have taken effect all the same. Trying "
            f"again cannot help. {look_first} If it was not, clear the task. (no request was sent)",
            maybe_done=True,
            workflow_id=workflow_id,
        )
    store.set(ONCE_KEY, intent)
    try:
        yield
    except AitronosError:
        _remove_mark(store, hook.log)
        raise
    _remove_mark(store, hook.log)


def _remove_mark(store: Any, log: Log) -> None:
    """Remove the note; the call's end is known, and must not get lost over this."""
    try:
        store.delete(ONCE_KEY)
    except Exception as error:  # noqa: BLE001  # whatever a state backend raises
        log.warning(
            "%s",
            f"The note that the call was sent could not be removed ({type(error).__name__}): a later try of "
            "this task will stop and ask to look first.",
        )


def _is_known(error: BaseException | None) -> bool:
    """Return whether the end of a try tells the outcome of what was sent, in this try and before."""
    if error is None or isinstance(error, AirflowSkipException | AitronosWorkflowMismatchError):
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
