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
    :param read_timeout: seconds that the server may stand still, taking nothing as well as giving nothing.
    """

    def __init__(
        self,
        deadline: Deadline,
        is_cancelled: Callable[[], bool],
        *,
        bytes_allowed: int,
        read_timeout: float,
    ) -> None:
        self.deadline = deadline
        self.is_cancelled = is_cancelled
        self.read_timeout = read_timeout
        self.is_sent = True
        """Whether a byte of the request may have left: yes, unless a connection that can tell denies it."""
        self.is_at_proxy = False
        """Whether whoever is spoken to is still a proxy, which has not let anything through."""
        self.status: int | None = None
        """HTTP status of the reply, as soon as it is there."""
        self._has_begun = False
        self._bytes_left = bytes_allowed

    def connect(self, *, to_proxy: bool) -> None:
        """
        Note that a connection is made that will tell when the request leaves.

        :param to_proxy: whether it is made to a proxy.
        """
        self.is_sent = False
        self.is_at_proxy = to_proxy

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

    def timeout(self, longest: float) -> float:
        """
        Return how long a socket may wait now: never zero, which a socket takes for "do not block".

        :param longest: seconds that it may wait if the deadline leaves them.
        """
        return max(0.001, min(longest, self.deadline.remaining()))

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
