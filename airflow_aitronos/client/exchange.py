"""One request on its way: until when, whether it is still wanted, and how far it came."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from airflow_aitronos.client.clock import Deadline


class NotSentError(Exception):
    """Raise instead of the first byte of a request that must not leave any more."""


class ReplyTooLargeError(OSError):
    """Raise when a reply goes on for longer than any reply to be read may."""


class Exchange:
    """
    What the sockets of one request need to know, and what they find out.

    :param deadline: of the call.
    :param is_cancelled: whether the task was told to stop.
    :param bytes_allowed: how much of a reply is read, headers and framing included.
    """

    def __init__(self, deadline: Deadline, is_cancelled: Callable[[], bool], bytes_allowed: int) -> None:
        self.deadline = deadline
        self.is_cancelled = is_cancelled
        self.is_sent = True
        """Whether a byte of the request may have left: yes, unless a connection that can tell denies it."""
        self._has_begun = False
        self._bytes_left = bytes_allowed

    def connect(self) -> None:
        """Note that a connection is made that will tell when the request leaves."""
        self.is_sent = False

    def begin(self) -> None:
        """
        Note that the request is about to leave: connection, proxy and TLS are ready, which takes time.

        :raises NotSentError: if there is no time left, or the task was told to stop meanwhile.
        """
        if self._has_begun:
            return
        if self.is_cancelled() or self.deadline.remaining() <= 0:
            raise NotSentError
        self._has_begun = self.is_sent = True

    def read(self, count: int) -> None:
        """
        Note that bytes of the reply have come.

        :param count: how many.
        :raises ReplyTooLargeError: if that are too many in all.
        """
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise ReplyTooLargeError("the reply is too large")


current_exchange: ContextVar[Exchange | None] = ContextVar("current_exchange", default=None)
"""The request that this thread is sending, for the sockets that it uses."""
