"""What all operators of the package share: connection, limits, being stopped, and when to come back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.sdk import AssetAlias, BaseOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_aitronos.hooks.aitronos import AitronosHook
    from airflow_aitronos.operators._audit import Audit
    from airflow_aitronos.retry_policy import AitronosRetryPolicy


@cache  # an import that fails is tried anew each time, and a DAG may have many operators
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
    :param max_attempts: requests at most within one call, 1 to 10; None for the connection's.
    :param total_timeout: seconds for all of them together, waits included; None for the connection's.
    """

    template_fields: Sequence[str] = ("aitronos_conn_id",)
    ui_color = "#e8d7f7"

    def __init__(
        self,
        *,
        aitronos_conn_id: str = "aitronos_default",
        max_attempts: int | None = None,
        total_timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.aitronos_conn_id = aitronos_conn_id
        self.max_attempts = max_attempts
        self.total_timeout = total_timeout
        # Not through kwargs: what is set there is lost when a mapped task is expanded.
        if getattr(self, "retry_policy", None) is None and (policy := _retry_policy()) is not None:
            self.retry_policy = policy()
        self._hook: AitronosHook | None = None
        self._is_killed = False
        self._last_request_id: str | None = None

    @contextmanager
    def _this_try(self, context: Context, **facts: Any) -> Iterator[tuple[AitronosHook, Audit]]:
        """
        Give what a try needs: a hook that :meth:`on_kill` can stop, and the audit trail.

        :param context: of the task instance.
        :param facts: what the try is about, for the audit trail, such as ``assistant_id``.
        """
        with self._audited(context, **facts) as audit, self._calling() as hook:
            yield hook, audit

    @contextmanager
    def _audited(self, context: Context, **facts: Any) -> Iterator[Audit]:
        """
        Log an audit line when a try starts, and one when it ends.

        :param context: of the task instance.
        :param facts: what the try is about.
        """
        # Here like all that only a running task needs: parsing a DAG shall not pay for it.
        from airflow_aitronos.operators._audit import Audit

        about = {"operator": type(self).__name__, "conn_id": self.aitronos_conn_id, **facts}
        audit = Audit(self.log, context, about)
        audit.started()
        try:
            yield audit
        except BaseException as error:
            audit.ended(error, self._last_request_id)
            raise
        audit.ended(None, self._last_request_id)

    @contextmanager
    def _calling(self) -> Iterator[AitronosHook]:
        """Give a hook that :meth:`on_kill` can stop."""
        from airflow_aitronos.hooks.aitronos import AitronosHook

        with AitronosHook(
            self.aitronos_conn_id, max_attempts=self.max_attempts, total_timeout=self.total_timeout
        ) as hook:
            self._hook = hook
            if self._is_killed:  # while the task was being prepared
                hook.cancel()
            try:
                yield hook
            finally:
                self._hook = None
                self._last_request_id = hook.last_request_id

    def _tell_outlets(self, context: Context, **facts: Any) -> None:
        """
        Add facts to the events of the task's outlets, as their extra.

        An outlet that is only an alias gets no event of its own, hence no facts.

        :param context: of the task instance.
        :param facts: by name, such as ``workflow_id``.
        """
        for outlet in self.outlets:
            if not isinstance(outlet, AssetAlias):
                context["outlet_events"][outlet].extra.update(facts)

    def on_kill(self) -> None:
        """Send nothing any more. Runs in a signal handler, and may run before ``execute``."""
        self._is_killed = True
        if self._hook is not None:
            self._hook.cancel()
