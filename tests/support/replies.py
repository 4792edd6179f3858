"""The bytes of replies, correct or nearly so."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from http.client import responses
from typing import Any, TypeAlias

Body: TypeAlias = bytes | str | dict[str, Any] | list[Any] | None
Pairs: TypeAlias = Iterable[tuple[str, str]]

CHUNKED, GZIP = ("Transfer-Encoding", "chunked"), ("Content-Encoding", "gzip")
BROKEN_GZIP = b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + b"\xff" * 32


def http(
    status: int, body: Body = b"", headers: Pairs = (), *, reason: str | None = None, keep_alive: bool = True
) -> bytes:
    """Build a correct response, to send, cut or join as a test needs.

    :param status: any number; known ones bring their reason phrase.
    :param body: a dict or a list is sent as JSON; None gives a head without Content-Length.
    :param headers: sent as they are (UTF-8); a length or Transfer-Encoding among them replaces ours.
    :param reason: reason phrase.
    :param keep_alive: False announces `Connection: close`; `Close(http(...))` does it.
    """
    pairs = list(headers)
    if isinstance(body, dict | list):
        body, pairs = json.dumps(body), [("Content-Type", "application/json"), *pairs]
    content = body.encode() if isinstance(body, str) else body
    framed = {name.lower() for name, _ in pairs} & {"content-length", "transfer-encoding"}
    if content is not None and not framed:
        pairs.append(("Content-Length", str(len(content))))
    if not keep_alive:
        pairs.append(("Connection", "close"))
    phrase = responses.get(status, "Unknown") if reason is None else reason
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in pairs), "", ""]
    return "\r\n".join(lines).encode() + (content or b"")


def chunked(pieces: Iterable[bytes], terminator: bytes = b"0\r\n\r\n") -> bytes:
    """Build a chunked body, for `http(200, chunked(...), [CHUNKED])`; another terminator breaks it."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + terminator


def gzip_bomb(decoded_bytes: int) -> bytes:
    """Build a gzip body of zeros about a thousandth of the size it decodes to, without holding them all."""
    packer, piece = zlib.compressobj(9, wbits=31), bytes(65536)
    parts = [packer.compress(piece) for _ in range(decoded_bytes // len(piece))]
    return b"".join([*parts, packer.compress(bytes(decoded_bytes % len(piece))), packer.flush()])
