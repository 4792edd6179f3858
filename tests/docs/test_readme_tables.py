"""The tables of the README say what the code does."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from airflow_aitronos import exceptions
from airflow_aitronos._compat import AirflowFailException
from airflow_aitronos.client.settings import _OPTIONS
from airflow_aitronos.hooks.aitronos import AitronosHook
from tests.docs.readme import code_words, table
from tests.support.fault_server import FaultServer
from tests.support.replies import http

GOOD = {"assistant_id": "asst_1", "workflow_id": "flow_1", "message": "Operation completed successfully"}


def _status_rows() -> Iterator[tuple[int, str, str, str]]:
    for answers, end, requests, raised in table("the API answers"):
        for status in code_words(answers):
            yield int(status), end, requests, raised.strip("`")


@pytest.mark.parametrize(("status", "end", "requests", "raised"), list(_status_rows()))
def test_a_status_ends_as_the_table_says(
    status: int, end: str, requests: str, raised: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = 3
    body = None if status in (204, 304) or status < 200 else GOOD if status < 300 else b""
    with FaultServer([http(status, body)] * attempts) as server:
        connection = {"conn_type": "aitronos", "host": server.url, "password": "sk-CANARY-7f3a9c51e2d84b60"}
        monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", json.dumps(connection))
        with AitronosHook(max_attempts=attempts, max_backoff=0) as hook:
            if end.startswith("done"):
                result = hook.detach_assistant_workflow("asst_1")
                assert result["workflow_id"] == (None if "None" in end else "flow_1")
            else:
                with pytest.raises(getattr(exceptions, raised)) as caught:
                    hook.detach_assistant_workflow("asst_1")
                assert type(caught.value).__name__ == raised
                assert isinstance(caught.value, AirflowFailException) == end.startswith("stop")
    assert len(server.requests) == (attempts if requests == "`max_attempts`" else int(requests))


def test_the_tables_of_ends_name_every_error_but_the_ones_of_lost_answers() -> None:
    named = {
        word
        for heading in ("the API answers", "what happens")
        for row in table(heading)
        for word in code_words(row[3])
    }
    unknown = {name for name in named if name.startswith("Aitronos") and not hasattr(exceptions, name)}
    assert unknown == set()
    tree = {name for name, value in vars(exceptions).items() if name.startswith("Aitronos") and value}
    assert tree - named == {
        "AitronosError",  # the base
        "AitronosNotAttachedError",  # with the options of a detach
        "AitronosOutcomeUnknownError",  # when an answer is lost
        "AitronosUnsafeToRepeatError",  # below the tables
        "AitronosWorkflowMismatchError",  # with the options of a detach
        "AitronosWrongResourceError",  # between the tables
    }


def test_the_table_of_settings_is_complete_and_true() -> None:
    rows = {code_words(row[0])[0]: row for row in table("key")}
    assert list(rows) == list(_OPTIONS)
    for name, (_, default, legal, _) in rows.items():
        parse, real_default = _OPTIONS[name]
        assert json.loads(code_words(default)[0]) == real_default
        if " to " not in legal:
            assert parse("true") is True
            assert parse("false") is False
            continue
        lowest, highest = (float(bound) for bound in legal.split(" to "))
        whole = isinstance(real_default, int)
        for bound in (lowest, highest):
            assert parse(int(bound) if whole else bound) == bound
        for outside in (lowest - (1 if whole else 0.0005), highest + 1):
            with pytest.raises(ValueError, match=r"a (whole )?number"):
                parse(int(outside) if whole else outside)
