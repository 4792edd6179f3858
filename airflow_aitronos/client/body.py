"""The body of a reply: read to its end and unpacked, within limits."""

from __future__ import annotations

import zlib

import requests
from urllib3.exceptions import HTTPError

from airflow_aitronos.client.network_faults import is_too_large, odd_encoding, too_large, undecodable
from airflow_aitronos.client.reply import Failure, is_final, needs_body

BODY_LIMIT = 1024 * 1024
"""Longest body that is read, in bytes after decompression."""

ACCEPTED = "gzip"
"""The encoding that is asked for. What servers call "deflate" comes in two kinds, and is not needed."""

_CHUNK = 64 * 1024
"""Bytes read at a time."""

_PACKED = frozenset({"gzip", "x-gzip", "deflate"})
_PLAIN = frozenset({"", "identity"})

NO_REPLY = (requests.RequestException, HTTPError, OSError, ValueError)
"""What requests, urllib3 and http.client raise instead of giving a reply."""


def read_body(response: requests.Response) -> bytes | Failure:
    """
    Return the body of a reply, or why it cannot be read.

    Where the status says enough, it counts more than what broke in the body. What came of a broken one is
    dropped, since it may end within the key. But a reply that is too large is not asked for again, unless its
    status says that anyway.

    :param response: none of whose body has been read.
    :raises requests.RequestException: or another of :data:`NO_REPLY`, if the body breaks off and the status
        does not say enough.
    """
    status = response.status_code
    try:
        return _read(response, status)
    except NO_REPLY as error:
        if is_too_large(error):
            return _too_large("it does not end", status)
        if needs_body(status):
            raise
        return b""


def _read(response: requests.Response, status: int) -> bytes | Failure:
    if status == 204:
        return b""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _PACKED | _PLAIN:
        return odd_encoding(status) if status < 300 else b""
    # Unpacked here, since urllib3 takes a packed body that ends too early for a whole one.
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32) if encoding in _PACKED else None
    body, has_begun = bytearray(), False
    for chunk in response.raw.stream(_CHUNK, decode_content=False):
        has_begun = True
        try:
            body += unpacker.decompress(chunk, BODY_LIMIT + 1 - len(body)) if unpacker else chunk
        except zlib.error:
            return _undecodable(status)
        if len(body) > BODY_LIMIT:
            return _too_large(f"HTTP {status} with a body over {BODY_LIMIT // 1024} KiB", status)
    if unpacker and has_begun and not unpacker.eof:
        return _undecodable(status)
    return bytes(body)


def _too_large(problem: str, status: int) -> bytes | Failure:
    """Return what is left of a reply that is too large."""
    return b"" if is_final(status) else too_large(problem, status)


def _undecodable(status: int) -> bytes | Failure:
    """Return what is left of a reply that cannot be unpacked."""
    return undecodable(status) if needs_body(status) else b""
