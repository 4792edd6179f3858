"""
Break one behaviour of the package after the other, and expect a test to go red for each.

A mutant is a function that patches the package in the running tests, so that it survives a refactoring: this
module is its own pytest plugin. Ends with exit code 1 if a mutant survives, or the tests are red without one.

Usage: python dev/mutants.py [text that the behaviour contains]
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
VARIABLE = "AITRONOS_MUTANT"
LIMIT = 300
"""Seconds for the tests of one mutant; one that hangs is killed, too."""

CASES = "tests/wire/test_wire_cases.py"
OUTCOMES = "tests/wire/test_call_outcomes.py"
TRANSPORT = "tests/wire/test_transport.py"
CONNECTING = "tests/wire/test_connecting.py"
DETACH = "tests/wire/test_expected_workflow.py"
CONNECTIONS = "tests/unit/test_connection_cases.py"
INPUT = "tests/unit/test_input_cases.py"
ARGUMENTS = "tests/unit/test_arguments.py"
STATE = "tests/unit/test_try_state.py"
DEADLINE = "tests/unit/test_deadline.py"
SANITIZE = "tests/unit/test_sanitize.py"
NETWORK = "tests/unit/test_network_errors.py"
POLICY = "tests/unit/test_retry_policy.py"


MUTANTS: dict[str, tuple[Callable[[], None], tuple[str, ...]]] = {}
"""For each behaviour what breaks it, and the files of tests that have to go red, each of them."""


def breaks(behaviour: str, *tests: str) -> Callable[[Callable[[], None]], None]:
    """Add a function that patches the package to the mutants."""

    def add(patch: Callable[[], None]) -> None:
        MUTANTS[behaviour] = (patch, tests)

    return add


def package(name: str) -> Any:
    """Return a module of the package."""
    return importlib.import_module(f"airflow_aitronos.{name}")


def always(value: object) -> Any:
    """Return a function that returns a value, whatever it gets."""
    return lambda *_, **__: value


def patched(module: str, name: str, make: Callable[[Any], Any]) -> None:
    """Replace a function or class of the package wherever it was imported; ``make`` gets the original."""
    original = getattr(package(module), name)
    mutant = make(original)
    for one in list(sys.modules.values()):
        if getattr(one, "__name__", "").startswith("airflow_aitronos") and vars(one).get(name) is original:
            setattr(one, name, mutant)


@breaks("redirects are not followed", TRANSPORT)
def _() -> None:
    session = package("client.http").SafeSession
    parent = session.__mro__[1]
    session.get_redirect_target = parent.get_redirect_target
    session.send = lambda self, request, **how: parent.send(self, request, **{**how, "allow_redirects": True})


@breaks("the key goes to its own origin only", TRANSPORT)
def _() -> None:
    auth = package("client.auth").ApiKeyAuth
    send = auth.__call__

    def to_any(self: Any, request: Any) -> Any:
        self._origin = "/".join((request.url or "").split("/")[:3])
        return send(self, request)

    auth.__call__ = to_any


@breaks("only an error of ours is retried", TRANSPORT)
def _() -> None:
    patched("client.api_call", "retry_if_exception", lambda original: lambda _: original(always(True)))


@breaks("a call that must not be repeated is sent once", STATE)
def _() -> None:
    call = package("client.api_call").Call
    init = call.__init__
    call.__init__ = lambda self, *args, **how: init(self, *args, **{**how, "repeatable": True})


@breaks("a long body is not read to its end", TRANSPORT)
def _() -> None:
    for name in ("settings", "http", "responses"):
        package(f"client.{name}").BODY_LIMIT = 1 << 30


@breaks("total_timeout ends a call", DEADLINE)
def _() -> None:
    package("client.deadline").Deadline.remaining = always(60.0)


@breaks("a frozen clock ends a wait", DEADLINE)
def _() -> None:
    package("client.deadline").Deadline.elapsed = lambda self: self._clock.monotonic() - self._start


@breaks("a wait ends when the task is cancelled", DEADLINE, TRANSPORT)
def _() -> None:
    deadline = package("client.deadline").Deadline
    sleep = deadline.sleep
    deadline.sleep = lambda self, seconds, _: sleep(self, seconds, always(False))


@breaks("what the server asks to wait is waited", f"{CASES} -k H2")
def _() -> None:
    patched("client.retry", "asked_wait", lambda _: always(None))


@breaks("a 501 is not retried", f"{OUTCOMES} -k H20")
def _() -> None:
    patched("client.responses", "RETRIED_STATUSES", lambda original: original | {501, 505})


@breaks("a lost response leaves the outcome unknown", f"{OUTCOMES} -k N5", STATE)
def _() -> None:
    package("client.api_call").Call.maybe_done = property(always(False), always(None))


@breaks("without a lost response the outcome is known", DETACH)
def _() -> None:
    package("client.api_call").Call.maybe_done = property(always(True), always(None))


@breaks("a request that may have arrived counts as such", NETWORK, f"{OUTCOMES} -k N5")
def _() -> None:
    def never_arrived(original: Any) -> Any:
        def judge(*args: Any, **how: Any) -> Any:
            error = original(*args, **how)
            error.maybe_done = False
            return error

        return judge

    patched("client.network_errors", "network_error", never_arrived)


@breaks("an exception in the caller's context does not count", NETWORK)
def _() -> None:
    def with_context(original: Any) -> Any:
        def chain(error: BaseException) -> Any:
            while error is not None:
                yield from original(error)
                error = error.__context__  # type: ignore[assignment]  # None ends it

        return chain

    patched("client.network_errors", "_chain", with_context)


@breaks("a 404 that says nothing is resolved with a GET", f"{OUTCOMES} -k H28")
def _() -> None:
    patched("client.workflows", "read_assistant_link", lambda _: always("none"))


@breaks("only the expected workflow is detached", DETACH)
def _() -> None:
    def drop(original: Any) -> Any:
        return lambda *args, **how: replace(original(*args, **how), expected_workflow_id=None)

    patched("client.detach", "Wanted", drop)


@breaks("an id is checked", INPUT, ARGUMENTS)
def _() -> None:
    patched("client.validation", "check_id", lambda _: lambda *args: str(args[1]))


@breaks("literals are checked when the DAG is parsed", INPUT, ARGUMENTS)
def _() -> None:
    patched("client.validation", "is_literal", lambda _: always(False))


@breaks("an id that rendered to nothing is not left out", ARGUMENTS)
def _() -> None:
    patched("operators.base", "check_rendered", lambda _: always(None))


@breaks("Airflow masks the key", CONNECTIONS)
def _() -> None:
    package("hooks.aitronos").mask_secret = always(None)


@breaks("the key is redacted", SANITIZE, f"{OUTCOMES} -k H48")
def _() -> None:
    package("client.sanitize").Redactor.__call__ = lambda *args: args[1]


@breaks("text from outside is one printable line", SANITIZE, f"{OUTCOMES} -k H48")
def _() -> None:
    patched("client.sanitize", "safe_text", lambda _: lambda value, redact=str, **_how: redact(str(value)))


@breaks("XCom gets no NUL and no NaN", SANITIZE, f"{OUTCOMES} -k H44")
def _() -> None:
    patched("client.sanitize", "json_safe", lambda _: lambda *args, **_how: args[0])


@breaks("http:// needs a permission", CONNECTIONS)
def _() -> None:
    package("client.settings").BaseUrl.is_loopback = True


@breaks("no proxy is asked for this machine", CONNECTING)
def _() -> None:
    package("client.settings").BaseUrl.is_loopback = False


@breaks("certificates are verified", CONNECTIONS)
def _() -> None:
    session = package("client.http").SafeSession
    send = session.send
    session.send = lambda self, request, **how: send(self, request, **{**how, "verify": False})


@breaks("tests can limit the origins", CONNECTIONS)
def _() -> None:
    package("client.validation").ALLOWED_ORIGINS = "ANOTHER_VARIABLE"


@breaks("on_kill stops the task's calls", TRANSPORT)
def _() -> None:
    package("operators.base").AitronosOperator.on_kill = always(None)


@breaks("a result is recorded for a later try", STATE)
def _() -> None:
    package("operators.try_state").TryState.done = lambda self, result: setattr(self, "result", result)


@breaks("what is about to be sent is recorded", STATE)
def _() -> None:
    def keep(self: Any, workflow: Any = None) -> None:
        self.workflow = workflow

    package("operators.try_state").TryState.sending = keep


@breaks("a cleared task starts fresh", STATE)
def _() -> None:
    state = package("operators.try_state").TryState
    init = state.__init__

    def same(self: Any, context: Any, *args: Any, **how: Any) -> None:
        init(self, {**context, "ti": SimpleNamespace(max_tries=0)}, *args, **how)

    state.__init__ = same


@breaks("a task comes back no earlier than asked", POLICY)
def _() -> None:
    package("retry_policy").random = SimpleNamespace(uniform=always(0.9))


def pytest_configure() -> None:
    """Patch the package, as a plugin of pytest; the environment variable names the mutant."""
    for part in ("client", "operators", "hooks", "sensors"):
        for module in pkgutil.iter_modules(package(part).__path__, f"airflow_aitronos.{part}."):
            importlib.import_module(module.name)
    if wanted := os.environ.get(VARIABLE):
        MUTANTS[wanted][0]()


def main() -> int:
    """Try all mutants, print what became of each, and return the exit code."""
    wanted = [one for one in MUTANTS if sys.argv[1:] == [] or sys.argv[1] in one]
    jobs = [(one, tests) for one in wanted for tests in MUTANTS[one][1]]
    with ThreadPoolExecutor(2) as pool:
        codes = list(pool.map(lambda tests: _run("", tests), sorted({tests for _, tests in jobs})))
        codes += [1 - code for code in pool.map(lambda job: _run(*job), jobs)]
    surprises = len(codes) - codes.count(0)
    print(f"{len(wanted)} mutants; {surprises} times the tests were red without one, or not red with one")
    return 1 if surprises else 0


def _run(behaviour: str, tests: str) -> int:
    """Return pytest's exit code: 0 for green, 1 for red, another one if the tests did not even run."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "dev.mutants"]
    how: Any = {"cwd": REPOSITORY, "env": {**os.environ, VARIABLE: behaviour}, "capture_output": True}
    try:
        code = subprocess.run([*command, *tests.split()], timeout=LIMIT, check=False, **how).returncode
    except subprocess.TimeoutExpired:
        code = 1
    end = {0: "green", 1: "red"}.get(code, f"exit code {code}")
    print(f"{behaviour or '(nothing)':<55} {tests:<45} {end}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
