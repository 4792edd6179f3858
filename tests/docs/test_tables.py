"""The tables of the README and the pages say what the code does, and the texts stay short."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_aitronos import exceptions
from airflow_aitronos.client.settings import OPTIONS
from airflow_aitronos.exceptions import AitronosError
from airflow_aitronos.hooks.aitronos import AitronosHook
from tests.docs.pages import DOCS, README, code_words, rows
from tests.support.fault_server import FaultServer
from tests.support.replies import http

GOOD = {"assistant_id": "asst_1", "workflow_id": "flow_1", "message": "Operation completed successfully"}
OUTCOMES = DOCS / "explanation" / "outcomes.md"
ATTEMPTS = 3


def _statuses() -> Iterator[tuple[str, int, list[str]]]:
    for page in (README, OUTCOMES):
        for row in rows(page, "What comes"):
            for first, last in re.findall(r"\b([1-5][0-9]{2})\b(?: to ([1-5][0-9]{2}))?", row[0]):
                for status in range(int(first), int(last or first) + 1):
                    yield page.stem, status, row


@pytest.mark.parametrize(("page", "status", "row"), list(_statuses()), ids=str)
def test_a_status_has_the_outcome_of_its_row(
    page: str, status: int, row: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = None if status == 204 else GOOD if status < 300 else b""
    error: AitronosError | None = None
    with FaultServer([http(status, body)] * ATTEMPTS) as server:
        connection = {"conn_type": "aitronos", "host": server.url, "password": "sk-CANARY-7f3a9c51e2d84b60"}
        monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", json.dumps(connection))
        with AitronosHook(max_attempts=ATTEMPTS, max_backoff=0) as hook:
            try:
                hook.detach_assistant_workflow("asst_1")
            except AitronosError as raised:
                error = raised
    assert (error.outcome if error else "success") in row[1]
    assert len(server.requests) == (ATTEMPTS if row[2].startswith("up to") else 1)
    if len(row) > 3:
        assert code_words(row[3]) == ([type(error).__name__] if error else [])


def test_every_error_has_one_row_with_its_outcome() -> None:
    tree = {
        name: value("cause").outcome
        for name, value in vars(exceptions).items()
        if inspect.isclass(value) and issubclass(value, AitronosError) and value is not AitronosError
    }
    page = rows(DOCS / "reference" / "errors.md", "Class")
    assert [code_words(row[0]) for row in page] == [[name] for name in tree]
    assert [row[1] for row in page] == list(tree.values())
    assert all(len(row) == 4 and row[2] and row[3] for row in page)


def test_the_table_of_settings_is_complete_and_true() -> None:
    page = {code_words(row[0])[0]: row for row in rows(DOCS / "reference" / "connection.md", "Key")}
    assert list(page) == list(OPTIONS)
    for name, (_, default, legal, _) in page.items():
        real_default, parse = OPTIONS[name]
        assert json.loads(code_words(default)[0]) == real_default
        if " to " not in legal:
            assert [parse(True), parse(False)] == [True, False]
            continue
        lowest, highest = (float(bound) for bound in legal.split(" to "))
        whole = isinstance(real_default, int)
        for bound in (lowest, highest):
            assert parse(int(bound) if whole else bound) == bound
        for outside in (lowest - (1 if whole else 0.0005), highest + 1):
            with pytest.raises(ValueError, match=r"a (whole )?number"):
                parse(int(outside) if whole else outside)


def test_a_stranger_can_read_it_to_the_end() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150
    assert sum(_words(page) for page in DOCS.rglob("*.md")) <= 6000


def _words(page: Path) -> int:
    """Return how many words of a page a reader sees: neither the menu's paths nor comments."""
    text = re.sub(r":::{toctree}.*?:::|<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return sum(any(map(str.isalnum, word)) for word in text.split())
