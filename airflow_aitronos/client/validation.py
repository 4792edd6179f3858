"""Ids, path templates and arguments, checked before anything is sent; cheap to import in a DAG."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote

if TYPE_CHECKING:
    from airflow_aitronos.client.sanitize import Redact
    from airflow_aitronos.exceptions import AitronosInputError

IfNotAttached = Literal["succeed", "skip", "fail"]
IF_NOT_ATTACHED: tuple[IfNotAttached, ...] = ("succeed", "skip", "fail")

LONGEST_SECONDS = 86_400
"""Longest duration of any option: a day."""

ALLOWED_ORIGINS = "AITRONOS_ALLOWED_ORIGINS"
"""Environment variable: where it is set, the only origins that hooks may call, separated by spaces."""

origins_if_unset: str | None = None
"""What counts where the variable is not set: a test may have emptied its environment. None for any origin."""

# The vendor documents ids as a prefix and alphanumerics of varying length ("API reference"). The alphabet is
# what makes an id safe in a path, so only that is checked.
# Patterns are not compiled here, and errors are imported where they are raised: every parsed DAG would pay.
_ID = r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}"
_LONGEST_SHOWN = 16
_WORDS_FOR_NOTHING = frozenset({"none", "null", "undefined", "nan"})
_MARKERS = ("{{", "{%", "{#")
_PATH = r"(?:/(?:[A-Za-z0-9][A-Za-z0-9_-]*|\{[a-z_]+\}))+/?"
_PARAMETER = r"\{([a-z_]+)\}"

NOTHING_UPSTREAM = "Did an upstream XCom or variable return nothing?"
NATIVE_RENDERING = "With render_template_as_native_obj=True a template renders to another type than text."

T = TypeVar("T")


def _shown(value: object, limit: int, redact: Redact = str) -> str:
    """Return a value as one safe line."""
    from airflow_aitronos.client.sanitize import safe_text

    return safe_text(value, redact, limit=limit)


def refusal(cause: str, fix: str) -> AitronosInputError:
    """
    Return the error of an argument that cannot be sent.

    :param cause: what is wrong.
    :param fix: what to do.
    """
    from airflow_aitronos.exceptions import AitronosInputError

    return AitronosInputError(cause, fix=fix, about="no request was sent")


# --- ids ---


def is_nothing(value: str) -> bool:
    """
    Return whether a text is blank, or what a template makes of a missing value.

    :param value: the rendered text.
    """
    return not value.strip() or value.strip().lower() in _WORDS_FOR_NOTHING


def check_id(name: str, value: object) -> str:
    """
    Return an id that can be sent, stripped of surrounding whitespace.

    :param name: the argument, for the message.
    :param value: the rendered value.
    :raises AitronosInputError: unless it is a text of 1 to 128 ASCII letters, digits, ``_`` and ``-`` that
        starts with a letter or digit.
    """
    if not isinstance(value, str):
        raise refusal(f"{name} is of type {type(value).__name__}, not str.", _fix_for_type(value))
    stripped = value.strip()
    if not stripped:
        raise refusal(f"{name} is empty.", NOTHING_UPSTREAM)
    if re.fullmatch(_ID, stripped) and not is_nothing(stripped):
        return stripped
    cause = f"{name} is '{shown_id(stripped)}', which is not an id."
    if any(marker in value for marker in _MARKERS):
        raise refusal(cause, "The template was not rendered: pass it to a templated field.")
    if is_nothing(stripped):
        raise refusal(cause, NOTHING_UPSTREAM)
    wrong = re.search(r"[^A-Za-z0-9_-]", stripped)
    if wrong and wrong.start() > 0:
        cause = f"{cause[:-1]}: character {wrong.start() + 1} is '{ascii(wrong[0])[1:-1]}'."
    raise refusal(cause, "Use 1 to 128 of A-Z a-z 0-9 _ - and start with a letter or digit.")


def _fix_for_type(value: object) -> str:
    if value is None:
        return NOTHING_UPSTREAM
    if isinstance(value, list | tuple | set | frozenset):
        return "Use .partial(...).expand(...) to run the task once for each id."
    return f"Pass the id as a str. {NATIVE_RENDERING}"


def shown_id(value: str) -> str:
    """
    Return a text that should be an id as one safe line.

    Escaped even where it is printable, since a Cyrillic letter looks like a Latin one. Cut early unless it is
    an id, since somebody may have passed the API key.

    :param value: the rendered text.
    """
    if re.fullmatch(_ID, value.strip()):
        return value.strip()
    escaped = ascii(value)[1:-1]
    return _shown(escaped if len(escaped) <= _LONGEST_SHOWN else escaped[: _LONGEST_SHOWN // 2] + "…", 500)


def expand_path(template: str, parameters: Mapping[str, object] | None = None) -> str:
    """
    Return a path with every ``{parameter}`` replaced by a checked id.

    :param template: such as ``/v1/assistants/{assistant_id}/workflow``: plain words and parameters only.
    :param parameters: the ids by name.
    :raises AitronosInputError: if the template, a name or an id cannot be used.
    """
    parameters = {} if parameters is None else parameters
    if not isinstance(parameters, Mapping):
        raise refusal("path_params is not a dict.", "Pass the ids by name.")
    if not isinstance(template, str) or not re.fullmatch(_PATH, template):
        raise refusal(
            f"The path '{_shown(template, 100)}' is not a template.",
            "Write it like '/v1/assistants/{assistant_id}/workflow'; ids go into path_params, a query into "
            "params.",
        )
    names = re.findall(_PARAMETER, template)
    if set(names) != set(parameters):
        raise refusal(
            f"The path '{template}' takes the path_params {sorted(set(names))}, "
            f"not {_shown(sorted(map(str, parameters)), 100)}.",
            "Pass each of them once.",
        )
    ids = {name: quote(check_id(name, parameters[name]), safe="") for name in names}
    return re.sub(_PARAMETER, lambda match: ids[match[1]], template)


# --- arguments ---


def is_literal(value: object) -> bool:
    """
    Return whether a value of a templated field is known when the DAG is parsed.

    None and blank text are left to the task run: mapped tasks and DAG factories pass them.

    :param value: as passed to the operator.
    """
    if isinstance(value, str):
        return bool(value.strip()) and not any(marker in value for marker in _MARKERS)
    # Airflow calls ``resolve`` of XComArgs, DAG params and literals, and whatever else is callable.
    if isinstance(value, os.PathLike):
        return True  # its ``resolve`` is another one
    return value is not None and not hasattr(value, "resolve") and not callable(value)


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """
    Refuse a value that is not one of a few words.

    :param name: the argument, for the message.
    :param value: its value.
    :param choices: the words.
    :raises AitronosInputError: if it is none of them.
    """
    if not isinstance(value, str) or value not in choices:
        shown = "', '".join(choices)
        raise refusal(f"{name} is {_shown(repr(value), 60)}.", f"Use one of '{shown}'.")


def check_bool(name: str, value: object) -> None:
    """
    Refuse a value that is no bool.

    :param name: the argument, for the message.
    :param value: its value.
    :raises AitronosInputError: if it is not True or False.
    """
    if not isinstance(value, bool):
        raise refusal(f"{name} is of type {type(value).__name__}.", "Use True or False; it is not templated.")


def check_detach_options(if_not_attached: object, record_workflow: object, details: object) -> None:
    """
    Refuse options of a detach that have no legal value.

    :param if_not_attached: one of three words, or None.
    :param record_workflow: a bool, or None.
    :param details: a bool.
    :raises AitronosInputError: if one is anything else.
    """
    if if_not_attached is not None:
        check_choice("if_not_attached", if_not_attached, IF_NOT_ATTACHED)
    if record_workflow is not None:
        check_bool("record_workflow", record_workflow)
    check_bool("include_workflow_details", details)


def check_switch(name: str, value: object) -> bool:
    """
    Return a templated switch as a bool.

    :param name: the argument, for the message.
    :param value: rendered: a bool, or a text that is ``true`` or ``false`` in any case.
    :raises AitronosInputError: if it is anything else. A switch that renders to nothing is not "off".
    """
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word not in ("true", "false"):
        shown = _shown(repr(value), 60)
        raise refusal(
            f"{name} is {shown}, neither true nor false.",
            f"Use True, False or a template. {NOTHING_UPSTREAM}",
        )
    return word == "true"


def parse_seconds(value: object, *, smallest: float = 0.001, text: bool = False) -> float:
    """
    Return a duration in seconds.

    :param value: a number.
    :param smallest: smallest duration, in seconds.
    :param text: whether a numeric text is a number too: every Extra of a URI connection is text.
    :raises ValueError: if it is anything else, with what is legal as its text.
    """
    number = _number(value, text=text)
    if number is None or not smallest <= number <= LONGEST_SECONDS:
        raise ValueError(f"a number of seconds from {smallest:g} to {LONGEST_SECONDS}")
    return float(number)


def parse_attempts(value: object, *, text: bool = False) -> int:
    """
    Return a number of attempts.

    :param value: a whole number from 1 to 10.
    :param text: whether a numeric text is a number too.
    :raises ValueError: if it is anything else, with what is legal as its text.
    """
    number = _number(value, text=text)
    if number is None or not 1 <= number <= 10 or (isinstance(value, float) or number != int(number)):
        raise ValueError("a whole number from 1 to 10")
    return int(number)


def _number(value: object, *, text: bool) -> float | None:
    if text and isinstance(value, str):
        # float() would also take "1_0", "1e3" and "inf".
        return float(value) if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", value.strip()) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def parsed(source: str, value: object, parse: Callable[[object], T], redact: Redact = str) -> T:
    """
    Return a parsed option.

    :param source: where the value comes from, for the message.
    :param value: to parse.
    :param parse: raises ValueError with what is legal.
    :param redact: replaces secrets.
    :raises AitronosConfigurationError: if the value is not legal.
    """
    try:
        return parse(value)
    except ValueError as error:
        legal = str(error)
    from airflow_aitronos.exceptions import AitronosConfigurationError

    raise AitronosConfigurationError(
        f"{source} is {_shown(repr(value), 300, redact)}.",
        fix=f"Set it to {legal}.",
        about="no request was sent",
    )


def check_limits(max_attempts: object, total_timeout: object) -> None:
    """
    Refuse limits of an operator that its hook would refuse.

    :param max_attempts: None for the connection's.
    :param total_timeout: in seconds; None for the connection's.
    :raises AitronosConfigurationError: if one is not legal.
    """
    if max_attempts is not None:
        parsed("Argument max_attempts", max_attempts, parse_attempts)
    if total_timeout is not None:
        parsed("Argument total_timeout", total_timeout, parse_seconds)


def json_ready(path: str, value: Any) -> Any:
    """
    Return a value as plain JSON data: sequences of mapped outputs become lists.

    :param path: of the value, for the message, such as ``definition.nodes[0]``.
    :param value: what should be JSON.
    :raises AitronosInputError: if JSON cannot hold it, with the path and type.
    """
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: json_ready(f"{path}.{key}", item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [json_ready(f"{path}[{number}]", item) for number, item in enumerate(value)]
    what = "not a finite number" if isinstance(value, float) else f"of type {type(value).__name__}"
    raise refusal(
        f"{_shown(path, 200)} is {what}.",
        "Use JSON data only: dict with text as keys, list, str, number, bool or None.",
    )
