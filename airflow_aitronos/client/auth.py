"""The API key: sent in one header to one origin, shown nowhere."""

from __future__ import annotations

from urllib.parse import urlsplit

from requests import PreparedRequest
from requests.auth import AuthBase

from airflow_aitronos.exceptions import AitronosConfigurationError

API_KEY_HEADER = "X-API-Key"
"""The header that holds the key ("Authentication" page)."""


class ApiKeyAuth(AuthBase):
    """
    Attach the API key to requests for one origin.

    An auth object, not a session header: ``requests`` then does not read ``.netrc``, whose entry would
    replace it, and the key stands in no dict.

    :param key: printable ASCII, stripped.
    :param origin: the only scheme, host and port that get the key, such as ``https://api.aitronos.com``.
    """

    def __init__(self, key: str, origin: str) -> None:
        self._key = key
        self._origin = origin

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """
        Add the header.

        :param request: about to be sent.
        :raises AitronosConfigurationError: if it goes to another origin.
        """
        parts = urlsplit(request.url or "")
        if f"{parts.scheme}://{parts.netloc}" != self._origin:
            raise AitronosConfigurationError(
                f"The API key is sent to {self._origin} only.",
                fix="Use another session for other addresses.",
                about="no request was sent",
            )
        request.headers[API_KEY_HEADER] = self._key
        return request

    def __repr__(self) -> str:
        """Return a text without the key."""
        return f"<ApiKeyAuth for {self._origin}>"
