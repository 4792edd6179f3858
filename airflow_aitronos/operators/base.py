"""What all operators share: a hook for each try, cancellation, the audit line and outlets."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk import AssetAlias, BaseOperator

from airflow_aitronos.client.validation import (
    NOTHING_UPSTREAM,
    check_id,
    check_limits,
    is_literal,
    refusal,
    shown_id,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_aitronos.client.sanitize import Log
    from airflow_aitronos.hooks.aitronos import AitronosHook
    from airflow_aitronos.retry_policy import AitronosRetryPolicy

NOT_GIVEN: Any = ...
"""Default of an argument whose None is not the same as leaving it out."""

SHORT_WAIT = 10.0
"""Seconds that a task waits for the server where coming back later costs no retry."""


@cache  # a failing import is tried again each time, and a DAG may have many operators
def _retry_policy() -> type[AitronosRetryPolicy] | None:
    """Return the class of the retry policy, None below Airflow 3.3."""
    try:
        from airflow_aitronos.retry_policy import AitronosRetryPolicy
    except ImportError:
        return None
    return AitronosRetryPolicy


class AitronosOperator(BaseOperator):
    """
    Make calls through one hook for each try of the task.

    :param aitronos_conn_id: id of the Airflow connection. Templated.
    :param max_attempts: maximum attempts for one call, 1 to 10; None for the connection's.
    :param total_timeout: seconds for one call, waits included; None for the connection's.
    """

    template_fields: Sequence[str] = ("aitronos_conn_id",)
    ui_color = "#e8d7f7"
    _hands_back_waits: ClassVar[bool] = True

    def __init__(
        self,
        *,
        aitronos_conn_id: str = "aitronos_default",
        max_attempts: int | None = None,
        total_timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_limits(max_attempts, total_timeout)
        self.aitronos_conn_id = aitronos_conn_id
        self.max_attempts = max_attempts
        self.total_timeout = total_timeout
        # Not through kwargs: what is set there is lost when a mapped task is expanded.
        if getattr(self, "retry_policy", None) is None and (policy := _retry_policy()) is not None:
            self.retry_policy = policy()
        self._is_killed = False
        self._parent: int | None = None
        self._hook: AitronosHook | None = None

    @contextmanager
    def _try(self, context: Context, **facts: Any) -> Iterator[tuple[AitronosHook, dict[str, Any]]]:
        """
        Give a hook for one try of the task, and log one audit line at the end of the try.

        :param context: of the task instance.
        :param facts: for the audit line; the block may add to them.
        """
        with self._audited(context, **facts) as audit, self._new_hook() as hook:
            yield hook, audit

    def _new_hook(self) -> AitronosHook:
        # Imported here, since parsing a DAG should not pay for requests.
        from airflow_aitronos.hooks.aitronos import AitronosHook

        hook = self._hook = AitronosHook(
            self.aitronos_conn_id, max_attempts=self.max_attempts, total_timeout=self.total_timeout
        )
        hook.is_cancelled = self._is_cancelled
        # Airflow 3.4+: another task may have the slot meanwhile, and retries stay as they are.
        policy = _retry_policy()
        given = getattr(self, "retry_policy", None)
        if self._hands_back_waits and policy and isinstance(given, policy) and given.reschedules:
            hook.defaults = {"max_retry_after": SHORT_WAIT}
        return hook

    @contextmanager
    def _audited(self, context: Context, **facts: Any) -> Iterator[dict[str, Any]]:
        """Log one audit line at the end of a try: JSON, safe whatever a template has rendered."""
        self._parent = os.getppid()
        names = ("dag_id", "task_id", "run_id", "map_index", "try_number")
        task = {name: getattr(context.get("ti"), name, None) for name in names}
        audit = {"assistant_id": None, "workflow_id": None, **facts}
        end: dict[str, Any] = {"outcome": "success"}
        try:
            yield audit
        except BaseException as error:
            end = _failed(error, audit)
            raise
        finally:
            trace_id = self._hook.last_request_id if self._hook else None
            line = {"operator": type(self).__name__, "conn_id": self.aitronos_conn_id, **task, **audit}
            line |= {"trace_id": trace_id, **end}
            safe = {name: _shown(name, value) for name, value in line.items()}
            self._safe_log.info(f"Audit: {json.dumps(safe)}")

    @property
    def _safe_log(self) -> Log:
        from airflow_aitronos.client.sanitize import Log

        return Log(self.log)

    def _is_cancelled(self) -> bool:
        """Return whether the task was cancelled, or outlives its supervisor: then its log goes nowhere."""
        return self._is_killed or (self._parent is not None and self._parent != os.getppid())

    def on_kill(self) -> None:
        """Send nothing any more. Runs in a signal handler, and may run before ``execute``."""
        self._is_killed = True

    def _add_to_outlet_events(self, context: Context, **facts: Any) -> None:
        """
        Add facts to the asset events of the task's outlets, as their extra; never fail.

        :param context: of the task instance.
        :param facts: by name, such as ``workflow_id``.
        """
        for outlet in self.outlets:
            if isinstance(outlet, AssetAlias):  # it has no event of its own
                continue
            try:
                context["outlet_events"][outlet].extra.update(facts)
            except Exception as error:  # noqa: BLE001  # the call has worked: nothing may raise any more
                self._safe_log.warning(
                    f"The asset event of an outlet of type {type(outlet).__name__} gets no facts "
                    f"({type(error).__name__}); they are: {json.dumps(facts)}",
                )


def check_literal_id(name: str, value: object) -> None:
    """Check an id when the DAG is parsed, if it is known by then."""
    if is_literal(value):
        check_id(name, value)


def how_given(value: object) -> Literal["left out", "None", "value"]:
    """Return how an optional argument was given, before anything is rendered."""
    return "left out" if value is NOT_GIVEN else "None" if value is None else "value"


def check_rendered(name: str, value: object, given: str, context: Context, *, otherwise: str) -> None:
    """
    Refuse an argument that was given and has rendered to None.

    A None that is written in the DAG means "none". In a mapped task it does not: there it comes from
    upstream.

    :param name: of the argument.
    :param value: rendered.
    :param given: what :func:`how_given` returned.
    :param context: of the task instance.
    :param otherwise: what would happen without the argument, for the message.
    :raises AitronosInputError: if the value is lost.
    """
    is_mapped = getattr(context.get("ti"), "map_index", -1) >= 0
    if value is None and (given == "value" or (given == "None" and is_mapped)):
        raise refusal(
            f"{name} rendered to nothing; without it there would be {otherwise}.",
            f"{NOTHING_UPSTREAM} Leave the argument out if that is meant.",
        )


def _failed(error: BaseException, facts: dict[str, Any]) -> dict[str, Any]:
    """Return what the audit line says of an error; what the error knows of the ids replaces the facts."""
    from airflow_aitronos._compat import AirflowRescheduleException, AirflowSkipException, TaskDeferred
    from airflow_aitronos.exceptions import AitronosError

    if isinstance(error, AirflowRescheduleException):
        return {"outcome": "rescheduled"}
    if isinstance(error, TaskDeferred):
        return {"outcome": "deferred"}
    if isinstance(error, AitronosError):
        ids = {name: getattr(error, name) or facts[name] for name in ("assistant_id", "workflow_id")}
        end = {"outcome": error.outcome, "maybe_done": error.maybe_done, "trace_id": error.trace_id}
        return {**ids, **end, "error": type(error).__name__}
    is_skip = isinstance(error, AirflowSkipException)
    # Airflow's timeouts and the death of a process are no Exception.
    outcome = "skipped" if is_skip else "failed" if isinstance(error, Exception) else "interrupted"
    return {"outcome": outcome, "error": type(error).__name__}


def _shown(name: str, value: object) -> object:
    """Return a fact of the audit line as safe JSON; a template may have rendered anything."""
    from airflow_aitronos.client.sanitize import safe_text

    if isinstance(value, str):
        return shown_id(value) if name in ("assistant_id", "workflow_id") else safe_text(value, limit=130)
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    return f"<{type(value).__name__}>"
