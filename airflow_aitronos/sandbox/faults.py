"""Scripted faults: the error responses and broken connections that a test asks for."""

from __future__ import annotations

import math
import re
import threading
import time
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Literal

from airflow_aitronos.sandbox.errors import ApiError

FaultKind = Literal["status", "reset", "truncate", "delay"]

# Those that the vendor documents; another status has its own name as its code.
_CODES = {
    401: "INVALID_API_KEY",
    403: "INSUFFICIENT_PERMISSIONS",
    404: "RESOURCE_NOT_FOUND",
    422: "VALIDATION_ERROR",
    429: "RATE_LIMIT_EXCEEDED",
}
# Seconds after which a delay checks whether the server stops.
_SLICE = 0.05


@dataclass(frozen=True)
class Fault:
    """
    Say what shall happen to which requests.

    :param kind: ``status`` answers with an error envelope, ``reset`` closes the connection with a TCP reset,
        ``truncate`` closes it in the middle of the body, ``delay`` only keeps the caller waiting
    :param status: HTTP status for ``status``
    :param code: code in the envelope, one that fits the status unless given
    :param retry_after: value of the ``Retry-After`` header, as it is sent
    :param delay: seconds to wait before anything is answered
    :param method: HTTP method of the requests, any unless given
    :param path: regular expression that the whole path of the requests matches, any unless given
    :param times: number of requests
    :param after_commit: whether the request is carried out, so that only its response is lost
    :param skip: number of matching requests that come first and pass untouched
    """

    kind: FaultKind
    status: int = 500
    code: str | None = None
    retry_after: str | None = None
    delay: float = 0.0
    method: str | None = None
    path: str | None = None
    times: int = 1
    after_commit: bool = False
    skip: int = 0

    def __post_init__(self) -> None:
        # Here, so that the error points to the line of the test.
        is_text = self.retry_after is None or re.fullmatch(r"[ -~]*", self.retry_after)
        wrong = {
            "times is a whole number from 1": type(self.times) is not int or self.times < 1,
            "skip is a whole number from 0": type(self.skip) is not int or self.skip < 0,
            "delay is in seconds, from 0": not 0 <= self.delay < math.inf,
            "status is from 400 to 599": type(self.status) is not int or not 400 <= self.status <= 599,
            "retry_after is printable ASCII": not is_text,
        }
        for rule, is_broken in wrong.items():
            if is_broken:
                raise ValueError(f"{rule}; this is {getattr(self, rule.split()[0])!r}")
        try:
            re.compile(self.path or "")
        except re.error as error:
            raise ValueError(f"path is a regular expression; in {self.path!r}: {error}") from None

    def __str__(self) -> str:
        """Return it in words, for the record."""
        words = {"status": f"status {self.status}", "reset": "connection reset", "truncate": "truncated body"}
        parts = [words[self.kind]] if self.kind in words else []
        parts += [f"{self.delay:g} s late"] if self.delay else []
        parts += ["after it was carried out"] if self.after_commit else []
        return ", ".join(parts)

    def matches(self, method: str, path: str) -> bool:
        """
        Tell whether a request is one of those that are meant.

        :param method: HTTP method
        :param path: path as it came
        """
        if self.method is not None and self.method.upper() != method:
            return False
        return self.path is None or re.fullmatch(self.path, path) is not None

    def error(self) -> ApiError:
        """Return the error of the kind ``status``."""
        headers = {} if self.retry_after is None else {"retry-after": self.retry_after}
        code = self.code or _code(self.status)
        return ApiError(self.status, code, "This error is a scripted fault.", headers=headers)


class FaultPlan:
    """Hold the faults that are still to come."""

    def __init__(self) -> None:
        self.is_stopped = False
        """Whether the server stops, so that nobody waits for a response any more."""
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """
        Put a fault behind the others.

        :param fault: what shall happen
        """
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    @property
    def pending(self) -> list[Fault]:
        """Return the faults that are still to come, each with the ``times`` and ``skip`` that are left."""
        with self._lock:
            return list(self._faults)

    def take(self, method: str, path: str) -> Fault | None:
        """
        Count a request, and return its fault.

        Every matching fault that still skips requests counts it. The first one that does not is used up once.

        :param method: HTTP method
        :param path: path as it came
        :return: the fault, None if there is none for this request
        """
        with self._lock:
            taken = None
            pending: list[Fault | None] = []
            for fault in self._faults:
                left: Fault | None = fault
                if fault.matches(method, path) and fault.skip:
                    left = replace(fault, skip=fault.skip - 1)
                elif fault.matches(method, path) and taken is None:
                    taken = fault
                    left = replace(fault, times=fault.times - 1) if fault.times > 1 else None
                pending.append(left)
            self._faults = [fault for fault in pending if fault is not None]
            return taken

    def wait(self, seconds: float) -> None:
        """
        Wait, but no longer than the server runs.

        :param seconds: how long
        """
        until = time.monotonic() + seconds
        while not self.is_stopped and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE))


def _code(status: int) -> str:
    try:
        return _CODES.get(status) or HTTPStatus(status).name
    except ValueError:  # such as a gateway's 520
        return f"HTTP_{status}"
