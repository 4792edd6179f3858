"""Operators on workflows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_aitronos.client.validation import check_id, is_literal, refusal
from airflow_aitronos.operators.base import (
    NOT_GIVEN,
    AitronosOperator,
    check_literal_id,
    check_rendered,
    how_given,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_aitronos.client.workflows import PromoteResult, WorkflowSummary
    from airflow_aitronos.hooks.aitronos import AitronosHook


class DeployWorkflowOperator(AitronosOperator):
    """
    Create a workflow, or update the one with the same ``external_id`` ("Create workflow" page).

    Without ``external_id`` every run creates another workflow, and the call is not repeated once it may have
    arrived; on Airflow 3.3 and later not by a later try of the task either.

    :param name: of the workflow. Templated.
    :param definition: its graph of nodes. Templated, each text in it that holds a template; what comes from
        an XCom is not rendered further. A literal ``{{ }}`` goes into a file or into Airflow's ``literal``.
    :param definition_path: a JSON file with the graph instead, readable on the worker. The path is templated,
        the content of the file is not.
    :param description: of the workflow. Templated.
    :param external_id: your own id for it; what renders to nothing is an error. Templated.
    :param aitronos_conn_id: id of the Airflow connection. Templated.
    :param max_attempts: maximum attempts within one try of the task, 1 to 10; None for the connection's.
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
    # Empty: Airflow would render the content of a file whose name ends with one of these.
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
        self._external_id_given = how_given(external_id)
        self.name = name
        self.definition = definition
        self.definition_path = definition_path
        self.description = description
        self.external_id = None if external_id is NOT_GIVEN else external_id

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:
        """
        Render a value, but leave a text without a template as it is.

        With ``render_template_as_native_obj=True`` Airflow would make numbers, lists and bools of such texts.

        :param content: to render.
        :param args: Airflow's.
        :param kwargs: Airflow's.
        """
        if isinstance(content, str) and (is_literal(content) or not content.strip()):
            return content
        return super().render_template(content, *args, **kwargs)

    def execute(self, context: Context) -> WorkflowSummary:
        """
        Deploy the workflow.

        :param context: of the task instance.
        :return: ``id`` (str), ``name`` (str or None), ``version`` (int or None) and ``external_id`` (str or
            None).
        :raises AitronosUnsafeToRepeatError: if it is unknown whether the workflow was created, by this try or
            by an earlier one, and there is no ``external_id``.
        :raises AitronosError: one of its subclasses for every other outcome but success.
        """
        from airflow_aitronos.operators.try_state import sent_once

        external_id = self.external_id
        with self._try(context, workflow_name=self.name, external_id=external_id) as (hook, audit):
            otherwise = "a new workflow with each run"
            check_rendered("external_id", external_id, self._external_id_given, context, otherwise=otherwise)
            if external_id is not None:
                result = self._deploy(hook, _definition(self.definition, self.definition_path))
            else:
                # Not the name: a template may render it otherwise in the next try.
                subject = {"api": str(hook.settings.base_url)}
                check_first = "Check whether list_workflows() shows the name in it: then it was created."
                with sent_once(
                    context, self._safe_log, subject, intent="create a workflow", check_first=check_first
                ) as state:
                    if state.result is None:
                        definition = _definition(self.definition, self.definition_path)  # may take long
                        state.sending()
                        state.done(self._deploy(hook, definition))
                    result = state.result
            audit.update(workflow_id=result["workflow"]["id"], version=result["workflow"]["version"])
        self._add_to_outlet_events(
            context,
            assistant_id=result["assistant_id"],
            workflow_id=result["workflow"]["id"],
            version=result["workflow"]["version"],
        )
        summary: WorkflowSummary = result["workflow"]
        return summary

    def _deploy(self, hook: AitronosHook, definition: Any) -> dict[str, Any]:
        from airflow_aitronos.client.workflows import summary_of

        workflow = hook.create_workflow(
            name=self.name,
            definition=definition,
            description=self.description,
            external_id=self.external_id,
        )
        return {"workflow": summary_of(workflow), "assistant_id": workflow["assistant_id"]}


