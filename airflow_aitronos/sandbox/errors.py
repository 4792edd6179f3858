"""The error envelope: the exception that carries one, and the handlers that send it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import JsonValue

from airflow_aitronos.sandbox.models import ErrorBody, ErrorEnvelope

_TYPES = {
    401: "authentication_error",
    403: "authorization_error",
    404: "not_found_error",
    409: "conflict_error",
    422: "validation_error",
    429: "rate_limit_error",
}


class ApiError(Exception):
    """
    Stop a call and answer it with an error envelope.

    The fields of the envelope are documented on docs.aitronos.com.

    :param status: HTTP status, 400 or above
    :param code: upper-case code that programs look at
    :param message: text for people
    :param system_message: text for logs
    :param details: what else is known, ready for JSON
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        system_message: str,
        details: dict[str, JsonValue] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.system_message = system_message
        self.details = details or {}


def authentication_required() -> ApiError:
    """Make the error for a call without a key, with the vendor's texts."""
    return ApiError(
        401,
        "AUTHENTICATION_REQUIRED",
        "Authentication required. Please provide a valid API key.",
        "Missing or invalid authorization header",
    )


def invalid_api_key() -> ApiError:
    """Make the error for a call with a key that nobody has."""
    return ApiError(401, "INVALID_API_KEY", "The API key is not valid.", "API key not recognised")


def insufficient_permissions() -> ApiError:
    """Make the error for a write with the read-only key, with the vendor's texts."""
    return ApiError(
        403,
        "INSUFFICIENT_PERMISSIONS",
        "You do not have permission to access this resource.",
        "Insufficient permissions for this operation",
    )


def organization_access_denied(organization_id: str) -> ApiError:
    """
    Make the error for a call about an organization that the key does not belong to.

    :param organization_id: the organization that was asked for
    """
    return ApiError(
        403,
        "ORGANIZATION_ACCESS_DENIED",
        "You do not have access to this organization.",
        "API key belongs to another organization",
        {"organization_id": organization_id},
    )


def assistant_not_found(assistant_id: str) -> ApiError:
    """
    Make the error for an assistant that does not exist.

    :param assistant_id: the id that was asked for
    """
    return ApiError(
        404,
        "ASSISTANT_NOT_FOUND",
        "The assistant was not found.",
        "No assistant with this id",
        {"assistant_id": assistant_id},
    )


def workflow_not_found(workflow_id: str) -> ApiError:
    """
    Make the error for a workflow that does not exist or was deleted.

    :param workflow_id: the id that was asked for
    """
    return ApiError(
        404,
        "WORKFLOW_NOT_FOUND",
        "The workflow was not found.",
        "No workflow with this id",
        {"workflow_id": workflow_id},
    )


def workflow_not_linked(assistant_id: str) -> ApiError:
    """
    Make the error for reading the workflow of an assistant that has none.

    :param assistant_id: the assistant
    """
    return ApiError(
        404,
        "WORKFLOW_NOT_LINKED",
        "The assistant has no workflow.",
        "No workflow linked to this assistant",
        {"assistant_id": assistant_id},
    )


def conflict(code: str, message: str, details: dict[str, JsonValue]) -> ApiError:
    """
    Make the error for a call that the present state does not allow.

    :param code: upper-case code
    :param message: text for people
    :param details: the ids in conflict
    """
    return ApiError(409, code, message, "Conflict with the current state", details)


def invalid_field(field: str, message: str) -> ApiError:
    """
    Make the error for a field whose value has the right type and makes no sense.

    :param field: name of the field
    :param message: text for people
    """
    return ApiError(422, "INVALID_FIELD_VALUE", message, "Invalid field value", {"field": field})


def install_error_handlers(app: FastAPI) -> None:
    """
    Make an application answer its errors with the envelope.

    Errors of the framework itself (no such path, wrong method) keep the framework's body, as with the vendor.

    :param app: the application
    """
    app.exception_handler(ApiError)(_answer_api_error)
    app.exception_handler(RequestValidationError)(_answer_invalid_request)


def error_response(error: ApiError, trace_id: str) -> Response:
    """
    Make the reply that carries an error.

    :param error: what went wrong
    :param trace_id: id of the request
    """
    body = ErrorBody(
        code=error.code,
        message=error.message,
        system_message=error.system_message,
        type=_TYPES.get(error.status) or ("request_error" if error.status < 500 else "server_error"),
        status=error.status,
        trace_id=trace_id,
        timestamp=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        details=error.details,
    )
    return JSONResponse(ErrorEnvelope(error=body).model_dump(), status_code=error.status)


async def _answer_api_error(request: Request, error: ApiError) -> Response:
    return error_response(error, request.state.request_id)


async def _answer_invalid_request(request: Request, error: RequestValidationError) -> Response:
    details: dict[str, JsonValue] = {"errors": [_describe(item) for item in error.errors()]}
    refusal = ApiError(
        422, "VALIDATION_ERROR", "The request is not valid.", "Request validation failed", details
    )
    return await _answer_api_error(request, refusal)


def _describe(item: dict[str, Any]) -> JsonValue:
    # The input and the context of an error may hold values that JSON does not know (NaN, exceptions).
    return {"loc": [str(part) for part in item["loc"]], "msg": item["msg"], "type": item["type"]}
