"""Sensors on assistants."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_aitronos._compat import conf
from airflow_aitronos.client.validation import check_choice, check_id, is_literal, refusal
from airflow_aitronos.exceptions import AitronosCancelledError
from airflow_aitronos.operators.base import AitronosOperator, check_literal_id

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_aitronos.client.workflows import AssistantWorkflow
    from airflow_aitronos.hooks.aitronos import AitronosHook

ANY = "any"
"""Stands for any workflow; a word and not None, so that a missing XCom is not taken for it."""


class AssistantWorkflowSensor(AitronosOperator, BaseSensorOperator):
    """
    Wait until a workflow is linked to an assistant, or until none is.

    Each poke is one call with its own attempts. A permanent error, such as an unknown assistant, fails the
    task at once; a retryable one uses its ``retries``. With ``silent_fail`` retryable errors are logged, and
    the sensor goes on poking.

    With ``deferrable`` Airflow's triggerer pokes, and no worker waits. ``poke_interval``, ``timeout`` and
    ``silent_fail`` apply there too, ``exponential_backoff`` does not. If the server asks to wait, the next
    poke comes after that wait, and no try of the task is used. With ``soft_fail`` Airflow skips a deferred
    sensor on retryable errors, too.

    :param assistant_id: the assistant; a ``str`` once rendered. Templated.
    :param until: what to wait for: "linked" or "unlinked".
    :param workflow_id: with ``until="linked"``: the workflow that has to be linked, "any" for any. None is
        refused, since a missing XCom renders to it. Templated.
    :param deferrable: whether the triggerer waits; None for ``[operators] default_deferrable`` of Airflow's
        configuration. ``mode`` is ignored then.
    :param aitronos_conn_id: id of the Airflow connection. Templated.
    :param max_attempts: maximum attempts within one poke, 1 to 10; None for the connection's.
    :param total_timeout: seconds for all of them together, waits included; None for the connection's.
    """

    template_fields: Sequence[str] = ("assistant_id", "workflow_id", "aitronos_conn_id")
    # In mode "reschedule" every poke is a reschedule, which uses up the bounds of the retry policy.
    _hands_back_waits: ClassVar[bool] = False

    def __init__(
        self,
        *,
        assistant_id: str,
        until: Literal["linked", "unlinked"],
        workflow_id: str = ANY,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_literal_id("assistant_id", assistant_id)
        check_choice("until", until, ("linked", "unlinked"))
        if is_literal(workflow_id):
            _wanted(workflow_id, until)
        self.assistant_id = assistant_id
        self.until = until
        self.workflow_id = workflow_id
        if deferrable is None:
            deferrable = conf.getboolean("operators", "default_deferrable", fallback=False)
        self.deferrable = deferrable
        self._is_between_pokes = False

    def execute(self, context: Context) -> Any:
        """
        Poke until the condition is met, or until ``timeout``; or let the triggerer do that.

        :param context: of the task instance.
        :return: ``assistant_id`` (str), ``workflow_id`` (str, or None if none is linked) and ``workflow``
            (None, or ``id``, ``name``, ``version`` and ``external_id``).
        :raises AitronosError: one of its subclasses if a call fails.
        """
        with self._audited(context, assistant_id=self.assistant_id, until=self.until) as audit:
            if self.deferrable:
                self._defer()
            timeout, self._is_between_pokes = self.timeout, True
            if self.mode == "poke":
                self.timeout = max(0.0, timeout - _elapsed(context))
            try:
                link = super().execute(context)
            finally:
                self.timeout, self._is_between_pokes = timeout, False
            audit["workflow_id"] = link["workflow_id"]
        return link

    def _defer(self) -> NoReturn:
        """Hand the wait to the triggerer; an argument or a connection that cannot be used fails here."""
        # Imported here, since it would slow down the parsing of every DAG.
        from airflow_aitronos.triggers.assistants import AssistantWorkflowTrigger

        assistant_id = check_id("assistant_id", self.assistant_id)
        wanted = _wanted(self.workflow_id, self.until)
        with self._new_hook() as hook:
            where = f"connection '{self.aitronos_conn_id}', {hook.settings.base_url.origin}"
        self.log.info("%s", f"The triggerer waits for assistant '{assistant_id}' ({where}).")
        trigger = AssistantWorkflowTrigger(
            assistant_id=assistant_id,
            until=self.until,
            workflow_id=wanted,
            aitronos_conn_id=self.aitronos_conn_id,
            poke_interval=self.poke_interval,
            silent_fail=self.silent_fail,
            max_attempts=self.max_attempts,
            total_timeout=self.total_timeout,
        )
        timeout = timedelta(seconds=self.timeout)
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timeout)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> AssistantWorkflow:
        """
        Take over what the triggerer found.

        :param context: of the task instance.
        :param event: of the trigger.
        :return: as :meth:`execute`.
        :raises AitronosError: the error of the trigger's last poke.
        """
        with self._audited(context, assistant_id=self.assistant_id, until=self.until) as audit:
            if "error" in event:
                from airflow_aitronos.triggers.assistants import error_of

                raise error_of(event)
            link: AssistantWorkflow = event["link"]
            audit["workflow_id"] = link["workflow_id"]
        return link

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002  # Airflow's signature
        """
        Read the link once.

        :param context: of the task instance.
        :return: whether the condition is met, and what :meth:`execute` returns then.
        :raises AitronosError: one of its subclasses if the call fails.
        """
        was_between, self._is_between_pokes = self._is_between_pokes, False
        try:
            wanted = _wanted(self.workflow_id, self.until)
            return read_once(self._new_hook(), self.assistant_id, until=self.until, wanted=wanted)
        finally:
            self._is_between_pokes = was_between

    def on_kill(self) -> None:
        """
        Send nothing any more, and interrupt the wait between two pokes. Runs in a signal handler.

        :raises AitronosCancelledError: between two pokes: Airflow's own wait would go on after the signal.
        """
        super().on_kill()
        # Not to be taken for a failed poke.
        self.silent_fail = self.never_fail = False
        if self._is_between_pokes:
            from airflow_aitronos.client.sanitize import safe_text

            assistant = safe_text(self.assistant_id, limit=130)
            raise AitronosCancelledError(
                "The task was cancelled between two pokes.",
                about=f"wait for assistant '{assistant}', connection '{self.aitronos_conn_id}'",
            )


def read_once(hook: AitronosHook, assistant_id: str, *, until: str, wanted: str) -> PokeReturnValue:
    """
    Read the link of an assistant, and close the hook.

    :param hook: to read with.
    :param assistant_id: the assistant.
    :param until: "linked" or "unlinked".
    :param wanted: the workflow that has to be linked, "any" for any.
    :return: whether the condition is met, and the link.
    :raises AitronosError: one of its subclasses if the call fails.
    """
    from airflow_aitronos.client.workflows import link_of

    with hook:
        link = link_of(assistant_id, hook.get_assistant_workflow(assistant_id))
    linked = link["workflow_id"]
    is_met = linked is None if until == "unlinked" else linked is not None and wanted in (ANY, linked)
    return PokeReturnValue(is_met, link)


def _elapsed(context: Context) -> float:
    """Return the seconds since the retry policy put the try off for the first time (Airflow 3.4+)."""
    ti = context.get("ti")
    first = ti.get_first_reschedule_date(context) if ti and context.get("task_reschedule_count") else None
    return (datetime.now(UTC) - first).total_seconds() if first else 0.0


def _wanted(workflow_id: object, until: str) -> str:
    """Return the workflow to wait for, checked."""
    if isinstance(workflow_id, str) and workflow_id.strip().lower() == ANY:
        return ANY
    wanted = check_id("workflow_id", workflow_id)
    if until == "unlinked":
        raise refusal("workflow_id is given with until='unlinked'.", "Leave it out.")
    return wanted
