"""Calls of the hook and replies of the API, whose outcomes `call_outcomes.txt` records."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_aitronos.exceptions import AitronosError
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from tests.support import faults
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import Reply
from tests.support.faults import Close, Endless
from tests.support.replies import GZIP, Body, Pairs, http
from tests.support.task_state_store import Store, context_with
from tests.wire.recorded_faults import RECORDED_FAULTS
from tests.wire.wire_case import ASSISTANT, HTML, KEY, MANY, OTHER, WORKFLOW, detached, envelope

Replies = list[Reply]
Script = Replies | Callable[[AitronosHook], Replies]
Table = dict[str, Script]

DEFINITION = {"nodes": [{"id": "a", "prompt": "{{ as it is }}"}]}


def workflow(workflow_id: Any = WORKFLOW, status: int = 200, **fields: Any) -> bytes:
    """Answer with a workflow."""
    return http(status, {"id": workflow_id, "name": "Support", "version": 3, "external_id": "sup"} | fields)


def page(*ids: str, **more: Any) -> bytes:
    return http(200, {"workflows": [{"id": one} for one in ids], **more})


def refusal(status: int, code: str | None = None, headers: Pairs = ()) -> bytes:
    """Answer with the fewest fields of an error."""
    return http(status, {"error": {"code": code, "message": "So it is."}}, headers)


def refused_in_a_200(**error: Any) -> Replies:
    return [http(200, {"success": False, "error": {"code": "ODD", "message": "So it is.", **error}}, WAIT)]


def redirect(*location: str) -> Replies:
    return [http(302, "", [("Location", one) for one in location] + WAIT)]


def stopping(*replies: Reply) -> Callable[[AitronosHook], Replies]:
    """Tell the hook to stop just before the last reply is sent."""
    *first, last = replies
    assert isinstance(last, bytes | faults.Reset)
    return lambda hook: [*first, [faults.Call(hook.cancel), last]]


def wrong(body: Body) -> Replies:
    return [http(200, body)]


WAIT = [("Retry-After", "7")]
BROTLI = ("Content-Encoding", "br")
PROMOTED = {"assistant_id": "asst_new", "workflow_id": WORKFLOW, "message": "Made."}
GOOD_DETACH, NAMELESS = http(200, detached()), http(200, detached(workflow_id=None))
NULL, EMPTY, LOST, UNAVAILABLE = http(200, "null"), http(200, {}), faults.Reset(), refusal(503, "DOWN")
GONE_404, NO_WORKFLOW = refusal(404, "RESOURCE_NOT_FOUND"), refusal(404, "WORKFLOW_NOT_FOUND")
NO_ASSISTANT = refusal(404, "ASSISTANT_NOT_FOUND")


def shown(**fields: Any) -> bytes:
    """Answer with an assistant."""
    return http(200, {"id": ASSISTANT} | fields)


def every(good: Replies) -> Table:
    """Return what every call is answered with."""
    return {
        "good": good,
        "null": [NULL],
        "empty object": [EMPTY],
        "404 of anything": [GONE_404, refusal(403)],
        "no answer, then good": [LOST, *good],
        "no answer": [LOST] * 4,
        "503, then 404 of anything": [UNAVAILABLE, GONE_404, refusal(403)],
        "good, but cancelled": stopping(*good),
        "no answer, then good, but cancelled": stopping(LOST, *good),
    }


def each_status(good: Replies) -> Table:
    """Return what a reading call, one that may be repeated and one that may not are answered with."""
    return {
        "list": wrong([]),
        "no body": [http(200, "", WAIT)],
        "html": wrong(HTML),
        "204": [http(204)],
        "other success": [http(202, {"id": WORKFLOW})],
        "400": [refusal(400, "BAD")],
        "401": [refusal(401, "INVALID_API_KEY")],
        "403": [refusal(403)],
        "404 without envelope": [http(404, {"detail": f"Not Found, {KEY}"})],
        "407": [http(407)],
        "408, then good": [http(408), *good],
        "409": [refusal(409, "BUSY", WAIT)],
        "422 with all there is": [
            envelope(
                422,
                "INVALID",
                [("x-request-id", "rq-1"), *WAIT],
                message=KEY,
                details={f"a {KEY}": [KEY, [[[["deep"]]]], *range(30)]},
            )
        ],
        "429, then good": [refusal(429, "SLOW_DOWN", WAIT), *good],
        "429 for longer": [refusal(429, "SLOW_DOWN", [("Retry-After", "300")])],
        "500 four times": [http(500, HTML)] * 4,
        "503, then 401": [UNAVAILABLE, refusal(401)],
        "redirect": redirect("https://user:pw@login.example:8443/path?q=1"),
        "refused in a 200, no status": refused_in_a_200(),
        "refused in a 200, 422": refused_in_a_200(status=422),
        "refused in a 200, 503": refused_in_a_200(status=503) * 4,
        "no answer, and cancelled": stopping(LOST),
        "503, and cancelled": stopping(UNAVAILABLE),
        "null, and cancelled": stopping(NULL),
        "401, and cancelled": stopping(refusal(401)),
    }


@dataclass(frozen=True)
class Call:
    """One call of the hook, and what it is answered with.

    :param call: that is made.
    :param good: what it is answered with if all is well.
    :param also: further replies, by name.
    :param has_every: whether :func:`every` applies.
    :param has_each_status: whether :func:`each_status` applies.
    """

    call: Callable[[AitronosHook], Any]
    good: Replies = field(default_factory=list)
    also: Mapping[str, Script] = field(default_factory=dict)
    has_every: bool = True
    has_each_status: bool = False

    def table(self) -> Table:
        """Return all replies, by name."""
        table = every(self.good) if self.has_every else {}
        return table | (each_status(self.good) if self.has_each_status else {}) | dict(self.also)


def detach(**options: Any) -> Callable[[AitronosHook], Any]:
    return lambda hook: hook.detach_assistant_workflow(ASSISTANT, **options)


class LaterTry:
    """Detach in a later try of a task, whose first try got no response to its DELETE."""

    def __call__(self, hook: AitronosHook) -> Any:
        store = Store()
        with contextlib.suppress(AitronosError):
            self._operator(max_attempts=1).execute(context_with(store))
        hook.log.forget()  # type: ignore[attr-defined]  # the first try is not part of the story
        self.operator = self._operator()
        return self.operator.execute(context_with(store))

    def _operator(self, **options: Any) -> DetachAssistantWorkflowOperator:
        return DetachAssistantWorkflowOperator(
            task_id="detach", assistant_id=ASSISTANT, record_workflow=True, **options
        )

    def kill(self) -> None:
        self.operator.on_kill()


def after_an_earlier_try(*replies: Reply) -> Replies:
    return [workflow(), LOST, *replies]


def killed_at_the_last_moment(hook: AitronosHook) -> Any:
    """Kill the task just before the DELETE is sent."""
    operator = DetachAssistantWorkflowOperator(task_id="detach", assistant_id=ASSISTANT)
    return operator.execute(context_with(Store(wait=lambda seconds: operator.on_kill())))


def stopped_before_it_began(hook: AitronosHook) -> Any:
    hook.cancel()
    return hook.get_workflow(WORKFLOW)


def create(hook: AitronosHook, **fields: Any) -> Any:
    return hook.create_workflow(**{"name": "Answers", "definition": DEFINITION} | fields)


JUST_NOW = int(FakeClock().time())
NAMES_NONE: Table = {"id missing": wrong({"name": "x"})}
ODD_WORKFLOWS: Table = {
    "version missing": [http(200, {"id": WORKFLOW})],
    "another id": [workflow(OTHER)],
    "a long id with the key": [workflow(f"{KEY} {'x' * 200}")],
}
PLAIN = json.dumps({"id": WORKFLOW}).encode()
BROKEN_BODIES: Table = {
    "unexpected encoding": [http(200, "{}", [BROTLI])],
    "unexpected encoding of a 401": [http(401, "{}", [BROTLI])],
    "packed": [http(200, gzip.compress(PLAIN), [GZIP])],
    "packed, but empty": [http(200, "", [GZIP])],
    "cut in a 300": [Close(http(300, "text")[:-1])],
    "cut in a 401": [Close(http(401, "text")[:-1])],
    "cut in a 404": [Close(http(404, "text")[:-1])] * 4,
    "endless in a 401": [[http(401, None), Endless()]],
    "endless in a 503": [[http(503, None), Endless()]],
    "too large in a 503": [http(503, "x" * MANY)],
}
OF_THE_LINK: Table = {"404 of the workflow": [NO_WORKFLOW], "404 of the assistant": [NO_ASSISTANT]}
# Read for the precondition, then detached.
READ_FIRST: Table = {
    "204": [workflow(), http(204)],
    "another detached": [workflow(), http(200, detached(workflow_id=OTHER))],
    "no id in the answer": [workflow(), NAMELESS],
    "no answer to the DELETE, then none linked": [workflow(), LOST, NULL],
    "no answer to the DELETE, then another linked": [workflow(), LOST, workflow(OTHER)],
    "429 to the DELETE, then another linked": [
        workflow(),
        http(429),
        workflow(OTHER),
        http(200, detached(workflow_id=OTHER)),
    ],
    "no name, no version": [workflow(name=None, version=None), GOOD_DETACH],
    "no version": [workflow(version=True), GOOD_DETACH],
    "no answer to the DELETE, then 404, and none linked": [
        workflow(),
        LOST,
        workflow(),
        GONE_404,
        shown(workflow_id=None),
    ],
    "no answer to the DELETE, then 404, and still linked": [
        workflow(),
        LOST,
        workflow(),
        GONE_404,
        shown(workflow_id=WORKFLOW),
    ],
    "503 to the DELETE, then still linked": [workflow(), UNAVAILABLE, workflow(), GOOD_DETACH],
    "503 to the DELETE, then to the reads": [workflow(), *[UNAVAILABLE] * 4],
    "401 to the read after no answer": [workflow(), LOST, refusal(401)],
    "404 of the assistant to the DELETE": [workflow(), NO_ASSISTANT],
}

LATER_TRY = LaterTry()
CALLS: dict[str, Call] = {
    "get_workflow": Call(
        lambda hook: hook.get_workflow(WORKFLOW),
        [workflow()],
        {
            **OF_THE_LINK,
            **NAMES_NONE,
            "id empty": wrong({"id": " "}),
            "id a number": wrong({"id": 7}),
            **ODD_WORKFLOWS,
            **BROKEN_BODIES,
            "a long code and a long text": [
                envelope(400, "C" * 150, message="M" * 600, type="T" * 150, system_message="S" * 600)
            ],
            "names nothing, but the request": [http(200, {"name": "x"}, [("x-request-id", "rq-7")])],
            "good, with a long id of the request": [
                http(200, {"id": WORKFLOW}, [("x-request-id", f"rq {KEY} {'r' * 250}")])
            ],
            "a code and no text": [http(400, {"error": {"code": "ODD"}})],
            "no envelope, but JSON": [http(400, '{"detail": "gr\\u00fc\\u00dfe"}')],
            "redirect without address": redirect(),
            "redirect on the same host": redirect("/login?next=/v1"),
            "redirect to a query only": redirect("?next=/v1"),
            "redirect without scheme": redirect("//login.example/path"),
            "redirect to a long host": redirect(f"https://{KEY}.{'x' * 120}.example/"),
            "redirect to no address": redirect("https://[::1"),
            "refused in a 200, no envelope": [http(200, {"success": False, "why": KEY}, WAIT)],
            **{
                f"refused in a 200, {status!r}": refused_in_a_200(status=status) * 4
                for status in (399, 400, 407, 599, 600, True, "404")
            },
        },
        has_each_status=True,
    ),
    "get_assistant_workflow": Call(
        lambda hook: hook.get_assistant_workflow(ASSISTANT),
        [workflow()],
        {
            **OF_THE_LINK,
            **NAMES_NONE,
            "404 of anything, and the assistant has none": [GONE_404, shown(workflow_id=None)],
            "404 of anything, and the assistant has one": [GONE_404, shown(workflow_id=OTHER)],
            "404 of anything, and another assistant": [GONE_404, shown(id="asst_other")],
            "404 of anything, and no such assistant": [GONE_404, NO_ASSISTANT],
            "404 of anything, and no read": [GONE_404, refusal(403)],
            "404 of anything, and no answer": [GONE_404, LOST] * 4,
            "404 of anything, and 503": [GONE_404, UNAVAILABLE] * 4,
            "404 without envelope": [http(404, HTML)],
        },
    ),
    "list_workflows": Call(
        lambda hook: list(hook.list_workflows(external_id="A&b", active_only=True, page_size=2)),
        [page("a", "b", total=3), page("c", total=3)],
        {
            "no total, a short page": [page("a", "b"), page("c")],
            "no total, an empty page": [page("a", "b"), page()],
            "total true": [page("a", "b", total=True), page("c", total=True)],
            "the same page again": [page("a", "b", total=9)] * 2,
            "one of another kind": wrong({"workflows": [{"id": "a"}, "b"]}),
            "workflows null": wrong({"workflows": None, "total": 0}),
            "the key in an id": [page(KEY)],
            "401 to the second page": [page("a", "b"), refusal(401)],
        },
    ),
    "list_workflows, no filter": Call(
        lambda hook: list(hook.list_workflows(active_only=False)), also={"none": [page()]}, has_every=False
    ),
    "create_workflow, external_id": Call(
        lambda hook: create(hook, description="of all", external_id="sup"),
        [workflow(status=201)],
        {
            **NAMES_NONE,
            "new": [workflow(version=1, created_at=JUST_NOW, updated_at=JUST_NOW)],
            **ODD_WORKFLOWS,
        },
        has_each_status=True,
    ),
    "create_workflow": Call(
        create,
        [workflow(status=201)],
        {
            **NAMES_NONE,
            "503": [UNAVAILABLE],
            "a long id, but cancelled": stopping(workflow(f"{KEY} {'x' * 200}")),
        },
    ),
    "create_workflow, long": Call(
        lambda hook: create(hook, name=f"\x1b[1m{'n' * 120}", definition={}, external_id="e" * 120),
        also={"version missing": [http(201, {"id": WORKFLOW})], "401": [refusal(401)]},
        has_every=False,
    ),
    "update_workflow": Call(
        lambda hook: hook.update_workflow(
            WORKFLOW, name="Better", description="", definition={}, is_active=False, external_id="b"
        ),
        [workflow(name="Better")],
        {**NAMES_NONE, **ODD_WORKFLOWS, "201": [workflow(status=201)]},
    ),
    "promote_workflow_to_assistant": Call(
        lambda hook: hook.promote_workflow_to_assistant(
            WORKFLOW, name="New", description="of old", primary_node_id="a"
        ),
        [http(201, PROMOTED)],
        {
            "no workflow named": [http(200, {"assistant_id": "asst_new"})],
            "no assistant named": wrong({"workflow_id": WORKFLOW}),
            "another workflow": wrong({**PROMOTED, "workflow_id": f"{KEY} {'x' * 200}"}),
            "workflow null": wrong({**PROMOTED, "workflow_id": None}),
            "the key in its texts": wrong({**PROMOTED, "assistant_id": KEY, "message": KEY}),
            "message a number": wrong({**PROMOTED, "message": 5}),
        },
        has_each_status=True,
    ),
    "promote_workflow_to_assistant, no field": Call(
        lambda hook: hook.promote_workflow_to_assistant(WORKFLOW),
        also={"good": [http(200, PROMOTED)]},
        has_every=False,
    ),
    "validate_key": Call(
        lambda hook: hook.validate_key(),
        [http(200, {"is_valid": True})],
        {
            "not valid": wrong({"is_valid": False, "error": KEY, "requires_reconnect": True}),
            "odd": wrong({"is_valid": True, "error": 5, "requires_reconnect": "no"}),
            "a text": wrong({"is_valid": "true"}),
        },
    ),
    "test_connection": Call(
        lambda hook: hook.test_connection(),
        also={
            "good": [http(200, {"is_valid": True})],
            "not valid": wrong({"is_valid": False}),
            "null": [NULL],
            "401": [refusal(401)],
            "404": [GONE_404],
            "429": [refusal(429, "SLOW_DOWN", WAIT)],
            "503": [UNAVAILABLE],
            "no answer": [LOST],
        },
        has_every=False,
    ),
    "detach": Call(
        detach(),
        [GOOD_DETACH],
        {
            "an unexpected id": [http(200, detached(workflow_id=5, assistant_id=None))],
            "none of its fields": wrong({"ok": True}),
            "another assistant": [http(200, detached(assistant_id=f"asst_{KEY}"))],
            "the key in the message": [http(200, detached(message=KEY))],
            "404 of anything, and no field": [GONE_404, shown()],
            "404 of anything, and no such assistant": [GONE_404, GONE_404],
            "404 of anything, and the GET fails once": [
                GONE_404,
                UNAVAILABLE,
                GONE_404,
                shown(workflow_id=None),
            ],
            "no answer, then 404 without envelope": [LOST, http(404)],
            "no answer, then 404, and another assistant": [LOST, GONE_404, shown(id="asst_other")],
            "no answer, then 404, and no such assistant": [LOST, GONE_404, GONE_404],
            "no answer, then 404, and no such assistant, each with its id": [
                LOST,
                refusal(404, "X", [("x-request-id", "rq-1")]),
                refusal(404, "Y", [("x-request-id", "rq-2")]),
            ],
            "no answer, then 404 with a trace, and no such assistant": [
                LOST,
                envelope(404, "X"),
                refusal(404, "Y", [("x-request-id", "rq-2")]),
            ],
            "no answer, then 404, and cancelled": stopping(LOST, GONE_404),
        },
    ),
    "detach, expected and details": Call(
        detach(expected_workflow_id=WORKFLOW, include_workflow_details=True),
        [workflow(), GOOD_DETACH],
        {
            **OF_THE_LINK,
            **READ_FIRST,
            "another linked": [workflow(OTHER)],
            "no answer to the DELETE, then another detached": [
                workflow(),
                LOST,
                workflow(),
                http(200, detached(workflow_id=OTHER)),
            ],
            "cancelled": stopping(workflow()),
        },
    ),
    "detach, record": Call(
        detach(record_workflow=True),
        also={"good": [workflow(), GOOD_DETACH], "null": [NULL], **READ_FIRST},
        has_every=False,
    ),
    "detach, record and details": Call(
        detach(record_workflow=True, include_workflow_details=True),
        also={name: READ_FIRST[name] for name in ("204", "another detached")},
        has_every=False,
    ),
    "detach, check_only": Call(
        detach(check_only=True), [workflow()], {**OF_THE_LINK, "no version": [workflow(version=None)]}
    ),
    "detach, check_only and expected": Call(
        detach(check_only=True, expected_workflow_id=WORKFLOW, include_workflow_details=True),
        also={"good": [workflow()], "another linked": [workflow(OTHER)]},
        has_every=False,
    ),
    **{
        f"detach, if_not_attached={meaning}": Call(
            detach(if_not_attached=meaning),
            also={
                "no id": [NAMELESS],
                "204": [http(204)],
                "no answer, then no id": [LOST, NAMELESS],
                "404 of the workflow": [NO_WORKFLOW],
                "404 of the workflow, and cancelled": stopping(NO_WORKFLOW),
                "404 of anything": [GONE_404, shown(workflow_id=None)],
                "404 of anything, and still linked": [GONE_404, shown(workflow_id=OTHER)],
            },
            has_every=False,
        )
        for meaning in ("succeed", "skip", "fail")
    },
    **{
        f"detach, {option}, if_not_attached={meaning}": Call(
            detach(**{option: True}, if_not_attached=meaning),
            also={"null": [NULL], "404 of the workflow": [NO_WORKFLOW]},
            has_every=False,
        )
        for option in ("check_only", "record_workflow")
        for meaning in ("skip", "fail")
    },
    "detach, after an earlier try": Call(
        LATER_TRY,
        also={
            "good": after_an_earlier_try(workflow(), GOOD_DETACH),
            "null": after_an_earlier_try(NULL),
            "another linked": after_an_earlier_try(workflow(OTHER)),
            "404 of the assistant": after_an_earlier_try(NO_ASSISTANT),
            "404 without envelope": after_an_earlier_try(workflow(), http(404)),
            "404 without envelope, and cancelled": after_an_earlier_try(
                workflow(), [faults.Call(LATER_TRY.kill), http(404)]
            ),
        },
        has_every=False,
    ),
    "get_workflow, cancelled before it began": Call(
        stopped_before_it_began, also={"good": [workflow()]}, has_every=False
    ),
    "detach, cancelled at the last moment": Call(
        killed_at_the_last_moment, also={"good": [GOOD_DETACH]}, has_every=False
    ),
    "request GET": Call(
        lambda hook: hook.request("GET", "/v1/health", params={"q": "a b"}),
        also={"good": wrong({"ok": True}), "201": [http(201, {"ok": True})], "204": [http(204)]},
        has_every=False,
    ),
    "request POST": Call(
        lambda hook: hook.request("post", "/v1/workflows", json=DEFINITION),
        also={"good": [http(201, {"id": "x"})], "503": [UNAVAILABLE], "no answer": [LOST]},
        has_every=False,
    ),
    "request DELETE": Call(
        lambda hook: hook.request(
            "DELETE", "/v1/workflows/{workflow_id}", path_params={"workflow_id": WORKFLOW}
        ),
        also={"204": [http(204)], "201": [http(201, {"ok": True})], "no answer, then 204": [LOST, http(204)]},
        has_every=False,
    ),
}

REFUSED: dict[str, Callable[[AitronosHook], Any]] = {
    "get_workflow(None)": lambda hook: hook.get_workflow(None),  # type: ignore[arg-type]  # the mistake
    "get_workflow('')": lambda hook: hook.get_workflow(""),
    "get_workflow('a/' + 14 more)": lambda hook: hook.get_workflow("a/" + "b" * 14),
    "get_workflow('a/' + 15 more)": lambda hook: hook.get_workflow("a/" + "b" * 15),
    "get_assistant_workflow('')": lambda hook: hook.get_assistant_workflow(""),
    "create_workflow(name=None)": lambda hook: create(hook, name=None),
    "create_workflow(definition=None)": lambda hook: create(hook, definition=None),
    "create_workflow(name=' ' * 70)": lambda hook: create(hook, name=" " * 70),
    "create_workflow(definition='{}')": lambda hook: create(hook, definition="{}"),
    "create_workflow(external_id='None')": lambda hook: create(hook, external_id="None"),
    "update_workflow('')": lambda hook: hook.update_workflow("", name="x"),
    "update_workflow()": lambda hook: hook.update_workflow(WORKFLOW),
    "promote_workflow_to_assistant('')": lambda hook: hook.promote_workflow_to_assistant(""),
    "list_workflows(page_size=101)": lambda hook: hook.list_workflows(page_size=101),
    "detach_assistant_workflow(expected_workflow_id='')": detach(expected_workflow_id=""),
    "request(path='v1')": lambda hook: hook.request("GET", "v1"),
    "request(params='a=b')": lambda hook: hook.request("GET", "/v1", params="a=b"),  # type: ignore[arg-type]  # the mistake
}
"""Calls of which nothing is sent."""


def cases() -> Iterator[tuple[str, Callable[[AitronosHook], Any], Script]]:
    """Yield name, call and replies of every paragraph of the record."""
    for name, one in CALLS.items():
        for answer, replies in one.table().items():
            yield f"{name} / {answer}", one.call, replies
    for fault in RECORDED_FAULTS:
        for variant, replies in fault.answers.items():
            yield f"{fault.id} {fault.fault} / {variant}", detach(), replies
    for name, call in REFUSED.items():
        yield name, call, []
