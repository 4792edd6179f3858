"""
A loopback server that answers a detach at once and keeps its connections open.

It does as little as a server can, so that what is measured is the client. Prints its port, and ends when its
standard input does.
"""

from __future__ import annotations

import asyncio
import re
import sys

ASSISTANT_ID, WORKFLOW_ID = "asst_abc123def456", "flow_abc123def456"
PATH = f"/v1/assistants/{ASSISTANT_ID}/workflow"

_BODY = '{"assistant_id": "%s", "workflow_id": "%s", "message": "Detached"}'
_HEAD = (
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    "x-request-id: req_abc123xyz\r\n\r\n%s"
)
_REFUSAL = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_REQUEST_LINE = re.compile(rb"DELETE /v1/assistants/([a-z0-9_]+)/workflow HTTP/1\.1\r\n")


class KeepAlive(asyncio.Protocol):
    """Answer every request on a connection; a client that waits for its answers sends one at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin without anything received."""
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._received = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer a request once it is complete, and refuse any but the one that is to be measured."""
        self._received += data
        if self._received.endswith(b"\r\n\r\n"):
            found = _REQUEST_LINE.match(self._received)
            has_key = b"x-api-key:" in self._received.lower()
            self._received = b""
            self._transport.write(_detached(found[1].decode()) if found and has_key else _REFUSAL)


def _detached(assistant_id: str) -> bytes:
    body = _BODY % (assistant_id, WORKFLOW_ID)
    return (_HEAD % (len(body), body)).encode()


async def main() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(KeepAlive, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(main())
