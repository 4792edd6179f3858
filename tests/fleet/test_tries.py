"""What a later try of the task does, by what the earlier ones have recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_aitronos.exceptions import AitronosError, AitronosNotFoundError, AitronosRateLimitError
from tests.fleet.conftest import NewRun, assistants, rows
from tests.support.task_state_store import Store

STORES = pytest.mark.parametrize("has_store", [True, False], ids=["store", "part files"])


@STORES
def test_a_later_try_does_only_what_is_left(new_run: NewRun, tmp_path: Path, has_store: bool) -> None:
    run = new_run(50, store=Store() if has_store else None)
    path = None if has_store else str(tmp_path / "report.jsonl")
    run.fault(status=500, path=".*fleet0001[0-4]/workflow", method="DELETE", times=5)
    with pytest.raises(AitronosError) as raised:
        run.detach(assistants(50), max_attempts=1, report_path=path)
    assert raised.value.outcome == "retryable"
    assert run.counts == {"detached": 45, "unknown": 5}
    before = len(run.server.requests)
    result = run.detach(assistants(50), max_attempts=1, report_path=path)
    assert result["counts"] == {"detached": 50}
    assert len(result["detached"]) == 50
    assert len(run.server.requests) - before == 10
    assert run.detach(assistants(50), max_attempts=1, report_path=path) == result
    assert len(run.server.requests) - before == 10


def test_the_tries_after_permanent_failures_do_the_rest_first(new_run: NewRun) -> None:
    run = new_run(30)
    run.fault(status=503, path=".*fleet00020/workflow", times=2, method="DELETE")
    ids = ["asst_unknown", *assistants(30)]
    for outcome in ("retryable", "retryable", "permanent"):
        with pytest.raises(AitronosError) as raised:
            run.detach(ids, max_attempts=1)
        assert raised.value.outcome == outcome
    assert isinstance(raised.value, AitronosNotFoundError)
    assert run.counts == {"not_found": 1, "detached": 30}
    assert len(run.sent("GET", 404)) == 1


def test_a_lost_response_is_resolved_by_a_read(new_run: NewRun) -> None:
    run = new_run(3)
    run.fault("reset", method="DELETE", skip=1, after_commit=True)
    with pytest.raises(AitronosError):
        run.detach(assistants(3), max_attempts=1, record_workflow=False)
    assert run.counts == {"detached": 2, "unknown": 1}
    result = run.detach(assistants(3), max_attempts=1, record_workflow=False)
    assert result["counts"] == {"detached": 3}
    assert len(run.sent("DELETE")) == 3
    assert [one.method for one in run.server.requests][-1] == "GET"


def test_a_process_that_was_killed_leaves_the_expected_ids_to_the_next_try(new_run: NewRun) -> None:
    run = new_run(3)
    record = run.context["task_state_store"].set
    killed: list[Any] = []

    def die_after_the_first_record(key: str, value: Any) -> None:
        if killed:
            raise SystemExit  # what this one would have recorded is lost
        killed.append(key)
        record(key, value)

    run.context["task_state_store"].set = die_after_the_first_record
    items = [
        {"assistant_id": one, "expected_workflow_id": one.replace("asst", "flow")} for one in assistants(3)
    ]
    with pytest.raises(SystemExit):
        run.detach(items)
    run.context["task_state_store"].set = record
    assert len(run.sent("DELETE", 200)) == 3
    ids = [row["workflow_id"] for row in run.detach(items)["detached"]]
    assert ids == ["flow_fleet00001", "flow_fleet00002", "flow_fleet00003"]
    assert len(run.sent("DELETE")) == 3


def test_what_was_only_intended_is_reported_as_probable(new_run: NewRun, tmp_path: Path) -> None:
    run, report = new_run(1), tmp_path / "report.jsonl"
    record = run.context["task_state_store"].set

    def die_after_a_record(key: str, value: Any) -> None:
        record(key, value)
        raise SystemExit

    run.context["task_state_store"].set = die_after_a_record
    items = [{"assistant_id": "asst_idle01", "expected_workflow_id": "flow_1"}, *assistants(1)]
    with pytest.raises(SystemExit):
        run.detach(items)
    run.context["task_state_store"].set = record
    assert run.server.requests == []
    run.detach(items, report_path=str(report))
    idle, linked = rows(report)
    assert (idle["outcome"], idle["workflow_id"]) == ("detached", "flow_1")
    assert "probably" in idle["message"]
    assert "probably" not in linked["message"]


def test_the_order_of_the_ids_does_not_matter(new_run: NewRun) -> None:
    run = new_run(25)
    result = run.detach(assistants(25))
    sent = len(run.server.requests)
    again = run.detach(assistants(25)[::-1])
    assert (again["counts"], len(run.server.requests)) == (result["counts"], sent)


class FailsOnce(Store):
    """A store whose third write fails."""

    def set(self, key: str, value: Any) -> None:
        if self.asked.count("set") == 2:
            self._ask("set")
            raise OSError("away for a moment")
        super().set(key, value)


@STORES
def test_a_store_that_fails_once_loses_no_id(new_run: NewRun, tmp_path: Path, has_store: bool) -> None:
    run = new_run(50, store=FailsOnce())
    path = None if has_store else str(tmp_path / "report.jsonl")
    run.fault(status=503, path=".*00045.*", times=9)
    with pytest.raises(AitronosError):
        run.detach(assistants(50), max_attempts=1, report_path=path)
    run.server.faults.clear()
    result = run.detach(assistants(50), max_attempts=1, report_path=path)
    assert len({row["workflow_id"] for row in result["detached"]} - {None}) == 50


def test_a_record_beside_the_report_that_cannot_be_read_prevents_the_first_request(
    new_run: NewRun, tmp_path: Path
) -> None:
    run = new_run(1)
    (tmp_path / "report.jsonl.aitronos_fleet_0").write_text("{")
    with pytest.raises(AitronosError, match="cannot be read") as raised:
        run.detach(assistants(1), report_path=str(tmp_path / "report.jsonl"))
    assert (raised.value.outcome, run.server.requests) == ("retryable", [])


def test_a_record_that_nobody_can_read_is_passed_over(new_run: NewRun) -> None:
    run = new_run(1, store=Store())
    run.context["task_state_store"]["aitronos_fleet_0"] = ["?"]
    assert run.detach(assistants(1))["counts"] == {"detached": 1}


@pytest.mark.parametrize("change", ["ids", "option", "clear", "run"])
@STORES
def test_what_is_another_run_starts_fresh(
    new_run: NewRun, tmp_path: Path, change: str, has_store: bool
) -> None:
    run = new_run(25, store=Store() if has_store else None)
    path = None if has_store else str(tmp_path / "report.jsonl")
    ids, ti = assistants(25), run.context["ti"]
    options: dict[str, Any] = {"report_path": path}
    run.detach(ids, **options)
    before = len(run.server.requests)
    if change == "ids":
        ids.append("asst_idle01")
    elif change == "option":
        options["record_workflow"] = False
    elif change == "clear":
        ti.max_tries += 4
    else:
        ti.run_id = "another"
    assert set(run.detach(ids, **options)["counts"]) == {"not_attached"}
    assert len(run.server.requests) > before


@pytest.mark.parametrize("broken", ["get", "set"])
def test_a_store_that_is_down_stops_nothing(new_run: NewRun, broken: str) -> None:
    run = new_run(25, store=Store(broken))
    assert run.detach(assistants(25))["counts"] == {"detached": 25}
    assert sum("from the top" in line for line in run.log.texts()) == 1
    assert run.detach(assistants(25))["counts"] == {"not_attached": 25}


def test_a_store_that_is_down_is_replaced_by_part_files(new_run: NewRun, tmp_path: Path) -> None:
    run = new_run(50, store=Store(), requests_per_day=70)
    path = str(tmp_path / "report.jsonl")
    store = run.context["task_state_store"]
    answer = run.server.answer

    def break_the_store(request: Any) -> Any:
        if len(run.server.requests) == 60:
            store.broken = {"set"}
        return answer(request)

    run.server.answer = break_the_store  # type: ignore[method-assign]
    with pytest.raises(AitronosRateLimitError):
        run.detach(assistants(50), report_path=path)
    assert run.counts == {"detached": 35, "not_tried": 15}
    store.broken = set()
    run.clock.advance(86_400)
    assert run.detach(assistants(50), report_path=path)["counts"] == {"detached": 50}
    assert len(run.sent("DELETE", 200)) == 50


def test_without_store_and_report_a_line_says_so(new_run: NewRun) -> None:
    run = new_run(2, store=None)
    run.detach(assistants(2))
    assert any("neither a task state store" in line for line in run.log.texts())
