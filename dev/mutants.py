"""
Break each guard of the package in turn, and expect a test to go red.

Works on a copy of the repository in ``.airflow-mutants``, which is removed at the end. A mutant whose old
text does not occur exactly once is an error: the table below has to follow the code. Ends with exit code 1
when a mutant survives.

Usage: python dev/mutants.py [text that guard or file must contain]
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

REPOSITORY = Path(__file__).resolve().parent.parent
WORK = REPOSITORY / ".airflow-mutants"
COPIED = ("airflow_aitronos", "tests", "example_dags", "dev", "pyproject.toml", "README.md", "Makefile")
WORKERS = 2
LIMIT = 300
"""Seconds for the tests of one mutant; one that hangs is killed, too."""

GUARDS = "tests/wire/test_transport_guards.py"
CONNECTING = "tests/wire/test_connecting.py"
CASES = "tests/wire/test_wire_cases.py"
GUARDED = "tests/wire/test_guarded_detach.py"
POLICY = "tests/unit/test_retry_policy.py"
RUNS = "tests/task_runs/test_guard.py"
MEMORY = "tests/task_runs/test_memory.py"
CALLS = "tests/wire/test_workflow_calls.py"
OPERATORS = "tests/task_runs/test_workflow_operators.py"


@dataclass(frozen=True)
class Mutant:
    """
    One way to break a guard.

    :param guard: what is broken.
    :param file: below ``airflow_aitronos``.
    :param old: text that occurs once in the file.
    :param new: what stands there instead.
    :param tests: what has to notice, for pytest.
    """

    guard: str
    file: str
    old: str
    new: str
    tests: str


def client(guard: str, module: str, old: str, new: str, tests: str) -> Mutant:
    """
    Return a mutant of a module in ``client/``.

    :param guard: what is broken.
    :param module: name of the module.
    :param old: text that occurs once in it.
    :param new: what stands there instead.
    :param tests: what has to notice, for pytest.
    """
    return Mutant(guard, f"client/{module}.py", old, new, tests)


MUTANTS = [
    client("redirects", "transport", "        return None\n", "        return super().get_redirect_target(resp)\n", GUARDS),
    client("redirects", "envelope", "if 300 <= status < 400:", "if 300 <= status < 302:", CASES),
    client(".netrc", "transport", "auth=self._settings.auth,", "auth=requests.utils.get_netrc_auth(expected),", GUARDS),
    client(".netrc", "transport", "        session.auth = self._settings.auth\n", "", GUARDS),
    client("origin of the key", "auth", "!= self._origin:", '== "":', f"{GUARDS} tests/unit/test_auth.py"),
    client("origin of the key", "auth", "_origin_of(request.url or \"\") != self._origin", "not (request.url or \"\").startswith(self._origin)", GUARDS),
    client("predicate", "retry", "isinstance(outcome, Failure) and outcome.transient", "isinstance(outcome, Failure)", CASES),
    client("predicate", "envelope", "*range(520, 525)", "501, 505, *range(520, 525)", CASES),
    client("size cap", "body", "if len(body) > BODY_LIMIT:", "if False:", GUARDS),
    client("size cap", "exchange", "if self._bytes_left < 0:", "if False:", CASES),
    client("deadline", "clock", "return self._end - self._clock.monotonic()", "return 60.0", CASES),
    client("deadline", "adapter", "            self._socket.settimeout(exchange.timeout(self._read_timeout))\n", "", CASES),
    client("deadline", "retry", "if state.upcoming_sleep >= left:", "if False:", CASES),
    client("deadline", "adapter", "self.timeout = exchange.timeout(longest)", "self.timeout = timeout or 30", CONNECTING),
    client("deadline", "adapter", "            self.sock.settimeout(exchange.timeout(self.timeout or math.inf))\n", "            pass\n", CASES),
    client("headers", "adapter", "if self._reader.has_ended and needs_body(self.status):", "if False:", CASES),
    client("headers", "adapter", '        self.msg.set_payload("")\n', "        pass\n", CASES),
    client("headers", "adapter", "            del self.msg[name]\n", "            pass\n", CASES),
    client("id check", "ids", "_ID.fullmatch(stripped)", "_ID.match(stripped)", "tests/unit/test_ids.py tests/unit/test_input_cases.py"),
    client("id check", "ids", " or stripped.lower() in _WORDS_FOR_NOTHING:", ":", "tests/unit/test_input_cases.py"),
    client("last look", "transport", "== _without_query(on_the_wire) == expected", "!= None", GUARDS),
    client("last look", "transport", "_without_query(prepared.url or \"\") == _without_query(on_the_wire) == expected", "_without_query(prepared.url or \"\") == expected", GUARDS),
    client("masking", "settings", "        self._mask_secret(self._key)\n", "        self._mask_secret(self._connection.password or \"\")\n", "tests/unit"),
    client("masking", "settings", '(self._connection.password or "").strip()', 'self._connection.password or ""', "tests/unit"),
    client("masking", "safe_text", 'mask.beginnings(mask(_ANSI.sub("", text)))', '_ANSI.sub("", mask.beginnings(mask(text)))', "tests/unit/test_safe_text.py"),
    client("masking", "safe_text", "mask.beginnings(mask(_ANSI.sub(\"\", text)))", "mask(_ANSI.sub(\"\", text))", CASES),
    client("masking", "safe_text", "return masked if mask(whole) == whole else _masked(whole, mask)", "return masked", "tests/unit/test_safe_text.py"),
    client("masking", "mask", "        if text in self._known:\n            return text\n        for secret in self._secrets:\n            text = secret.masked", "        for secret in self._secrets:\n            text = secret.masked", "tests/unit/test_connection_cases.py -k a_key_that"),
    client("masking", "mask", " - {secret.value for secret in self._secrets}", "", "tests/unit/test_connection_cases.py -k a_key_that"),
    Mutant("masking", "operators/_audit.py", "shown_id(value) if name in _SUBJECT else ", "", "tests/unit/test_input_cases.py"),
    client("cut replies", "reply", " or status == 404\n", "\n", CASES),
    client("cut replies", "reply", "    return status == 404\n", "    return False\n", CASES),
    client("cut replies", "body", "if unpacker and has_begun and not unpacker.eof:", "if False:", CASES),
    client("no attempts below", "transport", 'session.mount("http://", DeadlineAdapter())', 'session.mount("http://", DeadlineAdapter(max_retries=1))', CASES),
    client("no attempts below", "transport", 'session.mount("https://", DeadlineAdapter())', 'session.mount("https://", DeadlineAdapter(max_retries=1))', CASES),
    client("masking", "mask", "            text = text.replace(form, \"***\")\n", "            pass\n", CASES),
    client("envelope on 200", "envelope", "(body.get(\"success\", True) is not True or envelope)", "False", CASES),
    client("envelope on 200", "envelope", "status = _sane_status(envelope.get(\"status\"))", "status = None", CASES),
    client("ambiguous flag", "call", "self._ambiguous = self._ambiguous or outcome.maybe_done", "pass", CASES),
    client("ambiguous flag", "call", "self._ambiguous = self._ambiguous or outcome.maybe_done", "self._ambiguous = True", CASES),
    client("ambiguous flag", "envelope", "status >= 500 or status == 408", "False", CASES),
    client("what was sent", "exchange", "        self.is_sent = False\n", "        self.is_sent = True\n", CASES),
    client("what was sent", "exchange", "self._has_begun = self.is_sent = True", "self._has_begun = True", CASES),
    client("cancel flag", "call", "        if self._client.is_cancelled():\n            return told_to_stop(\"nothing more was sent\")\n        self._attempts", "        self._attempts", GUARDS),
    client("cancel flag", "retry", "while not is_cancelled() and (left", "while (left", "tests/unit/test_retry.py"),
    client("cancel flag", "exchange", "if self.is_cancelled() or self", "if self", CONNECTING),
    client("cancel flag", "call", "            outcome = self._stopped(outcome)\n", "            pass\n", GUARDS),
    client("not to be repeated", "call", "if not self._operation.idempotent and outcome.maybe_done:", "if False:", CASES),
    client("not to be repeated", "operation", 'IDEMPOTENT_METHODS = frozenset({"GET", "DELETE"})', 'IDEMPOTENT_METHODS = frozenset({"GET", "DELETE", "POST"})', CASES),
    client("Retry-After", "retry", "if asked is not None and asked > settings.max_retry_after:", "if False:", CASES),
    client("Retry-After", "retry", "return asked + random.uniform", "return random.uniform", CASES),
    client("Retry-After", "retry_after", '[0-9]+(?:\\.[0-9]+)?")', '\\d+(?:\\.\\d+)?")', "tests/unit/test_retry_after.py"),
    client("another assistant", "detach", "if answered is not None and answered != self.rules.assistant_id:", "if False:", CASES),
    client("another assistant", "detach", 'if found.get("id") != assistant_id:', "if False:", CASES),
    client("settling a 404", "detach", "if linked := linked_in(found):", "if linked := []:", CASES),
    client("settling a 404", "detach", "        if ambiguous:\n", "        if True:\n", CASES),
    client("http://", "settings", 'base_url.scheme == "https" or base_url.is_loopback or allow_http', "True", "tests/unit"),
    client("http://", "environment", "{} if settings.base_url.is_loopback else ", "", CONNECTING),
    client("Extra", "settings", "if unknown := sorted(set(extra) - set(_OPTIONS)):", "if unknown := []:", "tests/unit"),
    client("Extra", "settings", "        if is_broken:  #", "        if False:  #", "tests/unit"),
    client("no request in errors", "transport", "raise error.with_traceback(None)", "raise", f"{GUARDS} {CASES} {CONNECTING}"),
    client("no request in errors", "settings", "    del connection\n", "", CONNECTING),
    client("connections", "transport", "if response.status_code < 200:", "if False:", GUARDS),
    client("connections", "adapter", "                    pool.close()\n", "                    pass\n", CASES),
    Mutant("cancel flag", "operators/_base.py", "                hook.cancel()\n", "                pass\n", "tests/task_runs/test_interruptions.py -k before_the_start"),
    Mutant("cancel flag", "operators/_base.py", "            self._hook.cancel()\n", "            pass\n", GUARDS),
    client("guard", "detach", "if not self.rules.reads_link:", "if True:", GUARDED),
    client("guard", "detach_rules", 'if wanted is not None and found["id"] != wanted:', "if False:", GUARDED),
    client("guard", "detach", "if workflow_id is not None and wanted is not None and workflow_id != wanted:", "if False:", GUARDED),
    client("guard", "detach_rules", " or self.expected_workflow_id is not None\n", "\n", GUARDED),
    client("guard", "links", "is_api_404(failure) or names", "False or names", f"{GUARDED} tests/wire/test_workflow_calls.py"),
    client("guard", "call", "        if isinstance(ready, Done | Failure):\n            return ready\n", "", GUARDED),
    Mutant("guard", "operators/_given.py", 'how == "given" or', "False or", GUARDED),
    Mutant("guard", "operators/_given.py", 'or (how == "None" and is_mapped)', "", RUNS),
    client("guard", "call", "if self._operation.sending():", "if self._operation.sending() and False:", GUARDED),
    client("guard", "detach", " and self.rules.expected_workflow_id is not None\n", "\n", GUARDED),
    client("nothing linked", "detach_rules", 'if self.if_not_attached == "fail":', "if False:", GUARDED),
    client("nothing linked", "detach", "if says_none and known is None and not ambiguous:", "if says_none and known is None:", GUARDED),
    client("nothing linked", "detach_rules", "return self.taken_off_before(known) if ambiguous else self.not_attached()", "return self.not_attached()", GUARDED),
    client("nothing linked", "detach", "is_api_404(failure) and names_the_link(failure)", "is_api_404(failure)", CASES),
    client("outcome of a read", "detach", ", maybe_done=False)", ")", GUARDED),
    client("outcome of a read", "messages", "facts.ambiguous and not failure.settles", "facts.ambiguous", GUARDED),
    Mutant("memory", "operators/_memory.py", "            self.was_sent = True\n", "", MEMORY),
    Mutant("memory", "operators/_memory.py", 'self._ask("written", "set", KEY, note)', "(True, None)", MEMORY),
    Mutant("memory", "operators/_memory.py", "        if _is_known(error):\n", "        if True:\n", MEMORY),
    Mutant("memory", "operators/_memory.py", "        if _is_known(error):\n", "        if False:\n", MEMORY),
    Mutant("memory", "operators/_memory.py", "        self._forget()\n\n    def __exit__", "        pass\n\n    def __exit__", GUARDED),
    Mutant("sent once", "operators/_memory.py", "    store.set(ONCE_KEY, intent)\n", "", OPERATORS),
    Mutant("sent once", "operators/_memory.py", "if store.get(ONCE_KEY) is not None:", "if False:", OPERATORS),
    Mutant("sent once", "operators/_memory.py", "    except AitronosError:\n        _remove_mark(store, hook.log)\n", "    except AitronosError:\n", OPERATORS),
    client("stopped task", "call", "            if not self._operation.idempotent:\n                # Airflow", "            if False:\n                # Airflow", CALLS),
    client("stopped task", "call", "maybe_done=self._is_sent, settles=True", "settles=True", GUARDED),
    Mutant("retry policy", "operators/_base.py", "            self.retry_policy = policy()\n", "            pass\n", POLICY),
    Mutant("retry policy", "operators/_base.py", 'getattr(self, "retry_policy", None) is None', "True", POLICY),
    Mutant("retry policy", "retry_policy.py", "max(exception.retry_after, own)", "exception.retry_after", POLICY),
    Mutant("retry policy", "retry_policy.py", "min(wait * random.uniform(1, 1 + _JITTER), LONGEST_DELAY)", "wait * random.uniform(1, 1 + _JITTER)", POLICY),
    Mutant("retry policy", "retry_policy.py", " or isinstance(exception, AirflowFailException)", "", POLICY),
]  # fmt: skip


def main() -> int:
    """Try all mutants, print what became of each, and return the exit code."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    mutants = [one for one in MUTANTS if wanted in one.guard or wanted in one.file]
    copies: Queue[Path] = Queue()
    try:
        for number in range(WORKERS):
            copies.put(_copy(WORK / str(number)))
        with ThreadPoolExecutor(WORKERS) as pool:
            ends = list(pool.map(lambda mutant: _try(mutant, copies), mutants))
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
    survivors = ends.count(None)
    print(f"{len(mutants)} mutants, {survivors} survived")
    return 1 if survivors else 0


def _copy(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def _try(mutant: Mutant, copies: Queue[Path]) -> str | None:
    """Return the test that killed a mutant, None if it survived."""
    folder = copies.get()
    path = folder / "airflow_aitronos" / mutant.file
    text = path.read_text(encoding="utf-8")
    try:
        if text.count(mutant.old) != 1:
            raise ValueError(f"{mutant.file} has {mutant.old!r} {text.count(mutant.old)} times, not once")
        path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        killer = _first_failure(folder, mutant.tests)
    finally:
        path.write_text(text, encoding="utf-8")
        copies.put(folder)
    print(f"{mutant.guard:<22} {mutant.file:<28} {killer or 'SURVIVED: ' + mutant.new.strip()}", flush=True)
    return killer


def _first_failure(folder: Path, tests: str) -> str | None:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "--tb=no",
        *tests.split(),
    ]
    try:
        finished = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return "(the tests hang)"
    if finished.returncode == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) \S*?(?:::(\S+))?(?: |$)", finished.stdout, re.MULTILINE)
    return (found[1] if found else None) or finished.stdout[-200:].strip()


if __name__ == "__main__":
    sys.exit(main())
