"""The trigger that waits for a deferred sensor, and how its errors come back to the task."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Literal

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_aitronos import exceptions
from airflow_aitronos.client.sanitize import safe_text
from airflow_aitronos.exceptions import AitronosError
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.sensors.assistants import read_once

_THREADS = ThreadPoolExecutor(16, thread_name_prefix="aitronos-trigger")
"""For the polls of all triggers: the event loop's own threads, a few, belong to everybody."""


class AssistantWorkflowTrigger(BaseTrigger):
    """
    Wait in the triggerer until a workflow is linked to an assistant, or until none is.

    It only reads, so a triggerer that starts again may repeat what it has sent.

    :param assistant_id: the assistant.
    :param until: "linked" or "unlinked".
    :param workflow_id: the workflow that has to be linked, "any" for any.
    :param aitronos_conn_id: id of the Airflow connection.
    :param poke_interval: seconds between two polls.
    :param silent_fail: whether to go on after an error that is retryable.
    :param max_attempts: maximum attempts within one poll; None for the connection's.
    :param total_timeout: seconds for all of them together, waits included; None for the connection's.
    """

    def __init__(
        self,
        *,
        assistant_id: str,
        until: Literal["linked", "unlinked"],
        workflow_id: str,
        aitronos_conn_id: str,
        poke_interval: float,
        silent_fail: bool = False,
        max_attempts: int | None = None,
        total_timeout: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.assistant_id = assistant_id
        self.until = until
        self.workflow_id = workflow_id
        self.aitronos_conn_id = aitronos_conn_id
        self.poke_interval = poke_interval
        self.silent_fail = silent_fail
        self.max_attempts = max_attempts
        self.total_timeout = total_timeout

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the path of the class, and the arguments that make this trigger anew."""
        names = (
            *("assistant_id", "until", "workflow_id", "aitronos_conn_id"),
            *("poke_interval", "silent_fail", "max_attempts", "total_timeout"),
        )
        path = f"{AssistantWorkflowTrigger.__module__}.{AssistantWorkflowTrigger.__qualname__}"
        return path, {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Poll until there is an event.

        :return: one event, with the link as ``link``, or with an error for :func:`error_of`.
        """
        while True:
            wait = self.poke_interval
            try:
                if event := await self._poll():
                    break
            except AitronosError as error:
                asked, is_retryable = error.retry_after, error.outcome == "retryable"
                if is_retryable and asked:
                    wait = max(wait, asked * random.uniform(1, 1.1))  # noqa: S311  # no secret
                    why = f"The server asks to wait {asked:g} s."
                elif is_retryable and self.silent_fail:
                    why = f"The poll failed: {error}"
                else:
                    event = _event_of(error)
                    break
                assistant = safe_text(self.assistant_id, limit=130)
                about = f"(wait for assistant '{assistant}', connection '{self.aitronos_conn_id}')"
                self.log.warning("%s", f"{why} Next poll in {wait:.0f} s {about}")
            await asyncio.sleep(wait)
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]  # Airflow's

    async def _poll(self) -> dict[str, Any] | None:
        """Read the link once, in a thread; return the event if the condition is met."""
        # A wait that the server asks for comes back as an error: it belongs on the loop, not into a thread.
        hook = AitronosHook(
            self.aitronos_conn_id,
            max_attempts=self.max_attempts,
            total_timeout=self.total_timeout,
            max_retry_after=0,
        )
        read = partial(read_once, hook, self.assistant_id, until=self.until, wanted=self.workflow_id)
        try:
            await hook.read_connection()
            # With the context of this task of asyncio, by which Airflow tells whose log a line belongs to.
            done = await asyncio.get_running_loop().run_in_executor(_THREADS, copy_context().run, read)
        finally:
            hook.cancel()  # a cancelled trigger leaves its thread behind
        return {"link": done.xcom_value} if done.is_done else None


def _event_of(error: AitronosError) -> dict[str, Any]:
    """Return an error as JSON data, its fields as a text: ``details`` may have keys that Airflow refuses."""
    return {"error": type(error).__name__, "text": str(error), "fields": json.dumps(vars(error))}


def error_of(event: dict[str, Any]) -> AitronosError:
    """
    Return the error that an event holds, with its own class, text and fields.

    :param event: of the trigger.
    """
    error: AitronosError = getattr(exceptions, event["error"])()
    error.args = (event["text"],)
    vars(error).update(json.loads(event["fields"]))
    return error
