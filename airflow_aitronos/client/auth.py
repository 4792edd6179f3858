"""The API key: checked once, sent in one header, shown nowhere."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from requests import PreparedRequest
from requests.auth import AuthBase

from airflow_aitronos.client.mask import Mask
from airflow_aitronos.exceptions import AitronosConfigurationError

API_KEY_HEADER = "X-API-Key"
"""Where the key goes ("Authentication" page of the vendor's documentation)."""

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
        self.mask = Mask(key)

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
