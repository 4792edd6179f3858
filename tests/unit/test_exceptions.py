"""Errors: permanent or retryable, and the same after pickling."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import pytest

from airflow_aitronos import exceptions
from airflow_aitronos._compat import AirflowException, AirflowFailException
from airflow_aitronos.exceptions import AitronosError

RETRYABLE = {"", "OutcomeUnknown", "Conflict", "RateLimit", "Server", "Network", "Response", "Cancelled"}
PERMANENT = {"Configuration", "Input", "Authentication", "Permission", "NotFound", "Request", "Redirect"}
PERMANENT |= {"WrongResource", "UnsafeToRepeat", "WorkflowMismatch", "NotAttached"}
ALL = {
    name.removeprefix("Aitronos").removesuffix("Error"): kind
    for name, kind in vars(exceptions).items()
    if inspect.isclass(kind) and issubclass(kind, AitronosError)
}

FACTS: dict[str, Any] = {"status_code": 503, "code": "DOWN", "error_type": "x", "system_message": "down"}
FACTS |= {"details": {"a": [1]}, "trace_id": "trace", "request_id": "request", "retry_after": 1.5}
FACTS |= {"attempts": 4, "maybe_done": True, "assistant_id": "asst_1", "workflow_id": "flow_1"}


def test_every_class_is_of_one_kind() -> None:
    assert set(ALL) == RETRYABLE | PERMANENT


@pytest.mark.parametrize(("name", "kind"), ALL.items(), ids=ALL)
def test_the_outcome_is_what_airflow_makes_of_it(name: str, kind: type[AitronosError]) -> None:
    error = kind("It broke.")
    assert isinstance(error, AirflowException)
    assert isinstance(error, AirflowFailException) is (name in PERMANENT)
    assert error.outcome == ("permanent" if name in PERMANENT else "retryable")
    assert isinstance(error, ValueError) is (name == "Input")


@pytest.mark.parametrize("kind", ALL.values(), ids=ALL)
def test_an_error_survives_pickling(kind: type[AitronosError]) -> None:
    error = kind("It broke.", fix="Check it.", **FACTS)
    error.args = ("It broke. Check it. Retryable. (what it was about)",)
    restored = pickle.loads(pickle.dumps(error))
    assert type(restored) is kind
    assert str(restored) == str(error)
    assert (restored.args, vars(restored)) == (error.args, vars(error))
    assert {name: getattr(restored, name) for name in FACTS} == FACTS
