"""The API key: checked once, sent in one header, shown nowhere."""

from __future__ import annotations

import json
import re
from functools import cache
from html.entities import codepoint2name
from urllib.parse import quote, urlsplit

from requests import PreparedRequest
from requests.auth import AuthBase

from airflow_aitronos.client.safe_text import Mask, no_secrets
from airflow_aitronos.exceptions import AitronosConfigurationError

API_KEY_HEADER = "X-API-Key"
"""Where the key goes ("Authentication" page of the vendor's documentation)."""

_MASKABLE_LENGTH = 5
"""Shorter keys are not masked, as in Airflow: every text is full of their likes."""

_LONGEST_SENT = 512
"""Keys are shorter by far, and the pattern of a longer one would take its time."""

_ESCAPES = frozenset("\\%&")
"""What every escaped form of a character begins with."""

_PRINTABLE_ASCII = re.compile(r"[\x21-\x7e]+")


class ApiKeyAuth(AuthBase):
    """
    Attach the API key to requests for one origin.

    An auth object rather than a session header: ``requests`` then does not look into ``.netrc``, whose
    entry would replace the session's headers, and the key stands in no dict of ours.

    :param key: the key, already stripped: one or more printable ASCII characters.
    :param origin: the only scheme, host and port that may get the key, such as ``https://api.aitronos.com``.
    """

    def __init__(self, key: str, origin: str) -> None:
        self._key = key
        self._origin = _origin_of(origin)
        self.mask = key_mask(key)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """
        Add the header to a request that is about to be sent.

        :param request: the request.
        :raises AitronosConfigurationError: if it goes to any other origin.
        """
        if _origin_of(request.url or "") != self._origin:
            raise AitronosConfigurationError(
                f"The API key goes to {self._origin} only; this session cannot be used for other addresses."
            )
        request.headers[API_KEY_HEADER] = self._key
        return request

    def __repr__(self) -> str:
        """Return a text that says nothing of the key."""
        return f"<ApiKeyAuth for {self._origin}>"


def key_mask(key: str) -> Mask:
    """
    Return a function that replaces every form of the key in a text by ``***``.

    :param key: the stripped key.
    """
    if len(key) < _MASKABLE_LENGTH:
        return no_secrets
    # The forms in which a library might repeat the key, the longest first.
    forms = sorted(
        {key, quote(key, safe="", errors="replace"), json.dumps(key)[1:-1], repr(key)[1:-1]},
        key=len,
        reverse=True,
    )

    @cache
    def escaped() -> re.Pattern[str]:
        return re.compile("".join(map(_any_form, key)))

    def mask(text: str) -> str:
        for form in forms:
            text = text.replace(form, "***")
        if len(key) <= _LONGEST_SENT and not _ESCAPES.isdisjoint(text):
            text = escaped().sub("***", text)
        return text

    return mask


def _any_form(char: str) -> str:
    r"""
    Return a pattern of a character in any escape that a server might put it into.

    PHP writes ``\/``, .NET ``\u002B``, Gson ``\u003d``, templates ``&amp;``, ``&#39;`` and ``&#x27;``, and
    others ``%2b``; each escapes other characters, so each character may or may not be escaped.

    :param char: one character of the key.
    """
    code = ord(char)
    forms = [f"\\\\u{code:04x}", f"%{code:02x}", f"&#x0{{0,4}}{code:x};", f"&#0{{0,4}}{code};"]
    patterns = [f"(?i:{form})" for form in forms]
    if name := codepoint2name.get(code):
        patterns.append(f"&{name};")
    if not char.isalnum():
        patterns.append(rf"\\{re.escape(char)}")
    return f"(?:{'|'.join(patterns)}|{re.escape(char)})"


def is_sendable(key: str) -> bool:
    """
    Return whether a key can go into a header as it is.

    ``requests`` lets NUL and Latin-1 through and quotes the whole value when it refuses one.

    :param key: the stripped key.
    """
    return _PRINTABLE_ASCII.fullmatch(key) is not None


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
