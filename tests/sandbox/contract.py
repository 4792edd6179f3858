"""The calls of the Aitronos API as its contract has them, written down apart from the sandbox's models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ORGANIZATION = "org_sandbox01"
API_KEY = "sandbox-key"
READ_ONLY_KEY = "sandbox-read-only-key"

Fields = dict[str, tuple[type, ...]]


def of(names: str, *types: type) -> Fields:
    return dict.fromkeys(names.split(), types)


NULL = type(None)
COMMON = {
    **of("id organization_id name", str),
    **of("description created_by", str, NULL),
    **of("is_active", bool),
    **of("created_at updated_at", int),
}
WORKFLOW = {
    **COMMON,
    **of("definition", dict),
    **of("version", int),
    **of("external_id assistant_id", str, NULL),
    **of("has_assistant", bool),
}
# The contract names the workflow's three fields only; the others were chosen.
ASSISTANT = {
    **COMMON,
    **of("access_mode", str),
    **of("workflow_id", str, NULL),
    **of("workflow_version", int, NULL),
    **of("workflow_based", bool),
}
LINK = {**of("assistant_id message", str), **of("workflow_id", str, NULL)}
CONVERSION = {**of("assistant_id workflow_id", str), **of("workflow", dict)}
WORKFLOW_PAGE = {**of("workflows", list), **of("total limit offset", int)}
ASSISTANT_PAGE = {
    **of("assistants", list),
    **of("total", int),
    **of("organization_id", str),
    **of("pagination", dict),
}
PAGINATION = {**of("total limit offset", int), **of("has_more", bool)}
VALIDATION = {**of("is_valid", bool), **of("error", str, NULL), **of("requires_reconnect", bool, NULL)}
HEALTH = of("status", str)
ERROR = {
    **of("code message system_message type trace_id timestamp", str),
    **of("status", int),
    **of("details", dict),
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
