"""One API call: what to send, and what its replies mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_aitronos.client.envelope import Expected
from airflow_aitronos.client.ids import expand_path
from airflow_aitronos.client.mask import Mask
from airflow_aitronos.client.reply import Failure
from airflow_aitronos.client.transport import Request
from airflow_aitronos.exceptions import AitronosInputError

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
IDEMPOTENT_METHODS = frozenset({"GET", "DELETE"})
"""Methods whose calls may be repeated unless the caller says otherwise."""

Look = Callable[[str], dict[str, Any] | Failure]
"""Read the resource at a path with a single GET."""


@dataclass(frozen=True)
class Done:
    """
    A call that succeeded.

    :param value: what the caller gets: plain JSON-ready data.
    :param summary: what happened, for the log.
    :param warning: whether a person should read the summary.
    :param facts: ids that became known, for the error of a task that was told to stop meanwhile.
    """

    value: Any
    summary: str
    warning: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """
    Any call, its reply returned as it is.

    :param request: what to send.
    :param intent: what the call is for, as in "could not …".
    :param idempotent: whether the call may be repeated when it may have been carried out already.
    :param expected: what a good reply looks like.
    :param look_first: what to look at before a call is repeated by hand that must not be repeated blindly.
    :param subject: ids of what the call is about, by name.
    :param ambiguous: whether the request may have been carried out already, by an earlier call.
    """

    request: Request
    intent: str
    idempotent: bool
    expected: Expected
    look_first: str = ""
    subject: Mapping[str, str] = field(default_factory=dict)
    ambiguous: bool = False

    def prepare(self, run: RunOnce, *, ambiguous: bool) -> Done | Failure | str | None:
        """
        Return the end of the call if nothing is to be sent, or what to log before the request is sent.

        Runs before each attempt.

        :param run: carries out another operation with a single attempt.
        :param ambiguous: whether an earlier attempt of the call may have been carried out.
        """
        return None

    def sending(self) -> bool:
        """
        Note that the request is about to be sent. Runs before each attempt, after :meth:`prepare`.

        :return: whether that may have taken so long that :meth:`prepare` has to run once more.
        """
        return False

    def refused(self) -> None:
        """Note that nothing was carried out so far. Runs after an attempt that surely was not."""

    def facts(self) -> Mapping[str, Any]:
        """Return what is known of the call's subject, for an error."""
        return self.subject

    def named(self) -> Iterable[str]:
        """Return the ids that the caller has named: the API names them, too, and no secret is given away."""
        return self.subject.values()

    def done(self, body: dict[str, Any], *, ambiguous: bool, mask: Mask) -> Done | Failure:
        """
        Return what a good reply means.

        :param body: its JSON object.
        :param ambiguous: whether an earlier attempt of the call may have been carried out.
        :param mask: replaces secrets.
        """
        return Done(body, f"Done: {self.intent}")

    def settle(self, failure: Failure, *, ambiguous: bool, look: Look, mask: Mask) -> Done | Failure:
        """
        Return what the last failure of the call means.

        :param failure: of the last attempt.
        :param ambiguous: whether an earlier attempt of the call may have been carried out.
        :param look: reads a resource, with a single GET.
        :param mask: replaces secrets.
        """
        return failure


RunOnce = Callable[[Operation], Done | Failure]
"""Carry out another operation with a single attempt."""


def generic_operation(
    method: str,
    path: str,
    *,
    path_params: Mapping[str, object] | None = None,
    json: Any = None,
    params: Mapping[str, Any] | None = None,
    idempotent: bool | None = None,
) -> Operation:
    """
    Return the operation of any call of the API.

    :param method: HTTP method.
    :param path: template such as ``/v1/workflows/{workflow_id}``.
    :param path_params: the ids in the template, by name.
    :param json: body, None for none.
    :param params: query, None for none.
    :param idempotent: whether the call may be repeated; None for "as its method says": GET and DELETE may.
    :raises AitronosInputError: if it cannot be sent.
    """
    verb = method.upper() if isinstance(method, str) else ""
    if verb not in METHODS:
        raise AitronosInputError(f"Nothing was sent: the method must be one of {', '.join(sorted(METHODS))}.")
    expanded = expand_path(path, path_params)
    if params is not None and not isinstance(params, Mapping):
        raise AitronosInputError("Nothing was sent: params must be a dict of query parameters by name.")
    return Operation(
        request=Request(verb, expanded, json=json, params=params),
        intent=f"{verb} {expanded}",
        idempotent=verb in IDEMPOTENT_METHODS if idempotent is None else idempotent,
        expected=Expected(
            # The documented statuses of success ("API reference": 200, and 201 where something is created).
            frozenset({200, 201}) if verb == "POST" else frozenset({200}),
            empty=verb == "DELETE",
        ),
        look_first=f"Read what {verb} {expanded} changes; run the task again only if nothing has changed.",
    )
