"""The calls of the Aitronos API as its contract has them, written down apart from the sandbox's models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ORGANIZATION = "org_sandbox01"
API_KEY = "sandbox-key"
READ_ONLY_KEY = "sandbox-read-only-key"

Fields = dict[str, tuple[type, ...]]

TYPES: Fields = {
    "str": (str,),
    "str?": (str, type(None)),
    "int": (int,),
    "int?": (int, type(None)),
    "bool": (bool,),
    "bool?": (bool, type(None)),
    "object": (dict,),
    "array": (list,),
}


def fields(text: str) -> Fields:
    """Read fields from pairs of type and name; a question mark says that null is allowed."""
    words = text.split()
    return {name: TYPES[kind] for kind, name in zip(words[::2], words[1::2], strict=True)}


COMMON = """str id str organization_id str name str? description bool is_active int created_at int updated_at
    str? created_by"""
WORKFLOW = fields(
    COMMON + " object definition int version str? external_id str? assistant_id bool has_assistant"
)
# The contract names the workflow's three fields only; the others were chosen.
ASSISTANT = fields(COMMON + " str access_mode str? workflow_id int? workflow_version bool workflow_based")
LINK = fields("str assistant_id str? workflow_id str message")
CONVERSION = fields("str assistant_id str workflow_id object workflow")
WORKFLOW_PAGE = fields("array workflows int total int limit int offset")
ASSISTANT_PAGE = fields("array assistants int total str organization_id object pagination")
PAGINATION = fields("int total int limit int offset bool has_more")
VALIDATION = fields("bool is_valid str? error bool? requires_reconnect")
HEALTH = fields("str status")
ERROR = fields(
    "str code str message str system_message str type int status str trace_id str timestamp object details"
)


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
WRITES = [call for call in PROTECTED if call.method != "GET"]
READS = [call for call in PROTECTED if call.method == "GET"]
WITH_ID = [call for call in PROTECTED if call.ids]
WITH_BODY = [call for call in PROTECTED if call.method in ("POST", "PATCH")]


def assert_fields(value: Any, fields: Fields) -> None:
    """Check that an object has exactly these fields, each of one of its types (a bool is no int here)."""
    assert type(value) is dict
    assert set(value) == set(fields)
    wrong = {name: value[name] for name, types in fields.items() if type(value[name]) not in types}
    assert wrong == {}
