"""The named calls on workflows: against the sandbox, and against every fault of the matrix."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

from airflow_aitronos._compat import AirflowFailException
from airflow_aitronos.exceptions import (
    AitronosError,
    AitronosInputError,
    AitronosNetworkError,
    AitronosNotFoundError,
    AitronosResponseError,
    AitronosServerError,
    AitronosUnsafeToRepeatError,
    AitronosWrongResourceError,
)
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.sandbox.server import SandboxServer
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer, Reply
from tests.support.faults import Call, Close, Reset
from tests.support.replies import http
from tests.wire.http_cases import HTTP_CASES
from tests.wire.network_cases import NETWORK_CASES
from tests.wire.runner import check_error, check_json, connect
from tests.wire.wire_case import ASSISTANT, WORKFLOW, WireCase, envelope, nothing

DEFINITION: dict[str, Any] = {"nodes": [{"id": "a", "prompt": "{{ not_rendered }}"}], "edges": []}
FOUND = {"id": WORKFLOW, "name": "Support", "version": 3, "external_id": "support", "more": "kept back"}


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[AitronosHook]:
    monkeypatch.setattr(AitronosHook, "clock", FakeClock())
    with AitronosHook() as made:
        yield made


@pytest.fixture
def sandbox(hook: AitronosHook, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", server.connection_json())
        yield server


# Against the sandbox


def test_a_workflow_is_created_updated_and_read(hook: AitronosHook, sandbox: SandboxServer) -> None:
    first = hook.create_workflow(name="Answers", definition=DEFINITION, external_id="answers")
    second = hook.create_workflow(name="Answers", definition=DEFINITION, external_id="answers")
    assert (first["id"], first["version"], second["version"]) == (second["id"], 1, 2)
    assert (first["created"], second["created"]) == (True, False)
    assert {**hook.get_workflow(first["id"]), "created": False} == second
    assert second["definition"] == DEFINITION
    changed = hook.update_workflow(first["id"], description="better", is_active=False)
    assert (changed["description"], changed["is_active"], changed["name"]) == ("better", False, "Answers")


def test_promoting_links_a_new_assistant(hook: AitronosHook, sandbox: SandboxServer) -> None:
    workflow = hook.create_workflow(name="Answers", definition=DEFINITION)
    promoted = hook.promote_workflow_to_assistant(workflow["id"], name="New")
    assert sorted(promoted) == ["assistant_id", "message", "workflow_id"]
    assert promoted["workflow_id"] == workflow["id"]
    linked = hook.get_assistant_workflow(promoted["assistant_id"])
    assert linked is not None
    assert linked["id"] == workflow["id"]


def test_no_link_is_none_and_no_assistant_is_an_error(hook: AitronosHook, sandbox: SandboxServer) -> None:
    hook.detach_assistant_workflow("asst_support01")
    assert hook.get_assistant_workflow("asst_support01") is None
    with pytest.raises(AitronosNotFoundError):
        hook.get_assistant_workflow("asst_nobody")


@pytest.mark.parametrize("page_size", [1, 2, 3, 100])
def test_all_pages_are_read(hook: AitronosHook, sandbox: SandboxServer, page_size: int) -> None:
    in_one = [one["id"] for one in hook.request("GET", "/v1/workflows", params={"limit": 100})["workflows"]]
    assert len(in_one) > 3
    assert [one["id"] for one in hook.list_workflows(page_size=page_size)] == in_one


def test_pages_are_filtered(hook: AitronosHook, sandbox: SandboxServer) -> None:
    made = hook.create_workflow(name="Answers", definition=DEFINITION, external_id="answers")
    assert [one["id"] for one in hook.list_workflows(external_id="answers")] == [made["id"]]
    hook.update_workflow(made["id"], is_active=False)
    assert made["id"] not in [one["id"] for one in hook.list_workflows(active_only=True)]
    assert made["id"] in [one["id"] for one in hook.list_workflows(active_only=False)]


def test_the_key_is_validated(hook: AitronosHook, sandbox: SandboxServer) -> None:
    assert hook.validate_key() == {"is_valid": True, "error": None, "requires_reconnect": None}


# What a reply means


Replies = list[Reply]


def page(*ids: str, **more: Any) -> bytes:
    return http(200, {"workflows": [{"id": one} for one in ids], **more})


@pytest.mark.parametrize(
    ("replies", "ids"),
    [
        pytest.param([page("a", "b", total=3), page("c", total=3)], ["a", "b", "c"], id="total"),
        pytest.param([page("a", "b"), page("c")], ["a", "b", "c"], id="short-page"),
        pytest.param([page("a", "b"), page()], ["a", "b"], id="empty-page"),
        pytest.param([page(total=5)], [], id="nothing-of-five"),
        pytest.param([page("a", "b", total=2)], ["a", "b"], id="just-full"),
    ],
)
def test_the_last_page_is_known(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, replies: Replies, ids: list[str]
) -> None:
    with FaultServer(replies) as server:
        connect(monkeypatch, server.url)
        assert [one["id"] for one in hook.list_workflows(page_size=2)] == ids
    assert [one.path for one in server.requests] == [
        f"/v1/workflows?limit=2&offset={offset}" for offset in (0, 2)[: len(replies)]
    ]


def test_a_server_that_gives_the_same_page_for_ever_is_left(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer([page("a", "b", total=9)] * 3) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosResponseError, match="repeats earlier ones"):
            list(hook.list_workflows(page_size=2))
    assert len(server.requests) == 2


@pytest.mark.parametrize("page_size", [0, 101, True, "5", 2.0])
def test_a_page_size_that_is_none_is_refused_at_once(hook: AitronosHook, page_size: Any) -> None:
    with pytest.raises(AitronosInputError, match="page_size must be 1 to 100"):
        hook.list_workflows(page_size=page_size)


@pytest.mark.parametrize(
    "replies",
    [
        pytest.param([http(200, "null")], id="null"),
        pytest.param([envelope(404, "WORKFLOW_NOT_FOUND")], id="404-of-the-workflow"),
        pytest.param([envelope(404, "ASSISTANT_WORKFLOW_NOT_FOUND")], id="404-of-the-link"),
        pytest.param(
            [envelope(404, "RESOURCE_NOT_FOUND"), http(200, {"id": ASSISTANT, "workflow_id": None})],
            id="404-of-anything-and-the-assistant-has-none",
        ),
    ],
)
def test_nothing_linked_is_none(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, replies: Replies
) -> None:
    with FaultServer(replies) as server:
        connect(monkeypatch, server.url)
        assert hook.get_assistant_workflow(ASSISTANT) is None
    assert len(server.requests) == len(replies)


@pytest.mark.parametrize(
    "replies",
    [
        pytest.param([envelope(404, "ASSISTANT_NOT_FOUND")], id="404-of-the-assistant"),
        pytest.param([http(404, {"detail": "Not Found"})], id="404-of-the-path"),
        *(
            pytest.param([envelope(404, "RESOURCE_NOT_FOUND"), look], id=f"404-of-anything-and-{name}")
            for name, look in {
                "the-assistant-too": envelope(404, "RESOURCE_NOT_FOUND"),
                "the-assistant-has-one": http(200, {"id": ASSISTANT, "workflow_id": WORKFLOW}),
                "another-assistant": http(200, {"id": "asst_other", "workflow_id": None}),
            }.items()
        ),
    ],
)
def test_no_telling_is_no_none(hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, replies: Replies) -> None:
    with FaultServer(replies) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosNotFoundError):
            hook.get_assistant_workflow(ASSISTANT)
    assert len(server.requests) == len(replies)


@pytest.mark.parametrize(
    ("look", "error"),
    [(Reset(), AitronosNetworkError), (envelope(503, "X"), AitronosServerError)],
    ids=["no-answer", "unavailable"],
)
def test_a_look_that_may_succeed_later_makes_no_stop(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, look: Reply, error: type[AitronosError]
) -> None:
    with FaultServer([envelope(404, "RESOURCE_NOT_FOUND"), look]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(error, match="Trying again may help"):
            hook.get_assistant_workflow(ASSISTANT)
    assert len(server.requests) == 2


@pytest.mark.parametrize("answer", [http(201, FOUND), http(200, {"assistant_id": "asst_new"})])
@pytest.mark.parametrize("name", ["create", "promote", "update"])
def test_a_call_that_was_carried_out_for_a_stopped_task_is_not_sent_by_its_next_try(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, name: str, answer: bytes
) -> None:
    calls: dict[str, Callable[[], Any]] = {
        "create": lambda: hook.create_workflow(name="Answers", definition={}),
        "promote": lambda: hook.promote_workflow_to_assistant(WORKFLOW),
        "update": lambda: hook.update_workflow(WORKFLOW, name="Answers"),
    }
    with FaultServer([[Call(hook.cancel), answer]]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosUnsafeToRepeatError, match="Trying again cannot help") as caught:
            calls[name]()
    assert caught.value.maybe_done
    assert len(server.requests) == 1


def test_what_a_server_says_of_a_workflow_is_one_safe_line_in_the_log(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    odd = {"id": "flow_\x1b[1m\n::group::x" + "y" * 2000, "version": "3\n::endgroup::"}
    with FaultServer([http(201, odd)]) as server:
        connect(monkeypatch, server.url)
        hook.create_workflow(name="Answers", definition={})
    log = capfd.readouterr().out
    assert "::group::" not in log
    assert "::endgroup::" not in log
    assert "y" * 600 not in log


def test_a_promotion_of_another_workflow_names_the_assistant_that_it_made(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = http(201, {"assistant_id": "asst_new", "workflow_id": "flow_other"})
    with FaultServer([answer]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosWrongResourceError, match="asst_new") as caught:
            hook.promote_workflow_to_assistant(WORKFLOW)
    assert (caught.value.assistant_id, caught.value.maybe_done) == ("asst_new", True)
    assert f"Read workflow '{WORKFLOW}'" in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "None"},
        {"name": 5},
        {"definition": "{}"},
        {"description": "null"},
        {"external_id": " "},
        {"external_id": "None"},
    ],
    ids=str,
)
def test_what_templates_make_of_nothing_is_not_sent(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    with FaultServer([]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosInputError, match=r"^Nothing was sent: .*Trying again cannot help\.$"):
            hook.create_workflow(**{"name": "Answers", "definition": {}, **fields})
        with pytest.raises(AitronosInputError, match="Nothing was sent"):
            hook.update_workflow(WORKFLOW, **fields)
    assert server.connections == 0


def test_an_empty_description_is_sent(hook: AitronosHook, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([http(200, FOUND)]) as server:
        connect(monkeypatch, server.url)
        hook.update_workflow(WORKFLOW, description="")
    assert json.loads(server.requests[0].body) == {"description": ""}


def test_a_workflow_has_the_documented_fields_and_no_others(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer([http(200, FOUND)]) as server:
        connect(monkeypatch, server.url)
        workflow = hook.get_workflow(WORKFLOW)
    assert workflow["version"] == 3
    assert workflow["created_by"] is None
    assert "more" not in workflow
    assert len(workflow) == 13


NOW = int(FakeClock().time())
NEW = {**FOUND, "version": 1, "created_at": NOW, "updated_at": NOW}
OLD = {**NEW, "created_at": NOW - 3600, "updated_at": NOW - 3600}


@pytest.mark.parametrize(
    ("replies", "external_id", "created"),
    [
        pytest.param([http(201, FOUND)], None, True, id="no-external-id"),
        pytest.param([http(201, NEW)], "x", True, id="first-version"),
        pytest.param([http(200, NEW)], "x", True, id="first-version-with-200"),
        pytest.param([Reset(), http(201, NEW)], "x", True, id="first-version-in-a-second-attempt"),
        pytest.param([http(201, {**NEW, "updated_at": NOW + 1})], "x", None, id="first-version-changed"),
        pytest.param([http(201, {**FOUND, "version": 1})], "x", None, id="first-version-without-dates"),
        pytest.param([http(200, OLD)], "x", None, id="first-version-that-was-there-before"),
        pytest.param([http(200, {**NEW, "created_at": True})], "x", None, id="first-version-without-sense"),
        pytest.param([http(201, FOUND)], "x", False, id="later-version"),
        pytest.param([Reset(), http(201, FOUND)], "x", None, id="later-version-in-a-second-attempt"),
        pytest.param([http(429), http(201, FOUND)], "x", False, id="later-version-after-a-refusal"),
        pytest.param([http(201, {**FOUND, "version": 0})], "x", None, id="version-0"),
        pytest.param([http(201, {**NEW, "version": True})], "x", None, id="version-true"),
        pytest.param([http(201, {**FOUND, "version": "3"})], "x", None, id="version-as-text"),
        pytest.param([http(201, {"id": WORKFLOW})], "x", None, id="no-version"),
    ],
)
def test_whether_a_workflow_is_new_is_told_only_if_known(
    hook: AitronosHook,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    replies: Replies,
    external_id: str | None,
    created: bool | None,
) -> None:
    with FaultServer(replies) as server:
        connect(monkeypatch, server.url)
        made = hook.create_workflow(name="Answers", definition={}, external_id=external_id)
    assert made["created"] is created
    said = {True: "Created", False: "Updated", None: "Created or updated"}[created]
    assert f"{said} workflow 'Answers'" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("answer", "validation"),
    [
        ({"is_valid": True, "error": "old"}, (True, "old", None)),
        ({"is_valid": False, "error": "expired", "requires_reconnect": True}, (False, "expired", True)),
        ({"is_valid": False, "error": 5, "requires_reconnect": "no"}, (False, None, None)),
    ],
    ids=str,
)
def test_what_the_api_says_of_the_key(
    hook: AitronosHook,
    monkeypatch: pytest.MonkeyPatch,
    answer: dict[str, Any],
    validation: tuple[Any, ...],
) -> None:
    with FaultServer([http(200, answer)]) as server:
        connect(monkeypatch, server.url)
        assert tuple(hook.validate_key().values()) == validation
    assert [(one.method, one.path) for one in server.requests] == [("GET", "/v1/auth/validate")]


@pytest.mark.parametrize("answer", [{"ok": 1}, {"is_valid": 1}, {"is_valid": "true"}], ids=str)
def test_an_answer_that_says_nothing_of_the_key_is_none(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
) -> None:
    with FaultServer([http(200, answer)]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosResponseError, match="does not say whether the API key is valid"):
            hook.validate_key()


def test_the_answer_has_to_speak_of_the_workflow(hook: AitronosHook, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([http(200, {**FOUND, "id": "flow_other"})] * 2) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosWrongResourceError, match="flow_other"):
            hook.get_workflow(WORKFLOW)
        with pytest.raises(AitronosWrongResourceError, match="flow_other"):
            hook.update_workflow(WORKFLOW, name="x")


@pytest.mark.parametrize("answer", [{"ok": 1}, {"id": ""}, {"id": 7}], ids=str)
def test_an_answer_that_names_nothing_is_none(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
) -> None:
    with FaultServer([http(200, answer)]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosResponseError, match="names no workflow"):
            hook.get_workflow(WORKFLOW)


@pytest.mark.parametrize("answer", [{"ok": 1}, {"workflow_id": WORKFLOW}], ids=str)
def test_a_promotion_without_assistant_is_not_tried_again(
    hook: AitronosHook, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
) -> None:
    with FaultServer([http(201, answer)]) as server:
        connect(monkeypatch, server.url)
        with pytest.raises(AitronosUnsafeToRepeatError, match=f"Read workflow '{WORKFLOW}'"):
            hook.promote_workflow_to_assistant(WORKFLOW)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": " "},
        {"name": None},
        {"name": 5},
        {"definition": "{}"},
        {"definition": None},
        {"definition": []},
        {"external_id": ""},
        {"external_id": " None"},
        {"external_id": 5},
    ],
    ids=str,
)
def test_what_cannot_be_a_workflow_is_not_sent(hook: AitronosHook, fields: dict[str, Any]) -> None:
    with pytest.raises(AitronosInputError, match="Nothing was sent"):
        hook.create_workflow(**{"name": "x", "definition": {}, **fields})


def test_an_update_of_nothing_is_not_sent(hook: AitronosHook) -> None:
    with pytest.raises(AitronosInputError, match="no field"):
        hook.update_workflow(WORKFLOW)


# Every fault of the matrix, for every call


HookCall = Callable[[AitronosHook], Any]
REPEATED: dict[str, HookCall] = {
    "validate_key": lambda hook: hook.validate_key(),
    "get_workflow": lambda hook: hook.get_workflow(WORKFLOW),
    "get_assistant_workflow": lambda hook: hook.get_assistant_workflow(ASSISTANT),
    "list_workflows": lambda hook: list(hook.list_workflows()),
    "create_workflow-with-external_id": lambda hook: hook.create_workflow(
        name="x", definition={}, external_id="x"
    ),
}
ONCE: dict[str, HookCall] = {
    "create_workflow": lambda hook: hook.create_workflow(name="x", definition={}),
    "update_workflow": lambda hook: hook.update_workflow(WORKFLOW, name="x"),
    "promote_workflow_to_assistant": lambda hook: hook.promote_workflow_to_assistant(WORKFLOW),
}


MOST_REQUESTS = 12


def scripts(cases: list[WireCase]) -> Iterator[Any]:
    """Yield the replies of every variant that needs nothing but them."""
    for case in cases:
        for name, changes in (case.variants or {"": {}}).items():
            fields = {**vars(case), **changes}
            is_plain = fields["clock"] is FakeClock and fields["tls"] is None and fields["prepare"] is nothing
            if not is_plain or callable(fields["replies"]) or fields["memory"]:
                continue
            # Some scripts have no end; no call sends more than this.
            if replies := list(islice(fields["replies"], MOST_REQUESTS)):
                shown = f"{case.id}[{name}]" if name else case.id
                yield pytest.param(replies, dict(fields["extra"]), id=shown)


FAULTS = list(scripts([*NETWORK_CASES, *HTTP_CASES]))


@pytest.mark.parametrize(("replies", "extra"), FAULTS)
def test_every_fault_ends_every_call_in_a_named_end(
    monkeypatch: pytest.MonkeyPatch, replies: list[Reply], extra: dict[str, Any]
) -> None:
    for name, call in (REPEATED | ONCE).items():
        monkeypatch.setattr(AitronosHook, "clock", FakeClock())
        with FaultServer(replies) as server, AitronosHook() as hook:
            connect(monkeypatch, server.url, **extra)
            error = end_of(call, hook)
        if name in ONCE and "may have taken effect" in str(error):
            assert isinstance(error, AirflowFailException), f"{name}: {error}"
        limit = int(extra.get("max_attempts", 4))
        # One more GET may settle what a 404 means.
        assert len(server.requests) <= limit + (name == "get_assistant_workflow"), name
        if name in ONCE:
            arrived = [one for one in server.requests if one.method != "GET"]
            refused_for_now = sum(_is_refusal_for_now(reply) for reply in replies[: len(arrived)])
            assert len(arrived) <= 1 + refused_for_now, name


def end_of(call: HookCall, hook: AitronosHook) -> AitronosError | None:
    try:
        check_json(call(hook))
    except AitronosError as error:
        check_error(error)
        return error
    return None


def _is_refusal_for_now(reply: Reply) -> bool:
    """Tell whether a reply says that nothing was done, and either to come again or not yet why."""
    first = reply[0] if isinstance(reply, list) else reply
    raw = first.last if isinstance(first, Close) else first
    if not isinstance(raw, bytes):
        return False
    refusals = (b"HTTP/1.1 429", b"HTTP/1.1 425", b"HTTP/1.1 404")
    return raw.startswith(refusals) or b'"status": 429' in raw


def test_the_matrix_is_not_empty() -> None:
    assert len(FAULTS) > 200


def test_a_lost_answer_leaves_one_workflow(hook: AitronosHook, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([Reset(), Reset(), http(201, FOUND)]) as server:
        connect(monkeypatch, server.url)
        made = hook.create_workflow(name="x", definition={}, external_id="support")
    assert made["id"] == WORKFLOW
    bodies = [json.loads(one.body) for one in server.requests]
    assert bodies == [{"name": "x", "definition": {}, "external_id": "support"}] * 3