class PromoteWorkflowToAssistantOperator(AitronosOperator):
    """
    Create an assistant from a workflow, and link the workflow to it ("Promote workflow to assistant" page).

    The call is never repeated once it may have arrived: it would create a second assistant. A second try of
    the task is a second call, so the task has no ``retries`` unless you set some. On Airflow 3.3 and later a
    later try returns the result of an earlier one, or fails and says what to check if that try's outcome is
    unknown.

    :param workflow_id: the workflow. Templated.
    :param name: of the assistant. Templated.
    :param description: of the assistant. Templated.
    :param primary_node_id: the node that answers; needed where several could. Templated.
    :param aitronos_conn_id: id of the Airflow connection. Templated.
    :param max_attempts: maximum attempts within one try of the task, 1 to 10; None for the connection's.
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
        # In the signature, so that the DAG's default_args and a mapped task's own retries count.
        retries: int | None = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=retries, **kwargs)
        check_literal_id("workflow_id", workflow_id)
        self.workflow_id = workflow_id
        self.name = name
        self.description = description
        self.primary_node_id = primary_node_id

    def execute(self, context: Context) -> PromoteResult:
        """
        Promote the workflow.

        :param context: of the task instance.
        :return: ``assistant_id`` (str), ``workflow_id`` (str) and ``message`` (str or None).
        :raises AitronosUnsafeToRepeatError: if it is unknown whether the assistant was created, by this try
            or by an earlier one.
        :raises AitronosError: one of its subclasses for every other outcome but success.
        """
        from airflow_aitronos.client.workflows import check_before_promoting
        from airflow_aitronos.operators.try_state import sent_once

        with self._try(context, workflow_id=self.workflow_id) as (hook, audit):
            workflow_id = check_id("workflow_id", self.workflow_id)
            subject = {"workflow_id": workflow_id, "api": str(hook.settings.base_url)}
            intent = f"promote workflow '{workflow_id}' to an assistant"
            check_first = check_before_promoting(workflow_id)
            with sent_once(context, self._safe_log, subject, intent=intent, check_first=check_first) as state:
                if state.result is None:
                    state.sending()
                    promoted = hook.promote_workflow_to_assistant(
                        workflow_id,
                        name=self.name,
                        description=self.description,
                        primary_node_id=self.primary_node_id,
                    )
                    state.done(promoted)
                result: PromoteResult = state.result
            audit["assistant_id"] = result["assistant_id"]
        self._add_to_outlet_events(
            context, assistant_id=result["assistant_id"], workflow_id=result["workflow_id"], version=None
        )
        return result


def _definition(definition: Any, path: object) -> Any:
    """Return a definition as it is, or read it from a file whose content no template changes."""
    if (definition is None) == (path is None):
        if path is None:
            raise refusal(
                "definition is missing.", "Did an upstream XCom return nothing? Or pass definition_path."
            )
        raise refusal("Both definition and definition_path are given.", "Pass one of them.")
    if path is None:
        return definition
    if not isinstance(path, str):
        raise refusal(f"definition_path is of type {type(path).__name__}.", "Pass the path as a str.")
    from airflow_aitronos.client.sanitize import safe_text

    shown = f"definition_path '{safe_text(path, limit=200)}'"
    content: Any = None
    problem = ""
    try:
        # utf-8-sig: some editors put a byte order mark in front, which json refuses.
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        problem = safe_text(getattr(error, "strerror", None) or error, limit=120)
    if problem:
        raise refusal(f"{shown} cannot be read as JSON ({problem}).", "Correct the path or the file.")
    if not isinstance(content, dict):
        raise refusal(f"{shown} holds JSON that is not an object.", "Put the graph of the workflow into it.")
    return content
