"""Detach the workflows of many assistants: each as alone (``client/detach.py``), all at one pace."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

from airflow_aitronos.client.api_call import Call, Client
from airflow_aitronos.client.deadline import SLICE
from airflow_aitronos.client.detach import Detach, SentState, Wanted
from airflow_aitronos.client.pace import Pace, RunEndedError
from airflow_aitronos.client.sanitize import Log, optional_text
from airflow_aitronos.client.workflows import WorkflowSummary
from airflow_aitronos.exceptions import (
    AitronosAuthenticationError,
    AitronosCancelledError,
    AitronosConfigurationError,
    AitronosError,
    AitronosNotAttachedError,
    AitronosNotFoundError,
    AitronosPermissionError,
    AitronosRedirectError,
    AitronosRequestError,
    AitronosWorkflowMismatchError,
)

WINDOW = 20
"""Assistants whose outcomes are recorded together, so that a later try knows them."""

RETRIED = ("failed", "unknown", "not_tried")
"""Outcomes that a later try changes."""
_PERMANENT: dict[str, type[AitronosError]] = {
    "mismatch": AitronosWorkflowMismatchError,
    "not_found": AitronosNotFoundError,
    "not_attached": AitronosNotAttachedError,  # only with if_not_attached="fail"
    "refused": AitronosRequestError,
}
_RUN_WIDE = (AitronosAuthenticationError, AitronosConfigurationError, AitronosRedirectError)
_MOST_FORBIDDEN = 5
_FIRST_SHARE = 200
"""Assistants that a share of failures counts of at least: one failure at the start is not all of them."""
_PROGRESS_SECONDS = 30.0
_GRACE = 10.0
"""Seconds that a run which was cancelled or interrupted waits for requests under way; then, unknown."""
_XCOM_BYTES, _XCOM_FAILURES = 59_900, 100
_LONGEST_MESSAGE = 500
_PROBABLY = "Nothing is linked any more: an earlier request, whose response was lost, probably detached it."
_NOT_YET = "No outcome yet. If the try has ended, its log has it."


@dataclass(frozen=True)
class FleetRow:
    """
    The outcome of one assistant: a line of the report.

    ``outcome`` is ``detached``, ``would_detach``, ``not_attached``, ``mismatch``, ``not_found``, ``refused``,
    ``failed``, ``unknown`` or ``not_tried``. ``workflow_id`` is the workflow that was detached, would be, or
    is linked; None if none is known.
    """

    assistant_id: str
    outcome: str = "not_tried"
    workflow_id: str | None = None
    status_code: int | None = None
    code: str | None = None
    trace_id: str | None = None
    attempts: int = 0
    message: str | None = _NOT_YET

    def under_way(self) -> FleetRow:
        """Return the row of an assistant that may get requests from now on."""
        return replace(self, outcome="unknown", message=_NOT_YET)


class _Sent(SentState):
    """
    Keep what is linked in an assistant's row before each DELETE: ``execution_timeout`` may end the run then.

    :param rows: of the run.
    :param earlier: the assistant's row before this try.
    """

    def __init__(self, rows: dict[str, FleetRow], earlier: FleetRow) -> None:
        self._rows, self._earlier = rows, earlier

    def sending(self, workflow: WorkflowSummary | None) -> None:
        """Record what is linked, if that is known."""
        super().sending(workflow)
        if workflow is not None:
            row = replace(self._earlier.under_way(), workflow_id=workflow["id"])
            self._rows[row.assistant_id] = row


class _SameThread(Executor):
    """Run what is submitted at once: ``execution_timeout`` interrupts a request of the task's own thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Fleet:
    """
    One try to detach from all assistants.

    :param clients: one for each thread, with the same pace.
    :param pace: of all requests.
    :param wanted: what to detach, each assistant once.
    :param earlier: rows of earlier tries by assistant; what has a lasting outcome is not done again.
    :param max_failures: failures that do not end the run: a number, or a share of those done.
    :param record: keeps the rows of a window, by its number, for a later try; called in the caller's thread.
    :param log: gets a line for each failure, and every half a minute one that says how far the run is.
    """

    def __init__(
        self,
        clients: Sequence[Client],
        pace: Pace,
        wanted: Sequence[Wanted],
        earlier: Mapping[str, FleetRow],
        max_failures: float,
        record: Callable[[int, Sequence[FleetRow]], None],
        log: Log,
    ) -> None:
        self._clients, self._threads = list(clients), len(clients)
        self._is_cancelled, self._conn_id = clients[0].is_cancelled, clients[0].http.settings.conn_id
        self._pace, self._record, self._log = pace, record, log
        self._max_failures = max_failures
        self.rows = {
            one.assistant_id: earlier.get(one.assistant_id) or FleetRow(one.assistant_id) for one in wanted
        }
        self.todo = [one for one in wanted if self.rows[one.assistant_id].outcome in RETRIED]
        self._good = {"detached", "would_detach"} | (
            set() if any(one.if_not_attached == "fail" for one in wanted) else {"not_attached"}
        )
        self._pending: dict[Future[tuple[FleetRow, AitronosError | None]], int] = {}
        self._windows: dict[int, list[str]] = {}
        self._left: Counter[int] = Counter()
        self._done = self._forbidden = 0
        self._next_progress = _PROGRESS_SECONDS
        self.end: AitronosError | None = None
        """Why not all could be tried."""

    def run(self) -> None:
        """Do what earlier tries have not done. Rows and journal are right whatever ends the run."""
        executor = ThreadPoolExecutor(self._threads) if self._threads > 1 else _SameThread()
        try:
            for number, start in enumerate(range(0, len(self.todo), WINDOW)):
                self._run_window(executor, number, self.todo[start : start + WINDOW])
            while self._pending and not self._has_ended():
                self._collect()
            if self.end is not None:
                self._pace.close(self.end)
            while self._pending and not self._is_cancelled():
                self._collect()
            self._has_ended()
        finally:
            self._pace.close(self.end or AitronosCancelledError("The run was interrupted."))
            try:
                wait(self._pending, _GRACE)
            finally:  # execution_timeout may come here, too
                self._close(executor)

    def _close(self, executor: Executor) -> None:
        """Keep what is done; requests that are still under way have an unknown outcome."""
        while any(future.done() for future in self._pending):
            self._collect()
        executor.shutdown(wait=False)
        for row in list(self.rows.values()):
            if row.outcome == "not_tried" and self.end is not None:
                self.rows[row.assistant_id] = replace(row, message=self.end.cause)
        for number in list(self._windows):
            self._finish(number)

    def _run_window(self, executor: Executor, number: int, window: Sequence[Wanted]) -> None:
        """Hand out the assistants of a window; its last ones may be under way when the next one begins."""
        if self._has_ended():
            return
        ids = [one.assistant_id for one in window]
        self._record(number, [self.rows[one].under_way() for one in ids])
        self._windows[number], self._left[number] = ids, len(ids)
        for one in window:
            # The first one alone: it shows whether key and host are right.
            while len(self._pending) >= (self._threads if self._done else 1) and not self._has_ended():
                self._collect()
            if self._has_ended():
                return
            earlier = self.rows[one.assistant_id]
            self.rows[one.assistant_id] = earlier.under_way()
            self._pending[executor.submit(self._detach, one, earlier)] = number

    def _detach(self, one: Wanted, earlier: FleetRow) -> tuple[FleetRow, AitronosError | None]:
        """Detach from one assistant, in any thread."""
        state = _Sent(self.rows, earlier)
        if earlier.outcome == "unknown":
            state.maybe_done, one = True, replace(one, record_workflow=True)
            if known := earlier.workflow_id or one.expected_workflow_id:
                state.workflow = WorkflowSummary(id=known, name=None, version=None, external_id=None)
        client = self._clients.pop()
        detach = Detach(client, one, state)
        error: AitronosError | None = None
        facts: dict[str, Any]
        try:
            result = detach.run()
            outcome, workflow_id, message = str(result["outcome"]), result["workflow_id"], result["message"]
            message = _PROBABLY if detach.is_probable else message
            facts = {"trace_id": client.last_request_id, "attempts": detach.call.attempts_sent}
        except AitronosError as raised:
            error, outcome, message = raised, _outcome(raised, one, detach.call), str(raised)
            workflow_id = error.workflow_id or (state.workflow["id"] if state.workflow else None)
            facts = {name: getattr(error, name) for name in ("status_code", "code", "trace_id", "attempts")}
        finally:
            self._clients.append(client)
        message = optional_text(message, limit=_LONGEST_MESSAGE)
        return FleetRow(one.assistant_id, outcome, workflow_id, message=message, **facts), error

    def _collect(self) -> None:
        """Wait until one assistant at least is done, or for a moment, and keep the rows."""
        for future in wait(self._pending, SLICE, FIRST_COMPLETED).done:
            number = self._pending.pop(future)
            row, error = future.result()
            self.rows[row.assistant_id] = row
            self._done += row.outcome != "not_tried"
            if error is not None:
                self._forbidden += isinstance(error, AitronosPermissionError)
                self.end = self.end or self._pace.end or self._end_after(error)
            if error is not None and row.outcome not in self._good | {"not_tried"}:
                self._log.warning(f"Assistant '{row.assistant_id}': {row.outcome}: {error}")
            self._left[number] -= 1
            if not self._left[number]:
                self._finish(number)
        if self._pace.elapsed() >= self._next_progress:
            self._next_progress = self._pace.elapsed() + _PROGRESS_SECONDS
            self._log.info(self._progress())

    def _finish(self, number: int) -> None:
        self._record(number, [self.rows[one] for one in self._windows[number]])
        del self._windows[number]  # only now: an interrupted write is repeated when the run ends

    def _has_ended(self) -> bool:
        if self._is_cancelled():
            self.end = self.end or AitronosCancelledError("The task was cancelled.")
        self.end = self.end or self._pace.end
        return self.end is not None

    def _end_after(self, error: AitronosError) -> AitronosError | None:
        """Return why nothing else is tried after a failure; None if the run goes on."""
        is_about_one = error.status_code not in (403, 404) or (
            error.has_envelope and not self._forbidden == self._done == _MOST_FORBIDDEN
        )
        if isinstance(error, _RUN_WIDE) or not is_about_one or getattr(error, "never_arrived", False):
            return error
        failed = [row.outcome for row in self.failures() if row.outcome != "not_tried"]
        limit, share = self._max_failures, isinstance(self._max_failures, float)
        if len(failed) <= (limit * max(_FIRST_SHARE, self._count_done()) if share else limit):
            return None
        kinds = [_PERMANENT[outcome] for outcome in failed if outcome not in RETRIED]
        cause = f"{len(failed)} assistants failed, which is more than max_failures allows."
        return (kinds[0] if kinds else AitronosError)(cause)

    def _count_done(self) -> int:
        return sum(row.outcome != "not_tried" for row in self.rows.values())

    def _progress(self) -> str:
        seconds = self._pace.elapsed()
        left = (len(self.todo) - self._done) * seconds / max(1, self._done)
        return (
            f"{self._count_done()} of {len(self.rows)}: {self.in_words(but='not_tried')}; "
            f"{self._pace.passed / seconds * 60:.0f} requests/min; about {left / 60:.0f} min left"
        )

    # --- the result ---

    def counts(self) -> dict[str, int]:
        """Return how many assistants have which outcome."""
        return dict(Counter(row.outcome for row in self.rows.values()))

    def in_words(self, *, but: str = "") -> str:
        """
        Return the counts as a text, such as ``398 detached, 10 not attached``.

        :param but: an outcome that is left out.
        """
        counts = [(outcome, count) for outcome, count in self.counts().items() if outcome != but]
        return ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in counts)

    def failures(self) -> list[FleetRow]:
        """Return the rows of what did not work; what was not tried comes last."""
        rows = [row for row in self.rows.values() if row.outcome not in self._good]
        return sorted(rows, key=lambda row: row.outcome == "not_tried")

    def error(self) -> AitronosError | None:
        """Return what the try results in, None for success; permanent only if no later try has work left."""
        failures, end = self.failures(), self.end
        if not failures and not isinstance(end, AitronosCancelledError):
            return None
        permanent = [row.outcome for row in failures if row.outcome not in RETRIED]
        kind = _PERMANENT[permanent[0]] if len(permanent) == len(failures) else AitronosError
        error = kind() if end is None else type(end)()
        vars(error).update(vars(end or error))
        error.cause = f"Of {len(self.rows)} assistants: {self.in_words()}."
        if end is not None:
            error.cause = f"The run ended early: {end.cause} {error.cause}"
        if failures:
            error.cause += (
                " First: " + ", ".join(f"{row.assistant_id} {row.outcome}" for row in failures[:3]) + "."
            )
        error.fix = error.fix or "The log has all reasons."
        error.maybe_done = any(row.outcome == "unknown" for row in failures)
        error.tell(f"connection '{self._conn_id}', {self._pace.passed} requests")
        return error

    def manifest(self, report_path: str | None) -> dict[str, Any]:
        """
        Return counts, and as many rows as XCom can hold, those of failures first.

        :param report_path: of the report with all rows; None if there is none.
        """
        failures = self.failures()
        shown = [{**vars(row), "message": optional_text(row.message, limit=120)} for row in failures]
        done = [
            {"assistant_id": row.assistant_id, "workflow_id": row.workflow_id, "outcome": row.outcome}
            for row in self.rows.values()
            if row.outcome in ("detached", "would_detach")
        ]
        result: dict[str, Any] = {"counts": self.counts(), "report_path": report_path}
        left = _XCOM_BYTES - len(json.dumps(result))
        failed, left = _that_fit(shown[:_XCOM_FAILURES], left)
        detached, left = _that_fit(done, left)
        is_complete = (len(failed), len(detached)) == (len(failures), len(done))
        return {**result, "failed": failed, "detached": detached, "complete": is_complete}


def _outcome(error: AitronosError, one: Wanted, call: Call) -> str:
    """Return the outcome that an error stands for."""
    if call.has_succeeded:  # and the task was cancelled meanwhile
        return "would_detach" if one.check_only else "detached" if error.workflow_id else "unknown"
    for outcome, kind in _PERMANENT.items():
        if isinstance(error, kind):
            return outcome
    if error.outcome == "permanent":
        return "refused"
    if error.maybe_done:
        return "unknown"
    return "not_tried" if isinstance(error, RunEndedError | AitronosCancelledError) else "failed"


def _that_fit(entries: Sequence[Any], room: int) -> tuple[Sequence[Any], int]:
    """Return the first entries whose JSON fits, and the room that is left."""
    for number, entry in enumerate(entries):
        if (size := len(json.dumps(entry)) + 2) > room:
            return entries[:number], 0
        room -= size
    return entries, room
