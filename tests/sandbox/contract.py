"""The calls of the Aitronos API as its contract has them, written down apart from the sandbox's models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ORGANIZATION = "org_sandbox01"
API_KEY = "sandbox-key"
READ_ONLY_KEY = "sandbox-read-only-key"

Fields = dict[str, tuple[type, ...]]

STRING = (str,)
TEXT_OR_NULL = (str, type(None))
INTEGER = (int,)
BOOLEAN = (bool,)
OBJECT = (dict,)
ARRAY = (list,)

WORKFLOW: Fields = {
    "id": STRING,
    "organization_id": STRING,
    "name": STRING,
    "description": TEXT_OR_NULL,
    "definition": OBJECT,
    "version": INTEGER,
    "is_active": BOOLEAN,
    "created_at": INTEGER,
    "updated_at": INTEGER,
    "created_by": TEXT_OR_NULL,
    "external_id": TEXT_OR_NULL,
    "assistant_id": TEXT_OR_NULL,
    "has_assistant": BOOLEAN,
}
# The contract names workflow_id only; the others were chosen.
ASSISTANT: Fields = {
    "id": STRING,
    "organization_id": STRING,
    "name": STRING,
    "description": TEXT_OR_NULL,
    "access_mode": STRING,
    "is_active": BOOLEAN,
    "created_at": INTEGER,
    "updated_at": INTEGER,
    "created_by": TEXT_OR_NULL,
    "workflow_id": TEXT_OR_NULL,
}
LINK: Fields = {"assistant_id": STRING, "workflow_id": TEXT_OR_NULL, "message": STRING}
CONVERSION: Fields = {"assistant_id": STRING, "workflow_id": STRING, "workflow": OBJECT}
WORKFLOW_PAGE: Fields = {"workflows": ARRAY, "total": INTEGER, "limit": INTEGER, "offset": INTEGER}
ASSISTANT_PAGE: Fields = {
    "assistants": ARRAY,
    "total": INTEGER,
    "organization_id": STRING,
    "pagination": OBJECT,
}
PAGINATION: Fields = {"total": INTEGER, "limit": INTEGER, "offset": INTEGER, "has_more": BOOLEAN}
VALIDATION: Fields = {
    "is_valid": BOOLEAN,
    "error": TEXT_OR_NULL,
    "requires_reconnect": (bool, type(None)),
}
HEALTH: Fields = {"status": STRING}
ERROR: Fields = {
    "code": STRING,
    "message": STRING,
    "system_message": STRING,
    "type": STRING,
    "status": INTEGER,
    "trace_id": STRING,
    "timestamp": STRING,
    "details": OBJECT,
}


@dataclass(frozen=True)
class Call:
    """One call: its template, what to send, what comes back."""

    method: str
    template: str
    status: int
    reply: Fields | None
    ids: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    json: dict[str, Any] | None = None
    public: bool = False

    @property
    def path(self) -> str:
        return self.template.format(**self.ids)

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


LINKED = {"assistant_id": "asst_support01"}
IDLE = {"assistant_id": "asst_idle01"}
FLOW = {"workflow_id": "flow_support01"}
SPARE = {"workflow_id": "flow_spare01"}

CALLS = [
    Call("DELETE", "/v1/assistants/{assistant_id}/workflow", 200, LINK, LINKED),
    Call("GET", "/v1/assistants/{assistant_id}/workflow", 200, WORKFLOW, LINKED),
    Call("POST", "/v1/workflows", 201, WORKFLOW, json={"name": "New", "definition": {}}),
    Call("GET", "/v1/workflows/{workflow_id}", 200, WORKFLOW, FLOW),
    Call("PATCH", "/v1/workflows/{workflow_id}", 200, WORKFLOW, FLOW, json={"name": "Other"}),
    Call("POST", "/v1/workflows/{workflow_id}/promote-to-assistant", 201, LINK, SPARE),
    Call("GET", "/v1/workflows", 200, WORKFLOW_PAGE),
    Call("DELETE", "/v1/workflows/{workflow_id}", 204, None, FLOW),
    Call("POST", "/v1/assistants/{assistant_id}/convert-to-workflow", 201, CONVERSION, IDLE),
    Call("GET", "/v1/assistants", 200, ASSISTANT_PAGE, params={"organization_id": ORGANIZATION}),
    Call("GET", "/v1/assistants/{assistant_id}", 200, ASSISTANT, LINKED),
    Call("GET", "/v1/auth/validate", 200, VALIDATION),
    Call("GET", "/v1/health/", 200, HEALTH, public=True),
]
PROTECTED = [call for call in CALLS if not call.public]
WRITES = [call for call in PROTECTED if call.writes]
READS = [call for call in PROTECTED if not call.writes]
WITH_ID = [call for call in PROTECTED if call.ids]
WITH_BODY = [call for call in PROTECTED if call.method in ("POST", "PATCH")]


def assert_fields(value: Any, fields: Fields) -> None:
    """Check that an object has exactly these fields, each of one of its types (a bool is no int here)."""
    assert type(value) is dict
    assert set(value) == set(fields)
    wrong = {name: value[name] for name, types in fields.items() if type(value[name]) not in types}
    assert wrong == {}
