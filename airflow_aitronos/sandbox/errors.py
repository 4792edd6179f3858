"""The exception that stands for an error response, and the error envelope."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

_TYPES = {
    401: "authentication_error",
    403: "authorization_error",
    404: "not_found_error",
    409: "conflict_error",
    422: "validation_error",
    429: "rate_limit_error",
}


@dataclass(eq=False)
class ApiError(Exception):
    """
    Answer a call with an error envelope.

    :param status: HTTP status, 400 or above
    :param code: upper-case code for programs
    :param message: text for people
    :param details: what else is known, ready for JSON
    :param system_message: text for logs, the code in words unless given
    :param headers: additional headers of the response
    """

    status: int
    code: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)
    system_message: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message

    def envelope(self, trace_id: str) -> dict[str, Any]:
        """
        Return the body of the response.

        :param trace_id: id of the request
        """
        default_type = "request_error" if self.status < 500 else "server_error"
        error = {
            "code": self.code,
            "message": self.message,
            "system_message": self.system_message or self.code.replace("_", " ").capitalize(),
            "type": _TYPES.get(self.status, default_type),
            "status": self.status,
            "trace_id": trace_id,
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "details": self.details,
        }
        return {"success": False, "error": error}
