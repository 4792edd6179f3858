"""What a wire case is made of: scripted replies in, one named outcome out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from airflow_aitronos.exceptions import AitronosError
from airflow_aitronos.hooks.aitronos import AitronosHook
from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from tests.support.fake_clock import Clock, FakeClock
from tests.support.fault_server import FaultServer, Reply, Unread
from tests.support.replies import Pairs, http

# --- the words of the package that tests/wire depends on: here and nowhere else -----------------------

RETRIED = re.compile(
    r"Attempt (?P<number>\d+) of (?P<of>\d+) failed: .+ Next attempt in (?P<wait>\d+\.\d) s "
    r"\(.+, (?P<error>Aitronos\w+Error).*\)"
)
"""The WARNING about a failed attempt that is followed by another one."""
RETRYABLE, PERMANENT = "retryable", "permanent"
"""Values of `error.outcome`."""
SAYS_RETRYABLE, SAYS_PERMANENT = "Retryable.", "Not retryable."
MAYBE_DONE = "may have taken effect"
SAYS_UNSAFE = "It may have taken effect"
EARLIER_ATTEMPT = "an earlier attempt"
NOTHING_SENT = "no request was sent"
RATE_LIMITED, TOO_LARGE = "HTTP 429", "too large"
NO_NAME, NO_CONNECTION, NO_TLS = "could not resolve", "could not connect", "does not speak TLS"
UNENCRYPTED = "the API key travels unencrypted"
OPERATOR_OUTSIDE_A_TASK = "execute cannot be called outside of the Task Runner!"
"""What Airflow says of a bare execute()."""

# ------------------------------------------------------------------------------------------------------

KEY = "sk-CANARY-7f3a9c51e2d84b60"
CONN_ID = "aitronos_default"
ASSISTANT = "asst_abc123def456"
WORKFLOW, OTHER = "flow_abc123def456", "flow_other"
MESSAGE = "Operation completed successfully"
TRACE = "req_abc123xyz"
HTML = "<html><body><h1>Bad Gateway</h1></body></html>"

DETACH = f"DELETE /v1/assistants/{ASSISTANT}/workflow"
LINK = f"GET /v1/assistants/{ASSISTANT}/workflow"
POST = "POST /v1/workflows"
DEFINITION = {"name": "nightly", "definition": {}}
MANY = 8 * 1024 * 1024 + 1  # bytes: more than is read of any body


@dataclass
class Scene:
    """The surroundings of a case, which its `prepare` may change before the call is made."""

    server: FaultServer
    elsewhere: FaultServer  # a second listener, to which nobody may connect
    patch: pytest.MonkeyPatch
    folder: Path
    clock: Clock
    stack: ExitStack
    host: str = ""  # of the connection
    extra: dict[str, Any] = field(default_factory=dict)
    ports: set[int] = field(default_factory=set)  # those that the call may connect to


@dataclass(frozen=True)
class Certificate:
    """The server's certificate, and whether the connection's `verify` names the CA behind it."""

    hostname: str = "127.0.0.1"
    _: KW_ONLY
    expired: bool = False
    known: bool = True


@dataclass(frozen=True)
class End:
    """How a call has to end.

    `says` are words of the error's text, or of the last log line of a success, whatever their case.
    `facts` are attributes of the error; status_code, code, trace_id and retry_after that are missing here
    have to be None. `maybe_done` is whether the text warns that the call may have taken effect.
    """

    error: type[AitronosError] | None
    says: tuple[str, ...]
    _: KW_ONLY
    permanent: bool = False
    maybe_done: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    value: Any = None
    warns: bool = False


def permanent(error: type[AitronosError], *says: str, maybe_done: bool = False, **facts: Any) -> End:
    """End with an error that makes the task fail at once."""
    return End(error, says, permanent=True, maybe_done=maybe_done, facts=facts)


def retryable(error: type[AitronosError], *says: str, maybe_done: bool = False, **facts: Any) -> End:
    """End with an error that leaves the task its retries."""
    return End(error, says, maybe_done=maybe_done, facts=facts)


def done(*says: str, warns: bool = False, outcome: str = "detached", **fields: Any) -> End:
    """End well, with the documented result but for the `fields`."""
    return End(None, says, value=detached(**fields, outcome=outcome), warns=warns)


def nothing_linked(**fields: Any) -> End:
    """End well, since no workflow was linked."""
    return done(outcome="not_attached", workflow_id=None, **fields)


def detached_before(**fields: Any) -> End:
    """End well, since an attempt without a response has probably detached the workflow."""
    return done(EARLIER_ATTEMPT, warns=True, workflow_id=None, **fields)


Replies: TypeAlias = Iterable[Reply] | Callable[[Scene], Iterable[Reply]]
Wait: TypeAlias = tuple[float, float] | None


def asked(seconds: float) -> Wait:
    """Wait for what the server asked, and at most so much longer that not all come back at once."""
    return seconds, seconds + max(1.0, seconds / 10)


def detach(**options: Any) -> Any:
    """Run the operator."""
    return DetachAssistantWorkflowOperator(task_id="detach", assistant_id=ASSISTANT, **options).execute({})


def real_clock() -> Clock:
    """Return the clock that the hook brings along."""
    return AitronosHook.clock


def nothing(scene: Scene) -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class WireCase:
    """One case of the fault matrix; each variant changes some fields of it.

    :param id: of the fault matrix.
    :param fault: what goes wrong.
    :param replies: of the server, in order; beyond them it answers 500.
    :param end: how the call ends.
    :param sent: the requests that reach the server whole; a number stands for so many detaches, and None for
        a detach for each of the replies that are not :class:`Unread`; for one if those depend on the scene.
    :param attempts: made in all; None for as many as there are requests.
    :param waits: between the attempts, each as a range; None is the package's own backoff.
    :param connections: that the server has to see; None for any number.
    :param never: words that may stand nowhere in logs, error and value.
    :param extra: of the Airflow connection.
    :param tls: makes the server speak TLS.
    :param clock: what the call measures time with; the real one where a deadline cuts real reads short.
    :param prepare: changes the scene before the call.
    :param call: what is done.
    :param within: real seconds that the call may take at most, where one timeout after the other runs out.
    :param memory: whether the call may take no more than 48 MiB.
    :param variants: changes of the fields above, by name.
    """

    id: str
    fault: str
    _: KW_ONLY
    replies: Replies = ()
    end: End = field(default_factory=done)
    sent: int | Sequence[str] | None = None
    attempts: int | None = None
    waits: Sequence[Wait] | None = None
    connections: int | None = None
    never: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    tls: Certificate | None = None
    clock: Callable[[], Clock] = FakeClock
    prepare: Callable[[Scene], None] = nothing
    call: Callable[[], Any] = detach
    within: float | None = None
    memory: bool = False
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def request_lines(self) -> list[str]:
        """Method and raw path of every request that has to arrive."""
        if self.sent is None:
            return [DETACH] * sum(not isinstance(reply, Unread) for reply in self._scripted)
        return [DETACH] * self.sent if isinstance(self.sent, int) else list(self.sent)

    @property
    def all_attempts(self) -> int:
        """Number of attempts."""
        if self.attempts is not None:
            return self.attempts
        if self.sent is None:
            return len(self._scripted)
        return len(self.request_lines)

    @property
    def _scripted(self) -> list[Reply]:
        return [b""] if callable(self.replies) else list(self.replies)


def vary(**fields: Any) -> dict[str, Any]:
    """Name the fields in which a variant differs from its case."""
    return fields


def parameters(cases: Iterable[WireCase]) -> list[Any]:
    """Return a pytest parameter for each variant, with ids such as `H4[nan]`."""
    return [
        pytest.param(
            replace(case, variants={}, **changes),
            id=f"{case.id}[{name}]" if name else case.id,
            marks=pytest.mark.case(case.id),
        )
        for case in cases
        for name, changes in (case.variants or {"": {}}).items()
    ]


def detached(**fields: Any) -> dict[str, Any]:
    """Return the documented body of a detach, but for the `fields`."""
    return {"assistant_id": ASSISTANT, "workflow_id": WORKFLOW, "message": MESSAGE} | fields


def envelope(status: int, code: str, headers: Pairs = (), **fields: Any) -> bytes:
    """Return a reply with the documented error envelope, but for the `fields` of its error."""
    error = {
        "code": code,
        "message": "It did not work.",
        "system_message": "It did not work, says the system.",
        "type": "some_error",
        "status": status,
        "trace_id": TRACE,
        "timestamp": "2025-11-11T10:30:00Z",
        "details": {},
    }
    return http(status, {"success": False, "error": error | fields}, headers)


def facts(status: int, code: str | None = None, **more: Any) -> dict[str, Any]:
    """Return the attributes of the error that the documented envelope stands for."""
    return {"status_code": status, "code": code, "trace_id": TRACE if code else None} | more


def shown_assistant(**fields: Any) -> bytes:
    """Return a reply with an assistant."""
    return http(200, {"id": ASSISTANT, "name": "Support"} | fields)


GOOD = http(200, detached())
NOTHING_LINKED = http(200, detached(workflow_id=None))
UNAVAILABLE = envelope(503, "SERVICE_UNAVAILABLE")
GONE_404 = envelope(404, "RESOURCE_NOT_FOUND")
NO_WORKFLOW = envelope(404, "WORKFLOW_NOT_FOUND")
