"""What came back: a reply, or the failure of an attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_aitronos.exceptions import AitronosError


def needs_body(status: int) -> bool:
    """
    Return whether it takes the whole of a reply to know what became of the request.

    :param status: HTTP status: a success, or a 404, which may say that nothing is linked.
    """
    return status < 300 or status == 404


def is_final(status: int) -> bool:
    """
    Return whether a status ends the call even if what follows is no reply of the API.

    :param status: HTTP status.
    """
    return 300 <= status < 500 and status != 408  # which does not say whether anything was done


def refuses(status: int | None) -> bool:
    """
    Return whether a status says that the request was not carried out, though not what is to be done.

    :param status: HTTP status, None if there was none.
    """
    return status == 404


@dataclass(frozen=True)
class Reply:
    """
    One HTTP reply, read to its end.

    :param status: HTTP status.
    :param headers: found whatever their case.
    :param body: decoded of any compression, at most as long as the transport allows.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Failure:
    """
    An attempt that did not succeed.

    :param error: class of the exception that the call ends with if it ends here.
    :param what: what happened, in a few words.
    :param advice: what to do about it, as whole sentences.
    :param transient: whether the same request may pass if it is sent once more now.
    :param maybe_done: whether the server may have carried out the request all the same; of a call that only
        reads that says nothing.
    :param settles: whether its text tells what became of the call, of earlier attempts too.
    :param facts: attributes of the exception: status, codes, trace id, wait that the server asked for.
    :param has_envelope: whether the reply was the API's own way to report an error.
    """

    error: type[AitronosError]
    what: str
    advice: str
    transient: bool = False
    maybe_done: bool = False
    settles: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    has_envelope: bool = False

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asked to wait."""
        seconds: float | None = self.facts.get("retry_after")
        return seconds
