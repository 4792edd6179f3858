"""Sensors on assistants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_aitronos.exceptions import AitronosCancelledError, AitronosInputError
from airflow_aitronos.operators._base import AitronosOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_aitronos.client.workflows import AssistantWorkflow

ANY = "any"
"""Stands for any workflow; a word and not None, so that a missing XCom cannot be taken for it."""


class AssistantWorkflowSensor(AitronosOperator, BaseSensorOperator):
    """
    Wait until a workflow is linked to an assistant, or until none is.

    Each poke is one call, tried again like any other. An error that it ends with is the task's, as with every
    sensor: one that trying again cannot help, such as an unknown assistant, fails it at once, others use its
    ``retries``. With ``silent_fail`` the latter are logged, and the sensor goes on poking.

    :param assistant_id: the assistant; a ``str`` once rendered. Templated.
    :param until: what is waited for: "linked" or "unlinked".
    :param workflow_id: with ``until="linked"``: the one that has to be linked, "any" for whichever. None is
        refused, since that is what a missing XCom gives. Templated.
    :param aitronos_conn_id: id of the Airflow connection. Templated.
    :param max_attempts: requests at most within one poke, 1 to 10; None for the connection's.
    :param total_timeout: seconds for all of them together, waits included; None for the connection's.
    """

    template_fields: Sequence[str] = ("assistant_id", "workflow_id", "aitronos_conn_id")

    def __init__(
        self,
        *,
        assistant_id: str,
        until: Literal["linked", "unlinked"],
        workflow_id: str = ANY,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.assistant_id = assistant_id
        self.until = until
        self.workflow_id = workflow_id
        self._is_between_pokes = False

    def execute(self, context: Context) -> Any:
        """
        Poke until the workflow is as it should be, or ``timeout`` is over.

        :param context: of the task instance.
        :return: ``assistant_id`` (str), ``workflow_id`` (str, or None if none is linked) and ``workflow``
            (None, or a dict of ``id``, ``name``, ``version`` and ``external_id``).
        :raises AitronosError: one of its subclasses if a call fails.
        """
        with self._audited(context, assistant_id=self.assistant_id, until=self.until) as audit:
            self._is_between_pokes = True
            try:
                link = super().execute(context)
            finally:
                self._is_between_pokes = False
            audit.note(workflow_id=link["workflow_id"])
        return link

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002  # Airflow's signature
        """
        Look once.

        :param context: of the task instance.
        :return: whether the workflow is as it should be, and what :meth:`execute` returns then.
        :raises AitronosError: one of its subclasses if the call fails.
        """
        was_between, self._is_between_pokes = self._is_between_pokes, False
        try:
            wanted = self._wanted_workflow()
            with self._calling() as hook:
                workflow = hook.get_assistant_workflow(self.assistant_id)
            from airflow_aitronos.client.workflows import link_of

            link = link_of(self.assistant_id, workflow)
            return PokeReturnValue(self._is_as_wanted(link, wanted), link)
        finally:
            self._is_between_pokes = was_between

    def _wanted_workflow(self) -> str:
        from airflow_aitronos.client.ids import check_id
        from airflow_aitronos.client.safe_text import safe_text

        if self.until not in ("linked", "unlinked"):
            shown = safe_text(self.until, limit=60)
            raise AitronosInputError(
                f"Nothing was sent: until is '{shown}'. Legal are 'linked' and 'unlinked'. Trying again "
                "cannot help."
            )
        if isinstance(self.workflow_id, str) and self.workflow_id.strip().lower() == ANY:
            return ANY
        wanted = check_id("workflow_id", self.workflow_id)
        if self.until == "unlinked":
            raise AitronosInputError(
                "Nothing was sent: workflow_id goes with until='linked' only. Leave it out. Trying again "
                "cannot help."
            )
        return wanted

    def _is_as_wanted(self, link: AssistantWorkflow, wanted: str) -> bool:
        linked = link["workflow_id"]
        if self.until == "unlinked":
            return linked is None
        return linked is not None and wanted in (ANY, linked)

    def on_kill(self) -> None:
        """
        Send nothing any more, and end the wait between two pokes. Runs in a signal handler.

        :raises AitronosCancelledError: between two pokes: Airflow's own wait goes on after a signal else.
        """
        super().on_kill()
        # A poke that is stopped ends the task, whatever else its errors are taken for.
        self.silent_fail = self.never_fail = False
        if self._is_between_pokes:
            from airflow_aitronos.client.safe_text import safe_text

            raise AitronosCancelledError(
                "Was told to stop, on the way to wait for assistant "
                f"'{safe_text(self.assistant_id, limit=130)}' through connection '{self.aitronos_conn_id}': "
                "nothing more was sent. Trying again may help. Whoever stopped the task knows why."
            )
