"""Let Airflow retry tasks at once: ``dag.test()`` really waits before a retry."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

# Exponential backoff would wait for a second at least.
_AT_ONCE = {"retry_delay": timedelta(0), "retry_exponential_backoff": False}


@contextmanager
def at_once(dag: Any) -> Iterator[None]:
    """
    Let a DAG's retries follow at once inside a block; whether there is a retry is decided as ever.

    :param dag: whose tasks are meant, mapped ones too.
    """
    policies = _own_policies()
    with ExitStack() as stack:
        for task in dag.tasks:
            # A mapped task hands these on to its operators.
            settings: dict[str, Any] = getattr(task, "partial_kwargs", None) or vars(task)
            stack.enter_context(patch.dict(settings, _AT_ONCE))
            if (policy := settings.get("retry_policy")) is not None:
                policies.add(type(policy))
        # On the class: a mapped task makes its operators, and ours make their policy, only when it runs.
        for policy in policies:
            stack.enter_context(patch.object(policy, "evaluate", _without_wait(policy.evaluate)))
        yield


def _own_policies() -> set[type[Any]]:
    try:
        from airflow_aitronos.retry_policy import AitronosRetryPolicy
    except ImportError:  # Airflow 3.1 and 3.2
        return set()
    return {AitronosRetryPolicy}


def _without_wait(evaluate: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method of a policy with its decisions, and the task's own delay instead of theirs."""
    return lambda *args, **kwargs: dataclasses.replace(evaluate(*args, **kwargs), retry_delay=None)
