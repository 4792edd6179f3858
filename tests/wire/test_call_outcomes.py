"""
All that can be seen of each call of the hook, next to what `call_outcomes.txt` says it has to be.

A class alone lets a wrong fact or a useless text pass. The record is read like any other text of the
package: `REWRITE_OUTCOMES=1 python -m pytest tests/wire/test_call_outcomes.py` writes it anew, and the diff
shows what that changes for the person who is paged.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Callable
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest

from airflow_aitronos.exceptions import AitronosError
from airflow_aitronos.hooks.aitronos import AitronosHook
from tests.support.airflow_versions import AirflowSkipException
from tests.support.fake_clock import FakeClock
from tests.support.fault_server import FaultServer
from tests.wire.outcome_cases import cases
from tests.wire.runner import check_error, check_json, connect, shows_key

RECORD = Path(__file__).with_name("call_outcomes.txt")
REWRITE = "REWRITE_OUTCOMES" in os.environ
CASES = {name: (call, replies) for name, call, replies in cases()}

INTERNAL = {"cause", "fix", "may_pass_now", "has_envelope"}
"""Attributes that say nothing beyond the error's text and outcome."""

_VARIES = [
    (re.compile(r"http://127\.0\.0\.1:\d+"), "http://…"),
    (re.compile(r"\d+\.\d+ s\b"), "… s"),  # waits are random
    (
        re.compile(r"(response was complete|cannot be read) \(\w+\)"),
        r"\1 (…)",
    ),  # the class of a library's exception
]


class Story:
    """Stand in for the hook's logger, and tell requests and log lines in their order."""

    def __init__(self, server: FaultServer) -> None:
        self._server, self._told, self.lines = server, 0, list[str]()

    def catch_up(self) -> None:
        """Tell the requests that have arrived since."""
        for request in self._server.requests[self._told :]:
            self.lines.append(f"-> {request.method} {request.path} {request.body.decode()}".rstrip())
        self._told = len(self._server.requests)

    def forget(self) -> None:
        """Leave out what has happened so far."""
        self.catch_up()
        self.lines.clear()

    def _log(self, level: str, event: str, *args: object) -> None:
        self.catch_up()
        self.lines.append(f"{level} {event % args if args else event}")

    info = partialmethod(_log, "INFO")
    warning = partialmethod(_log, "WARNING")
    error = partialmethod(_log, "ERROR")


def play(name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a call, and return its paragraph."""
    call, replies = CASES[name]
    hook = AitronosHook()
    server = FaultServer(replies(hook) if callable(replies) else replies)
    with server, hook, monkeypatch.context() as patch:
        story = Story(server)
        connect(patch, server.url)
        patch.setattr(AitronosHook, "clock", FakeClock())
        patch.setattr(AitronosHook, "log", story)
        end = end_of(call, hook, story)
    text = "\n".join([f"## {name}", *story.lines, *end])
    for pattern, instead in _VARIES:
        text = pattern.sub(instead, text)
    assert not shows_key(text)
    assert "CANARY-pw" not in text
    assert "unscripted" not in text
    return text


def end_of(call: Callable[[AitronosHook], Any], hook: AitronosHook, story: Story) -> list[str]:
    try:
        value = call(hook)
    except AitronosError as error:
        check_error(error)
        story.catch_up()
        return told_error(error)
    except AirflowSkipException as error:
        return [f"skips: {error}"]
    check_json(value)
    story.catch_up()
    return [f"returns {json.dumps(value, ensure_ascii=False)}"]


def told_error(error: AitronosError) -> list[str]:
    """Return the text, and the facts that say anything."""
    facts = [
        f"{name}={fact!r}"
        for name, fact in vars(error).items()
        if fact is not None and fact is not False and name not in INTERNAL
    ]
    return [f"says {error}", f"raises {type(error).__name__}, {error.outcome}: {', '.join(facts)}"]


def recorded() -> dict[str, str]:
    paragraphs = RECORD.read_text(encoding="utf-8").rstrip("\n").split("\n\n")
    return {text.partition("\n")[0].removeprefix("## "): text for text in paragraphs}


@pytest.mark.skipif(REWRITE, reason="the record is written anew")
@pytest.mark.parametrize("name", CASES)
def test_the_outcome_is_the_recorded_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    was, now = recorded().get(name, ""), play(name, monkeypatch)
    diff = difflib.unified_diff(was.split("\n"), now.split("\n"), "recorded", "now", lineterm="")
    if was != now:
        pytest.fail("\n".join(diff), pytrace=False)


def test_the_record_holds_every_case_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    if REWRITE:
        RECORD.write_text("\n\n".join(play(name, monkeypatch) for name in CASES) + "\n", encoding="utf-8")
    assert list(recorded()) == list(CASES)
