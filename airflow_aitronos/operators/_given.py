"""Arguments whose absence has a meaning of its own, which a value that got lost on its way must not take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow_aitronos.exceptions import AitronosInputError

if TYPE_CHECKING:
    from airflow.sdk import Context

NOT_GIVEN: Any = object()
"""Default of such an argument."""

HowGiven = Literal["left out", "None", "given"]


def how_given(value: object) -> HowGiven:
    """
    Return how an argument was given to an operator, before anything is rendered.

    :param value: of the argument, :data:`NOT_GIVEN` by default.
    """
    if value is NOT_GIVEN:
        return "left out"
    return "None" if value is None else "given"


def check_not_lost(name: str, value: object, how: HowGiven, context: Context, *, without: str) -> None:
    """
    Refuse a rendered value that is None although the argument was given.

    Written down in a DAG, None says that none is wanted. A template that renders to it does not, nor does a
    mapped task's value: there an upstream task may have found nothing.

    :param name: of the argument.
    :param value: rendered.
    :param how: it was given.
    :param context: of the task instance.
    :param without: what happens without the argument, for the message.
    :raises AitronosInputError: if the value was lost.
    """
    is_mapped = getattr(context.get("ti"), "map_index", -1) >= 0
    if value is None and (how == "given" or (how == "None" and is_mapped)):
        raise AitronosInputError(
            f"Nothing was sent: {name} rendered to nothing, and {without} was not asked for. Did an upstream "
            f"XCom or variable return nothing? Leave the argument out for {without}. Trying again cannot "
            "help."
        )
