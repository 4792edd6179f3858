"""Operators on workflows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_aitronos.operators._base import AitronosOperator
from airflow_aitronos.operators._definition_file import definition_from
from airflow_aitronos.operators._given import NOT_GIVEN, check_not_lost, how_given

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_aitronos.client.workflows import DeployedWorkflow, PromoteResult
    from airflow_aitronos.hooks.aitronos import AitronosHook


class DeployWorkflowOperator(AitronosOperator):
    """
    Create a workflow, or update the one with the same ``external_id``.

    Without ``external_id`` every run makes another workflow, and the call is not sent again once it may have
    arrived; from Airflow 3.3 on not by a later try of the task either, if the worker of this one dies.

    :param name: of the workflow. Templated.
    :param definition: its graph of nodes. Templated, every text in it; what comes from an XCom is not
        rendered further. A literal dict with ``{{ }}`` of its own belongs into a file or into
        Airflow's ``literal``.
    :param definition_path: a JSON file with the graph instead, readable on the worker. The path is templated,
        the content of the file is not.
    :param description: of the workflow. Templated.
    :param external_id: your own id for it; what renders to nothing is an error, not a workflow without one.
        Templated.
    :param aitronos_conn_id: id of the Airflow connection. Templated.
    :param max_attempts: requests at most within one try of the task, 1 to 10; None for the connection's.
    :param total_timeout: seconds for all of them together, waits included; None for the connection's.
    """

    template_fields: Sequence[str] = (
        "name",
        "definition",
        "definition_path",
        "description",
        "external_id",
        "aitronos_conn_id",
    )
    # Stays empty: Airflow would render the content of a file whose name ends with one of these.
    template_ext: Sequence[str] = ()
    template_fields_renderers: ClassVar[dict[str, str]] = {"definition": "json"}

    def __init__(
        self,
        *,
        name: str,
        definition: dict[str, Any] | None = None,
        definition_path: str | None = None,
        description: str | None = None,
        external_id: str | None = NOT_GIVEN,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._external_id_is = how_given(external_id)
        self.name = name
        self.definition = definition
        self.definition_path = definition_path
        self.description = description
        self.external_id = None if external_id is NOT_GIVEN else external_id

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Deploy the workflow.

        :param context: of the task instance.
        :return: ``id`` (str), ``name`` (str or None), ``version`` (int or None), ``external_id`` (str or
            None) and ``created``: True if the call made the workflow, False if it updated it, None if the
            answer leaves that open, or if an earlier try of the task may have made it.
        :raises AitronosUnsafeToRepeatError: if it is unknown whether the workflow was made, by this try or by
            an earlier one, and there is no ``external_id``.
        :raises AitronosError: one of its subclasses for every other end but success.
        """
        facts = {"workflow_name": self.name, "external_id": self.external_id}
        with self._this_try(context, **facts) as (hook, audit):
            check_not_lost(
                "external_id",
                self.external_id,
                self._external_id_is,
                context,
                without="a new workflow with every run",
            )
            deployed = self._deploy(hook, context)
            if deployed["created"] is False and getattr(context.get("ti"), "try_number", 1) > 1:
                deployed["created"] = None
            audit.note(workflow_id=deployed["id"], version=deployed["version"], created=deployed["created"])
        self._tell_outlets(
            context,
            assistant_id=deployed["assistant_id"],
            workflow_id=deployed["id"],
            version=deployed["version"],
        )
        from airflow_aitronos.client.workflows import summary_of

        return {**summary_of(deployed), "created": deployed["created"]}

    def _deploy(self, hook: AitronosHook, context: Context) -> DeployedWorkflow:
        from airflow_aitronos.client.workflows import look_before_creating, shown
        from airflow_aitronos.operators._memory import at_most_once

        def call() -> DeployedWorkflow:
            return hook.create_workflow(
                name=self.name,
                definition=definition_from(self.definition, self.definition_path),
                description=self.description,
                external_id=self.external_id,
            )

        if self.external_id is not None:
            return call()
        with at_most_once(
            hook,
            context,
            intent=f"create workflow {shown(self.name)}",
            look_first=look_before_creating(shown(self.name)),
        ):
            return call()


class PromoteWorkflowToAssistantOperator(AitronosOperator):
    """
    Make a new assistant from a workflow, and link the workflow to it.

    The call is never sent again once it may have arrived: it would make a second assistant. A second try of
    the task is a second call, so the task has no ``retries`` unless you give it some. From Airflow 3.3 on a
    try that ended without a word, since its worker died, is remembered: the next one stops and says what to
    look at.

    :param workflow_id: the workflow. Templated.
    :param name: of the assistant. Templated.
    :param description: of the assistant. Templated.
    :param primary_node_id: the node that answers; needed where several could. Templated.
    :param aitronos_conn_id: id of the Airflow connection. Templated.
    :param max_attempts: requests at most within one try of the task, 1 to 10; None for the connection's.
    :param total_timeout: seconds for all of them together, waits included; None for the connection's.
    :param retries: tries of the task after the first. Mapped tasks have this default from Airflow 3.3 on.
    """

    template_fields: Sequence[str] = (
        "workflow_id",
        "name",
        "description",
        "primary_node_id",
        "aitronos_conn_id",
    )

    def __init__(
        self,
        *,
        workflow_id: str,
        name: str | None = None,
        description: str | None = None,
        primary_node_id: str | None = None,
        # In the signature, so that the DAG's default_args and a mapped task's own retries are heeded.
        retries: int | None = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=retries, **kwargs)
        self.workflow_id = workflow_id
        self.name = name
        self.description = description
        self.primary_node_id = primary_node_id

    def execute(self, context: Context) -> PromoteResult:
        """
        Promote the workflow.

        :param context: of the task instance.
        :return: ``assistant_id`` (str), ``workflow_id`` (str) and ``message`` (str or None).
        :raises AitronosUnsafeToRepeatError: if it is unknown whether the assistant was made, by this try or
            by an earlier one.
        :raises AitronosError: one of its subclasses for every other end but success.
        """
        from airflow_aitronos.client.ids import check_id
        from airflow_aitronos.client.workflows import look_before_promoting
        from airflow_aitronos.operators._memory import at_most_once

        with self._this_try(context, workflow_id=self.workflow_id) as (hook, audit):
            workflow_id = check_id("workflow_id", self.workflow_id)
            with at_most_once(
                hook,
                context,
                intent=f"promote workflow '{workflow_id}' to an assistant",
                look_first=look_before_promoting(workflow_id),
                workflow_id=workflow_id,
            ):
                result = hook.promote_workflow_to_assistant(
                    workflow_id,
                    name=self.name,
                    description=self.description,
                    primary_node_id=self.primary_node_id,
                )
            audit.note(assistant_id=result["assistant_id"])
        self._tell_outlets(
            context, assistant_id=result["assistant_id"], workflow_id=result["workflow_id"], version=None
        )
        return result
