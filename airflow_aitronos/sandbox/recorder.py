"""What the sandbox keeps of each request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

KeyKind = Literal["api_key", "read_only_key", "none", "wrong"]


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """
    Say what was asked and how it was answered.

    :param method: HTTP method
    :param path: path as it came, still percent-encoded
    :param query: query string as it came, empty without one
    :param status_code: status of the response, 0 if the connection was reset instead
    :param key: which key was sent, never the key itself
    :param fault: the scripted fault in words, empty for none
    :param received_at: seconds on the sandbox's monotonic clock; not compared
    """

    method: str
    path: str
    query: str
    status_code: int
    key: KeyKind
    fault: str = ""
    received_at: float = field(default=0.0, compare=False)
