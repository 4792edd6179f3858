"""
A loopback server that answers a detach at once and keeps its connections open.

It does as little as a server can, one system call in and one out, so that what is measured is the client.
Run as a program it prints its port, and it ends when its standard input does.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys

ASSISTANT_ID = "asst_abc123def456"
WORKFLOW_ID = "flow_abc123def456"

_BODY = json.dumps(
    {
        "assistant_id": ASSISTANT_ID,
        "workflow_id": WORKFLOW_ID,
        "message": "Operation completed successfully",
    }
).encode()
_REPLY = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    b"x-request-id: req_abc123xyz\r\n\r\n%s" % (len(_BODY), _BODY)
)
_REFUSAL = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_REQUEST_LINE = f"DELETE /v1/assistants/{ASSISTANT_ID}/workflow HTTP/1.1\r\n".encode()
_END_OF_REQUEST = b"\r\n\r\n"
_LONGEST_REQUEST = 64 * 1024


class KeepAliveServer:
    """Answer on every connection, one after the other, until standard input ends."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._received: dict[socket.socket, bytearray] = {}

    @property
    def port(self) -> int:
        """Where the server listens."""
        port: int = self._listener.getsockname()[1]
        return port

    def run(self) -> None:
        """Serve, and close everything at the end."""
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        try:
            while self._serve_once():
                pass
        finally:
            self._selector.close()
            for connection in self._received:
                connection.close()
            self._listener.close()

    def _serve_once(self) -> bool:
        for key, _ in self._selector.select():
            if key.fileobj is sys.stdin:
                return False
            if key.fileobj is self._listener:
                self._accept()
            elif isinstance(key.fileobj, socket.socket):
                self._answer(key.fileobj)
        return True

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received[connection] = bytearray()
        self._selector.register(connection, selectors.EVENT_READ)

    def _answer(self, connection: socket.socket) -> None:
        """Answer a whole request; clients that wait for their answers send one at a time."""
        try:
            data = connection.recv(_LONGEST_REQUEST)
            received = self._received[connection]
            received += data
            if not data or len(received) > _LONGEST_REQUEST:
                self._drop(connection)
            elif received.endswith(_END_OF_REQUEST):
                # Anything but the expected request is refused: a benchmark that measures something else
                # must fail, not shine.
                expected = received.startswith(_REQUEST_LINE) and b"x-api-key:" in received.lower()
                received.clear()
                connection.sendall(_REPLY if expected else _REFUSAL)
        except OSError:
            self._drop(connection)

    def _drop(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._received[connection]
        connection.close()


if __name__ == "__main__":
    server = KeepAliveServer()
    print(server.port, flush=True)
    server.run()
