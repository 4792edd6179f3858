"""Whether the API accepts the key, told without a word of what it answered."""

from __future__ import annotations

from airflow_aitronos.client.call import Client
from airflow_aitronos.client.operation import generic_operation
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
    AitronosNetworkError: "no answer. Check Host, Port, the network, proxies and certificates",
}


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
        answer = client.call(generic_operation("GET", "/v1/auth/validate"))
    except AitronosConfigurationError as error:
        return False, str(error)  # of this machine's proxies or certificates, never of what a reply says
    except AitronosError as error:
        meaning = _MEANINGS.get(type(error), "the answer makes no sense. Check Host")
        status = f"HTTP {error.status_code}: " if error.status_code else ""
        return False, f"{origin}: {status}{meaning}."
    # A text under "error" can stand beside a true "is_valid" ("Validate authentication" page).
    if answer.get("is_valid") is True:
        return True, f"{origin} accepted the API key."
    return False, f"{origin}: HTTP 200: the API key is not valid. Put a valid one into Password."
