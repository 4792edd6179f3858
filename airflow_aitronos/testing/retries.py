"""Let Airflow try tasks again at once: ``dag.test()`` really waits before a retry."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

_ABSENT = object()


@contextmanager
def at_once(dag: Any) -> Iterator[None]:
    """
    Let a DAG's retries follow at once inside a block; whether there is one is decided as ever.

    :param dag: whose tasks are meant, mapped ones too.
    """
    tasks = [_fields(task) for task in dag.tasks]
    policies: set[type[Any]] = {
        type(task["retry_policy"]) for task in tasks if task.get("retry_policy") is not None
    }
    with ExitStack() as stack:
        for task in tasks:
            stack.enter_context(_without_delay(task))
        # On the class: a mapped task makes its operators, and ours make their policy, only when it runs.
        for policy in policies | _own_policies():
            stack.enter_context(patch.object(policy, "evaluate", _without_wait(policy.evaluate)))
        yield


def _fields(task: Any) -> dict[str, Any]:
    """Return where a task has its settings; a mapped one hands these on to its operators."""
    partial: dict[str, Any] | None = getattr(task, "partial_kwargs", None)
    return vars(task) if partial is None else partial


def _own_policies() -> set[type[Any]]:
    try:
        from airflow_aitronos.retry_policy import AitronosRetryPolicy
    except ImportError:  # Airflow 3.1 and 3.2
        return set()
    return {AitronosRetryPolicy}


@contextmanager
def _without_delay(task: dict[str, Any]) -> Iterator[None]:
    changes: dict[str, Any] = {"retry_delay": timedelta(0)}
    if backoff := task.get("retry_exponential_backoff"):
        # It waits a second at least. A bool for Airflow 3.1, a number for later ones.
        changes["retry_exponential_backoff"] = type(backoff)(0)
    before = {name: task.get(name, _ABSENT) for name in changes}
    task.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is _ABSENT:
                del task[name]
            else:
                task[name] = value


def _without_wait(evaluate: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method of a policy with its decisions, and the task's own delay instead of theirs."""

    @functools.wraps(evaluate)
    def decide(*args: Any, **kwargs: Any) -> Any:
        return dataclasses.replace(evaluate(*args, **kwargs), retry_delay=None)

    return decide
