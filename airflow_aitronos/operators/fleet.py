"""Detach the workflows of many assistants in one task."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import count
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_aitronos._compat import AirflowSkipException
from airflow_aitronos.client.pace import MOST_THREADS, Pace
from airflow_aitronos.client.validation import (
    IF_NOT_ATTACHED,
    NOTHING_UPSTREAM,
    check_bool,
    check_choice,
    check_id,
    check_switch,
    is_literal,
    is_nothing,
    parse_seconds,
    parsed,
    refusal,
)
from airflow_aitronos.exceptions import AitronosError
from airflow_aitronos.operators.base import NOT_GIVEN, AitronosOperator, check_rendered, how_given

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_aitronos.client.detach import Wanted
    from airflow_aitronos.client.fleet import Fleet, FleetRow
    from airflow_aitronos.client.sanitize import Log
    from airflow_aitronos.client.validation import IfNotAttached

REPORT = "report"
"""XCom key of the result of a task that failed."""

_ID, _EXPECTED = "assistant_id", "expected_workflow_id"
_AGAIN = "a later try will start from the top, and find what was detached before as not attached."
_FROM_THE_TOP = "this try starts from the top, and finds what was detached before as not attached."
_MOST_FAILURES = 3
"""Writes in a row that a store may fail: each may take a minute."""


class DetachAssistantWorkflowsOperator(AitronosOperator):
    """
    Detach the workflows of many assistants at one pace; the workflows are not deleted. There is no undo.

    Each assistant is detached as by ``DetachAssistantWorkflowOperator``. The first one goes alone, the others
    follow at ``requests_per_minute``. A failure of one assistant does not end the run; a refused key,
    a wrong host, too many failures or a used-up quota do. The task fails if anything failed, after all else
    is done, and pushes the result under the XCom key ``report`` first.

    A retry does only what is left: on Airflow 3.3 and later, and with ``report_path`` on any. A cleared task
    starts fresh.

    :param assistant_ids: a list of ids, or of dicts with ``assistant_id`` and ``expected_workflow_id``.
        Templated: pass the output of an upstream task itself.
    :param if_empty: outcome of the task if the list is empty: ``skip``, ``succeed`` or ``fail``.
    :param if_not_attached: what it means that nothing is linked: ``succeed``, ``fail`` (that assistant's
        failure), or ``skip`` (the task's outcome if nothing was linked anywhere).
    :param record_workflow: read what is linked before a DELETE, to know its id in any case: two requests for
        each assistant.
    :param check_only: read what would be detached, and send no DELETE. A bool, or a text that is ``true``
        or ``false``. Templated.
    :param requests_per_minute: limit for all requests of the task; None for no limit.
    :param concurrency: assistants at a time, 1 to 8.
    :param max_failures: failures that do not end the run: a number, or a share (above 0, below 1) of those
        done, or of 200 while fewer are done.
    :param fail_on_partial_failure: whether the task fails if some assistants did; else it succeeds, with a
        warning, once all were tried.
    :param report_path: any path of Airflow's object storage: one line of JSON for each assistant. An existing
        file is kept beside it under a number. Templated.
    :param run_timeout: seconds after which a try sends no further request; None for no limit.
    :param aitronos_conn_id: id of the Airflow connection. Templated.
    :param max_attempts: maximum attempts for one assistant, not counting 429s; None for the connection's.
    :param total_timeout: seconds for one assistant, without waits for its turn; None for the connection's.
    """

    template_fields: Sequence[str] = ("assistant_ids", "check_only", "report_path", "aitronos_conn_id")
    # Its pace waits for a limit per minute, which ends before the task would be back.
    _hands_back_waits: ClassVar[bool] = False

    def __init__(
        self,
        *,
        assistant_ids: Any,
        if_empty: Literal["skip", "succeed", "fail"] = "skip",
        if_not_attached: IfNotAttached = "succeed",
        record_workflow: bool = True,
        check_only: bool | str = False,
        requests_per_minute: float | None = 60,
        concurrency: int = 1,
        max_failures: float = 0.05,
        fail_on_partial_failure: bool = True,
        report_path: str | None = NOT_GIVEN,
        run_timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if is_literal(assistant_ids):
            _checked_items(assistant_ids, is_rendered=False)
        check_choice("if_empty", if_empty, ("skip", "succeed", "fail"))
        check_choice("if_not_attached", if_not_attached, IF_NOT_ATTACHED)
        check_bool("record_workflow", record_workflow)
        check_bool("fail_on_partial_failure", fail_on_partial_failure)
        if is_literal(check_only):
            check_switch("check_only", check_only)
        if requests_per_minute is not None:
            _check_number("requests_per_minute", requests_per_minute, 1, 100_000)
        _check_number("concurrency", concurrency, 1, MOST_THREADS, whole=True)
        is_share = isinstance(max_failures, float) and max_failures < 1
        _check_number("max_failures", max_failures, 0, 1_000_000, whole=not is_share)
        if run_timeout is not None:
            parsed("Argument run_timeout", run_timeout, parse_seconds)
        self._report_given = how_given(report_path)
        self.assistant_ids = assistant_ids
        self.if_empty = if_empty
        self.if_not_attached = if_not_attached
        self.record_workflow = record_workflow
        self.check_only = check_only
        self.requests_per_minute = requests_per_minute
        self.concurrency = concurrency
        self.max_failures = max_failures
        self.fail_on_partial_failure = fail_on_partial_failure
        self.report_path = None if report_path is NOT_GIVEN else report_path
        self.run_timeout = run_timeout

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Detach all workflows.

        :param context: of the task instance.
        :return: ``counts`` (dict of int by outcome), ``failed`` (list of rows of the report), ``detached``
            (list of dicts with ``assistant_id``, ``workflow_id`` and ``outcome``), ``report_path`` (str or
            None) and ``complete``: whether the XCom has room for all of them.
        :raises AitronosError: a retryable one if a later try can do what is left, else a permanent one.
        :raises airflow.exceptions.AirflowSkipException: if there is nothing to do, as the options say.
        """
        from airflow_aitronos.client.fleet import Fleet

        with self._try(context, if_not_attached=self.if_not_attached) as (hook, audit):
            name, path = "report_path", self.report_path
            check_rendered(name, path, self._report_given, context, otherwise="no report")
            if path is not None and (not isinstance(path, str | PathLike) or is_nothing(str(path))):
                raise refusal(f"report_path is {path!r:.60}.", f"It has to be a path. {NOTHING_UPSTREAM}")
            wanted = self._wanted()
            report = _Report(self.report_path, self._safe_log)
            subject = [*sorted(map(str, wanted)), str(hook.settings.base_url)]
            journal = _Journal(context, subject, report, self._safe_log)
            longest_wait = hook.settings.max_retry_after
            pace = Pace(self.requests_per_minute, self.run_timeout, longest_wait, hook.clock, self._safe_log)
            clients = [hook.new_client(pace) for _ in range(self.concurrency)]
            earlier = journal.read()
            fleet = Fleet(clients, pace, wanted, earlier, self.max_failures, journal.record, self._safe_log)
            report.start(fleet.rows.values())
            self._log_plan(fleet)
            try:
                fleet.run()
            finally:
                for client in clients:
                    client.http.close()
                result = fleet.manifest(report.write(fleet.rows.values()))
                audit.update(result["counts"])
                if (error := fleet.error()) is not None:
                    self._push(context, result)
                where = f"; report: {result['report_path']}" if result["report_path"] else ""
                self._safe_log.info(f"Of {len(wanted)} assistants: {fleet.in_words()}{where}")
            if error is not None:
                if self.fail_on_partial_failure or fleet.end is not None:
                    raise error
                self._safe_log.warning(f"{error} fail_on_partial_failure is off: the task succeeds.")
            if self.if_not_attached == "skip" and set(result["counts"]) == {"not_attached"}:
                raise AirflowSkipException("No assistant has a workflow linked.")
        self._add_to_outlet_events(context, counts=result["counts"], report_path=result["report_path"])
        return result

    def _wanted(self) -> list[Wanted]:
        """Return what to detach; nothing is sent unless all of it is legal."""
        from airflow_aitronos.client.detach import Wanted

        check_only = check_switch("check_only", self.check_only)
        items = _checked_items(self.assistant_ids)
        if not items and self.if_empty == "skip":
            raise AirflowSkipException("assistant_ids is empty.")
        if not items and self.if_empty == "fail":
            raise refusal("assistant_ids is empty.", "Did an upstream XCom return nothing?")
        return [
            Wanted(assistant_id, expected, self.if_not_attached, self.record_workflow, False, check_only)
            for assistant_id, expected in items.items()
        ]

    def _log_plan(self, fleet: Fleet) -> None:
        requests = sum(2 if one.reads_link and not one.check_only else 1 for one in fleet.todo)
        rate = self.requests_per_minute
        time = f", about {requests / rate:.0f} min at {rate:g} a minute" if rate else ""
        left = f"{len(fleet.todo)} of {len(fleet.rows)} assistants are left to do"
        self._safe_log.info(f"{left}: {requests} requests{time}")

    def _push(self, context: Context, result: dict[str, Any]) -> None:
        """Push the result of a task that may fail, for whoever reads it; never fail."""
        if not self.do_xcom_push:
            return
        try:
            context["ti"].xcom_push(key=REPORT, value=result)
        except Exception as error:  # noqa: BLE001  # DELETEs were sent: nothing may hide what they did
            self._safe_log.warning(f"The result could not be pushed ({type(error).__name__}): {result}")


def _checked_items(value: Any, *, is_rendered: bool = True) -> dict[str, str | None]:
    """Return the expected workflow of each assistant, None for any; refuse all if one cannot be sent."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise refusal(
            f"assistant_ids is of type {type(value).__name__}, not a list.",
            "Pass a list, or the output of the upstream task itself: a template renders to text.",
        )
    items: dict[str, str | None] = {}
    for position, item in enumerate(value):
        name, parts = f"assistant_ids[{position}]", item if isinstance(item, Mapping) else {_ID: item}
        if not is_rendered and not all(map(is_literal, parts.values())):
            continue
        if _ID not in parts or set(parts) - {_ID, _EXPECTED}:
            raise refusal(f"{name} has other keys than '{_ID}' and '{_EXPECTED}'.", "Correct it.")
        assistant_id = check_id(name, parts[_ID])
        expected = check_id(f"{name}['{_EXPECTED}']", parts[_EXPECTED]) if _EXPECTED in parts else None
        if items.setdefault(assistant_id, expected) != expected:
            cause = f"{name}: '{assistant_id}' is in the list twice, with different workflows."
            raise refusal(cause, "Keep one of them.")
    return items


def _check_number(name: str, value: object, smallest: int, largest: int, *, whole: bool = False) -> None:
    kinds = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not smallest <= value <= largest:
        kind = "a whole number" if whole else "a number"
        raise refusal(f"{name} is {value!r:.60}.", f"Use {kind} from {smallest} to {largest}.")


class _Report:
    """
    A file with a line of JSON for each assistant; beside it, without a store, the records for a later try.

    :param path: any path of Airflow's object storage; None for no report.
    :param log: gets a warning if the file cannot be written in the end.
    """

    def __init__(self, path: str | None, log: Log) -> None:
        from airflow.sdk import ObjectStoragePath

        from airflow_aitronos.client.sanitize import safe_text

        self.path, self._shown = None, safe_text(path, limit=200)
        self._log = log
        self._written: bytes | None = None
        with self._before_any_request():
            self.path = None if path is None else ObjectStoragePath(path)

    def start(self, rows: Iterable[FleetRow]) -> None:
        """Write the report before anything is sent: a path that is wrong shows early."""
        with self._before_any_request():
            if self.path is not None and self.path.exists() and not self.path.is_file():
                raise refusal(f"report_path '{self._shown}' is not a file.", "Name a file in a folder.")
            if self.path is not None and self.path.protocol in ("", "file"):
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self._write(rows)

    @contextmanager
    def _before_any_request(self) -> Iterator[None]:
        """Turn what a storage raises into an error of ours; Airflow 3.1 finds a wrong path late."""
        try:
            yield
            return
        except AitronosError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a storage raises
            problem = type(error).__name__
        cause = f"The report cannot be read or written at report_path '{self._shown}' ({problem})."
        raise AitronosError(cause, fix="Check the path and its connection.", about="no request was sent")

    def write(self, rows: Iterable[FleetRow]) -> str | None:
        """Write the report, and return where it is, None if it is nowhere; never fail."""
        try:
            self._write(rows)
        except Exception as error:  # noqa: BLE001  # whatever a storage raises
            problem = type(error).__name__
            self._log.warning(f"The report could not be written ({problem}); the log has every detach.")
            return None
        return None if self.path is None else str(self.path)

    def _write(self, rows: Iterable[FleetRow]) -> None:
        """Write the report; keep what somebody else has written, another run or task, under a number."""
        if self.path is None:
            return
        if self.path.exists() and (there := self.path.read_bytes()) != self._written:
            numbered = (f"{self.path.stem}.{number}{self.path.suffix}" for number in count(1))
            free = next(path for name in numbered if not (path := self.path.parent / name).exists())
            free.write_bytes(there)
        self._written = "".join(f"{json.dumps(vars(row))}\n" for row in rows).encode()
        self.path.write_bytes(self._written)

    # --- as Airflow's task state store ---

    def get(self, key: str) -> Any:
        path = self._part(key)
        with self._before_any_request():
            return json.loads(path.read_text()) if path.exists() else None

    def set(self, key: str, value: Any) -> None:
        # A process that is killed leaves a whole record, the old one or the new one.
        new = self._part(f"{key}.new")
        new.write_text(json.dumps(value))
        new.rename(self._part(key))

    def _part(self, key: str) -> Any:
        assert self.path is not None  # noqa: S101
        return self.path.parent / f"{self.path.name}.{key}"


class _Journal:
    """
    What a later try knows: the rows of each window, numbered, since a store cannot list its keys.

    They stand in Airflow's task state store (3.3+), else beside the report. They count for the same task
    instance, subject, ``max_tries`` and ``retries`` only: see :mod:`airflow_aitronos.operators.try_state`.
    """

    def __init__(self, context: Context, subject: Sequence[str], report: _Report, log: Log) -> None:
        names = ("dag_id", "task_id", "run_id", "map_index", "max_tries")
        self._about = {name: getattr(context.get("ti"), name, None) for name in names}
        self._about["retries"] = getattr(context.get("task"), "retries", None)
        self._about["subject"] = sha256("".join(subject).encode()).hexdigest()
        stores = [context.get("task_state_store"), report if report.path is not None else None]
        self._stores: list[Any] = [store for store in stores if store is not None]
        self._log = log
        self._first = 0
        self._unwritten: dict[int, dict[str, Any]] = {}
        self._failures = 0
        if not self._stores:
            self._log.info(f"There is neither a task state store (Airflow 3.3+) nor a report_path: {_AGAIN}")

    def read(self) -> dict[str, FleetRow]:
        """Return the last row of each assistant; one that was under way has an unknown outcome."""
        from airflow_aitronos.client.fleet import FleetRow

        rows: dict[str, FleetRow] = {}
        while record := self._get(self._key(0)):
            rows |= {row["assistant_id"]: FleetRow(**row) for row in record["rows"]}
            self._first += 1
        return rows

    def _get(self, key: str) -> dict[str, Any] | None:
        """Return the newest record of a window: a file is there only if the store had failed."""
        records = []
        for store in self._stores.copy():
            try:
                records.append(store.get(key))
            except AitronosError:  # the report cannot be read
                raise
            except Exception as error:  # noqa: BLE001  # whatever a state backend raises
                self._stores.remove(store)
                otherwise = "only files beside the report count." if self._stores else _FROM_THE_TOP
                self._log.warning(f"The task state cannot be read ({type(error).__name__}): {otherwise}")
        found = [record for record in records if isinstance(record, dict)]
        counting = [record for record in found if record.get("about") == self._about]
        if found and not counting and not self._first:
            self._log.info(
                "The records of an earlier try do not count: other ids or options, or a cleared run."
            )
        return counting[-1] if counting else None

    def record(self, number: int, rows: Sequence[FleetRow]) -> None:
        """Keep the rows of one window of this try, after those that could not be kept before."""
        self._unwritten[number] = {"about": self._about, "rows": [vars(row) for row in rows]}
        for one, unwritten in list(self._unwritten.items()):
            if not self._set(self._key(one), unwritten):
                return
            del self._unwritten[one]

    def _set(self, key: str, record: dict[str, Any]) -> bool:
        """Return whether nothing is left to do for a record. Files replace a store that fails."""
        for store in self._stores.copy():
            try:
                store.set(key, record)
                self._failures = 0
                return True
            except Exception as error:  # noqa: BLE001  # whatever a state backend raises
                problem = type(error).__name__
            self._failures += 1
            otherwise = "it is tried again with the next window."
            if store is not self._stores[-1] or self._failures == _MOST_FAILURES:
                self._stores.remove(store)
                otherwise = "files beside the report replace it." if self._stores else _AGAIN
            self._log.warning(f"The task state failed ({problem}): {otherwise}")
        return not self._stores

    def _key(self, number: int) -> str:
        return f"aitronos_fleet_{self._first + number}"
