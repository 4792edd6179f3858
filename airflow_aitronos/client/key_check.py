"""Whether the API accepts the key: as it says, and told without a word of what it answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from airflow_aitronos.client.call import Client
from airflow_aitronos.client.envelope import Expected
from airflow_aitronos.client.mask import Mask
from airflow_aitronos.client.operation import Done, Operation
from airflow_aitronos.client.reply import Failure
from airflow_aitronos.client.safe_text import optional_text
from airflow_aitronos.client.transport import Request
from airflow_aitronos.exceptions import (
    AitronosAuthenticationError,
    AitronosConfigurationError,
    AitronosConflictError,
    AitronosError,
    AitronosNetworkError,
    AitronosNotFoundError,
    AitronosPermissionError,
    AitronosRateLimitError,
    AitronosRedirectError,
    AitronosRequestError,
    AitronosResponseError,
    AitronosServerError,
)

_MEANINGS: dict[type[AitronosError], str] = {
    AitronosAuthenticationError: "the API key was refused. Put a valid one into Password",
    AitronosPermissionError: "the API key has no permission. Use another one in Password",
    AitronosNotFoundError: "this is not the Aitronos API. Check Host and its path prefix",
    AitronosRequestError: "the API does not take this request. Check Host and its path prefix",
    AitronosConflictError: "the API is busy with something else. Try again later",
    AitronosRedirectError: "the host redirects elsewhere, which is never followed. Check Host",
    AitronosRateLimitError: "too many requests just now. Try again in a minute",
    AitronosServerError: "the server has a fault. Try again later",
    AitronosConfigurationError: "a proxy asks for credentials. Put them into the URL that HTTPS_PROXY names",
    AitronosNetworkError: "no answer. Check Host, Port, the network, proxies and certificates",
}


class KeyValidation(TypedDict):
    """
    What the API says of the key ("Validate authentication" page of the vendor's API reference).

    Only ``is_valid`` decides: a text under ``error`` can stand beside a true one.
    """

    is_valid: bool
    error: str | None
    requires_reconnect: bool | None


@dataclass(frozen=True, kw_only=True)
class KeyOperation(Operation):
    """``GET /v1/auth/validate``, which changes nothing."""

    def done(self, body: dict[str, Any], *, ambiguous: bool, mask: Mask) -> Done | Failure:
        """Return the documented fields, or the failure of a reply that does not say whether it is valid."""
        is_valid, requires_reconnect = body.get("is_valid"), body.get("requires_reconnect")
        if not isinstance(is_valid, bool):
            return Failure(
                AitronosResponseError,
                "the answer does not say whether the API key is valid",
                "Check that Host of the connection is the API.",
            )
        validation = KeyValidation(
            is_valid=is_valid,
            error=optional_text(body.get("error"), mask=mask),
            requires_reconnect=requires_reconnect if isinstance(requires_reconnect, bool) else None,
        )
        said = "is valid" if is_valid else "is not valid"
        return Done(dict(validation), f"The API says that the key {said}", warning=not is_valid)


def validate_key() -> KeyOperation:
    """Return the operation that asks the API about the key."""
    return KeyOperation(
        request=Request("GET", "/v1/auth/validate"),
        intent="validate the API key",
        idempotent=True,
        expected=Expected(),
    )


def check_key(client: Client) -> tuple[bool, str]:
    """
    Ask the API about the key: one ``GET /v1/auth/validate``, which changes nothing.

    The text says nothing of the reply but its status: whoever may test a connection could otherwise read
    through it what any host on the network answers.

    :param client: for the connection, allowed one attempt.
    :return: whether the key was accepted, and one line of text.
    """
    origin = client.settings.base_url.origin
    try:
        answer = client.call(validate_key())
    except AitronosError as error:
        if isinstance(error, AitronosConfigurationError) and error.status_code is None:
            return False, str(error)  # of this machine's proxies or certificates; nothing has replied
        meaning = _MEANINGS.get(type(error), "the answer makes no sense. Check Host")
        status = f"HTTP {error.status_code}: " if error.status_code else ""
        return False, f"{origin}: {status}{meaning}."
    if answer["is_valid"]:
        return True, f"{origin} accepted the API key."
    return False, f"{origin}: HTTP 200: the API key is not valid. Put a valid one into Password."
