"""The options of a detach, checked; imports next to nothing, since every parsed DAG pays for it."""

from __future__ import annotations

from typing import Literal, get_args

from airflow_aitronos.exceptions import AitronosInputError

IfNotAttached = Literal["succeed", "skip", "fail"]


def check_options(
    *, if_not_attached: object, record_workflow: object, include_workflow_details: object, check_only: object
) -> None:
    """
    Refuse an option of a detach that has no legal value.

    :param if_not_attached: what it means that nothing is linked; None to leave that to the API.
    :param record_workflow: a bool or None. None of the three is templated: ``"False"`` would count as true.
    :param include_workflow_details: a bool.
    :param check_only: a bool.
    :raises AitronosInputError: if one has no legal value.
    """
    allowed = get_args(IfNotAttached)
    if if_not_attached not in (None, *allowed):
        raise AitronosInputError(
            f"Nothing was sent: if_not_attached must be one of {', '.join(allowed)}. Trying again cannot "
            "help."
        )
    for name, value in (
        ("record_workflow", False if record_workflow is None else record_workflow),
        ("include_workflow_details", include_workflow_details),
        ("check_only", check_only),
    ):
        if not isinstance(value, bool):
            raise AitronosInputError(
                f"Nothing was sent: {name} must be True or False, not of type {type(value).__name__}; it is "
                "not templated. Trying again cannot help."
            )
