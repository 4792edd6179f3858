"""What becomes of each assistant, and of the task, when something in the middle goes wrong."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_aitronos._compat import AirflowSkipException
from airflow_aitronos.exceptions import (
    AitronosAuthenticationError,
    AitronosCancelledError,
    AitronosConfigurationError,
    AitronosError,
    AitronosInputError,
    AitronosNetworkError,
    AitronosNotAttachedError,
    AitronosNotFoundError,
    AitronosPermissionError,
)
from airflow_aitronos.operators.fleet import DetachAssistantWorkflowsOperator
from tests.fleet.conftest import NewRun, assistants, rows
from tests.support.airflow_versions import AirflowTaskTimeout
from tests.support.fault_server import FaultServer, Reply
from tests.support.faults import Call, Hang, Reset
from tests.support.replies import http
from tests.support.task_state_store import Store
from tests.wire.runner import connect

LINK = "/v1/assistants/{}/workflow"


def test_the_result_and_the_report_have_every_id(new_run: NewRun, tmp_path: Path) -> None:
    run = new_run(3)
    path = tmp_path / "new folder" / "report.jsonl"
    result = run.detach([*assistants(3), "asst_idle01", " asst_fleet00001 "], report_path=str(path))
    detached = [
        {"assistant_id": one, "workflow_id": one.replace("asst", "flow"), "outcome": "detached"}
        for one in assistants(3)
    ]
    assert result == {
        "counts": {"detached": 3, "not_attached": 1},
        "failed": [],
        "detached": detached,
        "report_path": str(path),
        "complete": True,
    }
    written = rows(path)
    assert [(one["assistant_id"], one["outcome"], one["attempts"]) for one in written] == [
        *((one, "detached", 1) for one in assistants(3)),
        ("asst_idle01", "not_attached", 1),
    ]
    assert all(one["trace_id"] for one in written)
    assert len(run.sent("DELETE")) == 3
    assert any(
        "4 of 4 assistants are left to do: 8 requests, about 0 min" in line for line in run.log.texts()
    )
    assert any('"detached": 3' in line for line in run.log.texts() if line.startswith("Audit: "))


def test_one_failure_does_not_end_the_run(new_run: NewRun, tmp_path: Path) -> None:
    run = new_run(10)
    run.fault(status=403, path=LINK.format("asst_fleet00003"))
    run.server.store.detach("asst_fleet00005")
    run.server.store.link("asst_fleet00005", "flow_spare01")
    ids: list[Any] = [*assistants(10), "asst_unknown"]
    ids[4] = {"assistant_id": "asst_fleet00005", "expected_workflow_id": "flow_fleet00005"}
    report = tmp_path / "report.jsonl"
    with pytest.raises(AitronosError) as raised:
        run.detach(ids, report_path=str(report))
    assert raised.value.outcome == "permanent"
    assert run.counts == {"detached": 8, "refused": 1, "mismatch": 1, "not_found": 1}
    failed = {one["assistant_id"]: one for one in rows(report) if one["outcome"] != "detached"}
    assert failed["asst_fleet00003"]["code"] == "INSUFFICIENT_PERMISSIONS"
    assert failed["asst_fleet00003"]["status_code"] == 403
    assert failed["asst_fleet00005"]["workflow_id"] == "flow_spare01"
    assert run.pushed["report"]["failed"][0]["assistant_id"] == "asst_fleet00003"
    assert len(run.pushed["report"]["detached"]) == 8
    text = str(raised.value)
    assert "Of 11 assistants: 8 detached, 1 refused, 1 mismatch, 1 not found." in text
    assert "asst_fleet00003 refused, asst_fleet00005 mismatch, asst_unknown not_found" in text
    assert text.endswith("Not retryable. (connection 'aitronos_default', 19 requests)")
    assert sum("asst_fleet00003" in line and "refused" in line for line in run.log.texts()) == 1


def test_a_line_says_every_half_a_minute_how_far_the_run_is(new_run: NewRun) -> None:
    run = new_run(100)
    run.detach([*assistants(100), "asst_idle01"], record_workflow=False)
    assert [line for line in run.log.texts() if "min left" in line] == [
        f"{done} of 101: {done} detached; {rate} requests/min; about {left} min left"
        for done, rate, left in ((31, 62, 1), (61, 61, 1), (91, 61, 0))
    ]


def test_a_partial_failure_may_be_a_success(new_run: NewRun) -> None:
    run = new_run(3)
    run.fault(status=403, skip=2)
    result = run.detach(assistants(3), record_workflow=False, fail_on_partial_failure=False)
    assert result["counts"] == {"detached": 2, "refused": 1}


@pytest.mark.parametrize(
    ("fault", "raised", "outcome"),
    [
        ({"status": 401}, AitronosAuthenticationError, "permanent"),
        ({"status": 407}, AitronosConfigurationError, "permanent"),
    ],
)
def test_a_refused_key_ends_the_run_at_once(
    new_run: NewRun, fault: dict[str, Any], raised: type[AitronosError], outcome: str
) -> None:
    run = new_run(400)
    run.fault(skip=299, times=9, **fault)
    with pytest.raises(raised) as error:
        run.detach(assistants(400), record_workflow=False)
    assert error.value.outcome == outcome
    assert run.counts == {"detached": 299, "refused": 1, "not_tried": 100}
    assert len(run.server.requests) == 300


NOT_THE_API = "<p>no such page</p>"


@pytest.mark.parametrize(
    "replies",
    [
        [http(403, NOT_THE_API)],
        [http(404, NOT_THE_API)],
        [Reset(), http(404, NOT_THE_API)],
        [http(302, headers=[("Location", "/login")])],
    ],
    ids=["403", "404", "lost, then 404", "302"],
)
def test_a_response_that_is_not_of_the_api_ends_the_run(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch, replies: list[Reply]
) -> None:
    run = new_run(3)
    with FaultServer(replies) as server:
        connect(monkeypatch, server.url, max_attempts=2)
        with pytest.raises(AitronosError):
            run.detach(assistants(3), record_workflow=False)
    assert len(server.requests) == len(replies)
    assert run.counts["not_tried"] == 2


@pytest.mark.parametrize(("good", "rate", "most"), [(0, None, 1), (20, 1200, 24)])
def test_a_refused_key_ends_all_threads(new_run: NewRun, good: int, rate: Any, most: int) -> None:
    run = new_run(100, clock=time)
    run.fault(status=401, skip=good, times=100, delay=0.1)
    with pytest.raises(AitronosAuthenticationError):
        run.detach(assistants(100), requests_per_minute=rate, concurrency=8)
    assert good < len(run.server.requests) <= most
    assert sum(run.counts.values()) == 100
    assert run.counts["refused"] <= most - good


def test_nothing_is_pushed_if_the_task_pushes_no_xcom(new_run: NewRun) -> None:
    run = new_run(1)
    with pytest.raises(AitronosNotFoundError):
        run.detach(["asst_unknown"], do_xcom_push=False)
    assert run.pushed == {}


def test_a_report_that_cannot_be_pushed_hides_no_failure(new_run: NewRun) -> None:
    run = new_run(1)
    run.context["ti"].xcom_push = None
    with pytest.raises(AitronosNotFoundError):
        run.detach(["asst_unknown", *assistants(1)])
    assert any("could not be pushed" in line and "flow_fleet00001" in line for line in run.log.texts())


def test_five_403_from_the_start_end_the_run(new_run: NewRun) -> None:
    run = new_run(100)
    run.fault(status=403, times=100)
    with pytest.raises(AitronosPermissionError):
        run.detach(assistants(100))
    assert run.counts == {"refused": 5, "not_tried": 95}


def test_a_server_that_is_not_there_ends_the_run(new_run: NewRun) -> None:
    run = new_run(3)
    run.server.__exit__()
    with pytest.raises(AitronosNetworkError) as raised:
        run.detach(assistants(3), max_attempts=2)
    assert raised.value.outcome == "retryable"
    assert run.counts == {"failed": 1, "not_tried": 2}


@pytest.mark.parametrize(
    ("limit", "failures"), [(3, 4), (0, 1), (0.05, 11), (0.01, 3)], ids=["3", "none", "default", "1 %"]
)
def test_too_many_failures_end_the_run(new_run: NewRun, limit: float, failures: int) -> None:
    run = new_run(60)
    with pytest.raises(AitronosNotFoundError, match="more than max_failures"):
        run.detach(
            [*assistants(5), *(f"asst_unknown{number}" for number in range(50))],
            max_failures=limit,
        )
    assert run.counts == {"detached": 5, "not_found": failures, "not_tried": 50 - failures}


def test_too_many_failures_that_may_pass_are_retryable(new_run: NewRun) -> None:
    run = new_run(30)
    run.fault(status=500, method="GET", times=30)
    with pytest.raises(AitronosError, match="more than max_failures") as raised:
        run.detach(assistants(30), max_attempts=1, max_failures=5)
    assert raised.value.outcome == "retryable"
    assert run.counts == {"failed": 6, "not_tried": 24}


@pytest.mark.parametrize(
    ("if_not_attached", "raised"), [("skip", AirflowSkipException), ("fail", AitronosNotAttachedError)]
)
def test_nothing_linked_anywhere(new_run: NewRun, if_not_attached: Any, raised: type[BaseException]) -> None:
    run = new_run(1)
    with pytest.raises(raised):
        run.detach(["asst_idle01"], if_not_attached=if_not_attached)
    assert run.detach(["asst_idle01", *assistants(1)], if_not_attached="skip")["counts"] == {
        "not_attached": 1,
        "detached": 1,
    }


def test_a_plan_changes_nothing(new_run: NewRun) -> None:
    run = new_run(30)
    result = run.detach(assistants(30), check_only="true")
    assert result["counts"] == {"would_detach": 30}
    assert result["detached"][0] == {
        "assistant_id": "asst_fleet00001",
        "workflow_id": "flow_fleet00001",
        "outcome": "would_detach",
    }
    assert not run.sent("DELETE")


@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        ("asst_1", "assistant_ids is of type str"),
        ({"asst_1"}, "assistant_ids is of type set"),
        (["asst_1", "a/b"], r"assistant_ids\[1\]"),
        ([{"assistant": "asst_1"}], "other keys"),
        ([{"assistant_id": "asst_1", "expected_workflow_id": None}], "expected_workflow_id"),
        (["asst_1", {"assistant_id": "asst_1", "expected_workflow_id": "flow_1"}], "twice"),
    ],
)
def test_a_mistake_in_the_list_is_found_before_any_request(new_run: NewRun, ids: Any, problem: str) -> None:
    run = new_run(1)
    if "None" not in str(ids):  # which upstream tasks and DAG factories pass
        with pytest.raises(AitronosInputError, match=problem):
            DetachAssistantWorkflowsOperator(task_id="detach", assistant_ids=ids)
    operator = DetachAssistantWorkflowsOperator(task_id="detach", assistant_ids="{{ ids }}")
    operator.assistant_ids = ids
    with pytest.raises(AitronosInputError, match=problem):
        operator.execute(run.context)
    assert not run.server.requests


@pytest.mark.parametrize(
    "arguments",
    [
        {"if_empty": "nothing"},
        {"check_only": "maybe"},
        {"requests_per_minute": 0},
        {"concurrency": 9},
        {"max_failures": 1.5},
        {"fail_on_partial_failure": "no"},
    ],
)
def test_a_mistake_in_an_option_is_found_when_the_dag_is_parsed(arguments: Any) -> None:
    with pytest.raises((AitronosInputError, AitronosConfigurationError)):
        DetachAssistantWorkflowsOperator(task_id="detach", assistant_ids=["asst_1"], **arguments)


def test_an_empty_list(new_run: NewRun) -> None:
    run = new_run(1)
    with pytest.raises(AirflowSkipException):
        run.detach([])
    with pytest.raises(AitronosInputError):
        run.detach([], if_empty="fail")
    assert run.detach([], if_empty="succeed")["counts"] == {}


def test_a_cancelled_task_sends_nothing_more_and_still_reports(new_run: NewRun, tmp_path: Path) -> None:
    run = new_run(50, store=None)
    answer = run.server.answer

    def cancel_at_the_tenth(request: Any) -> Any:
        if len(run.server.requests) == 9:
            assert run.operator is not None
            run.operator.on_kill()
        return answer(request)

    run.server.answer = cancel_at_the_tenth  # type: ignore[method-assign]
    report = tmp_path / "report.jsonl"
    with pytest.raises(AitronosCancelledError):
        run.detach(assistants(50), record_workflow=False, report_path=str(report))
    assert len(run.server.requests) == 10
    assert run.counts == {"detached": 10, "not_tried": 40}
    assert [one["outcome"] for one in rows(report)] == ["detached"] * 10 + ["not_tried"] * 40
    assert run.detach(assistants(50), record_workflow=False, report_path=str(report))["counts"] == {
        "detached": 50
    }
    assert len(run.sent("DELETE")) == 50


@pytest.mark.parametrize("threads", [1, 4])
def test_a_timeout_of_the_task_leaves_report_and_state(
    new_run: NewRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    run = new_run(50)
    record, asked = Store.set, 0

    def time_out(store: Store, key: str, value: Any) -> None:
        nonlocal asked
        asked += 1
        record(store, key, value)
        if asked == 3:  # the second window begins
            raise AirflowTaskTimeout

    monkeypatch.setattr(Store, "set", time_out)
    report = tmp_path / "report.jsonl"
    arguments: Any = {"report_path": str(report), "concurrency": threads, "requests_per_minute": None}
    with pytest.raises(AirflowTaskTimeout):
        run.detach(assistants(50), **arguments)
    assert run.counts["detached"] >= 17
    assert run.counts["not_tried"] >= 10  # with several threads the second window may be handed out by then
    assert len(rows(report)) == 50
    assert run.detach(assistants(50), **arguments)["counts"] == {"detached": 50}
    assert len(run.sent("DELETE")) == 50


@pytest.mark.parametrize("end", ["cancelled", "interrupted", "cancelled after a 401"])
def test_a_request_without_end_does_not_hold_up_the_end_of_the_run(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    run = new_run(3)
    monkeypatch.setattr("airflow_aitronos.client.fleet._GRACE", 0.1)

    def end_the_run(*_: Any) -> None:
        assert run.operator is not None
        if end == "interrupted":
            signal.raise_signal(signal.SIGALRM)
        else:
            run.operator.on_kill()

    def end_the_run_if_refused(event: str, *args: Any) -> None:
        if "refused" in event % args:
            end_the_run()

    def time_out(*_: Any) -> None:
        raise AirflowTaskTimeout

    # The second and third assistant are under way when the run ends.
    last: Reply = [Call(end_the_run), Hang()]
    if end == "cancelled after a 401":
        last = http(401)
        monkeypatch.setattr(run.log, "warning", end_the_run_if_refused)
    before, started = signal.signal(signal.SIGALRM, time_out), time.monotonic()
    try:
        with FaultServer([http(200, {"workflow_id": "flow_1"}), Hang(), last]) as server:
            connect(monkeypatch, server.url, read_timeout=60)
            with pytest.raises((AirflowTaskTimeout, AitronosCancelledError, AitronosAuthenticationError)):
                run.detach(assistants(3), record_workflow=False, concurrency=2, requests_per_minute=None)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - started < 30
    others = {"unknown": 1, "refused": 1} if last == http(401) else {"unknown": 2}
    assert run.counts == {"detached": 1, **others}
    (record,) = run.context["task_state_store"].values()
    assert [row["workflow_id"] for row in record["rows"]] == ["flow_1", None, None]


def test_a_request_that_is_under_way_outlasts_run_timeout(new_run: NewRun) -> None:
    run = new_run(3, clock=time)
    run.fault("delay", delay=0.6, times=3)
    with pytest.raises(AitronosError, match="run_timeout of 1 s"):
        run.detach(assistants(3), record_workflow=False, run_timeout=1, requests_per_minute=None)
    assert run.counts == {"detached": 2, "not_tried": 1}


@pytest.mark.parametrize(
    ("answer", "is_probable"),
    [({"workflow_id": None, "message": "Done"}, True), ({"workflow_id": "flow_1"}, False)],
    ids=["nothing linked", "names the workflow"],
)
def test_a_detach_that_is_only_probable_says_so(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: Any, is_probable: bool
) -> None:
    run, report = new_run(1), tmp_path / "report.jsonl"
    with FaultServer([Reset(), http(200, answer)]) as server:
        connect(monkeypatch, server.url, max_backoff=0)
        run.detach(assistants(1), record_workflow=False, report_path=str(report))
    (row,) = rows(report)
    assert (row["outcome"], "probably" in (row["message"] or "")) == ("detached", is_probable)


def test_no_wait_between_attempts_outlasts_the_run(new_run: NewRun) -> None:
    run = new_run(2)
    started = run.clock.now
    run.fault(status=500, skip=1, retry_after="50")
    with pytest.raises(AitronosError):
        run.detach(assistants(2), record_workflow=False, run_timeout=2, requests_per_minute=None)
    assert run.counts == {"detached": 1, "unknown": 1}
    assert run.clock.now - started <= 2


def test_a_timeout_after_a_delete_keeps_what_was_detached_from_what_is_linked_since(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(1)
    asst, flow = "asst_fleet00001", "flow_fleet00001"

    def time_out(line: str, *args: Any) -> None:
        if "Detached" in line % args:
            raise AirflowTaskTimeout

    with monkeypatch.context() as patch:
        patch.setattr(run.log, "info", time_out)
        with pytest.raises(AirflowTaskTimeout):
            run.detach([asst])
    run.server.store.link(asst, "flow_spare01")
    assert [row["workflow_id"] for row in run.detach([asst])["detached"]] == [flow]
    assert run.server.store.links[asst] == "flow_spare01"


# --- the report ---


def test_an_earlier_report_is_kept_under_a_number(new_run: NewRun, tmp_path: Path) -> None:
    run = new_run(2)
    report = tmp_path / "report.jsonl"
    for ids in (["asst_fleet00001"], ["asst_fleet00002"], ["asst_idle01"]):
        run.detach(ids, report_path=str(report))
    kept = [rows(tmp_path / name)[0]["assistant_id"] for name in ("report.1.jsonl", "report.2.jsonl")]
    assert kept == ["asst_fleet00001", "asst_fleet00002"]
    assert rows(report)[0]["assistant_id"] == "asst_idle01"


def test_reports_of_fleets_that_run_at_the_same_time_are_all_kept(new_run: NewRun, tmp_path: Path) -> None:
    run = new_run(2)
    report = tmp_path / "report.jsonl"

    answer = run.server.answer

    def detach_another_first(request: Any) -> Any:
        run.server.answer = answer  # type: ignore[method-assign]  # the next one passes
        run.detach(["asst_fleet00002"], report_path=str(report))
        return answer(request)

    run.server.answer = detach_another_first  # type: ignore[method-assign]  # in the middle of the first
    run.detach(["asst_fleet00001"], report_path=str(report))
    lines = [line for path in tmp_path.glob("report*.jsonl") for line in rows(path)]
    detached = [line["assistant_id"] for line in lines if line["outcome"] == "detached"]
    assert sorted(detached) == ["asst_fleet00001", "asst_fleet00002"]


def test_a_log_that_fails_costs_no_result(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(3)

    def fail(line: str, *args: object) -> None:
        if run.sent("DELETE"):
            raise BrokenPipeError

    monkeypatch.setattr(run.log, "info", fail)
    monkeypatch.setattr(run.log, "warning", fail)
    assert run.detach(assistants(3))["counts"] == {"detached": 3}


def test_a_report_path_that_is_no_file_is_refused(new_run: NewRun, tmp_path: Path) -> None:
    run = new_run(1)
    os.mkfifo(tmp_path / "fifo")
    for path in ("/dev/null", str(tmp_path), str(tmp_path / "fifo")):
        with pytest.raises(AitronosInputError, match="is not a file"):
            run.detach(assistants(1), report_path=path)
    for nothing in ("None", " ", 5):
        with pytest.raises(AitronosInputError, match="upstream"):
            run.detach(assistants(1), report_path=nothing)
    assert run.server.requests == []


def test_a_report_that_cannot_be_written_prevents_the_first_request(new_run: NewRun, tmp_path: Path) -> None:
    run = new_run(2)
    (tmp_path / "file").write_text("")
    for path in (str(tmp_path / "file" / "report.jsonl"), "nosuch://bucket/report.jsonl"):
        with pytest.raises(AitronosError, match="cannot be read or written at report_path") as raised:
            run.detach(assistants(2), report_path=path)
        assert raised.value.outcome == "retryable"
    assert not run.server.requests


def test_a_report_that_stops_being_writable_loses_nothing(new_run: NewRun, tmp_path: Path) -> None:
    run = new_run(3, store=None)
    report = tmp_path / "folder" / "report.jsonl"
    answer = run.server.answer

    def replace_the_folder(request: Any) -> Any:
        if len(run.server.requests) == 1:
            report.parent.rename(tmp_path / "moved")
            report.parent.write_text("")
        return answer(request)

    run.server.answer = replace_the_folder  # type: ignore[method-assign]
    result = run.detach(assistants(3), report_path=str(report))
    assert (result["counts"], result["report_path"]) == ({"detached": 3}, None)
    assert any("report could not be written" in line for line in run.log.texts())
    assert len(result["detached"]) == 3


def test_xcom_stays_small_whatever_the_ids(new_run: NewRun) -> None:
    run = new_run(0)
    ids = [f"asst_{number:05d}" + "x" * 118 for number in range(500)]
    with pytest.raises(AitronosNotFoundError):
        run.detach(ids, requests_per_minute=None, max_failures=1000)
    assert run.pushed["report"]["counts"] == {"not_found": 500}
    assert len(run.pushed["report"]["failed"]) <= 100
    assert run.pushed["report"]["complete"] is False
    assert len(json.dumps(run.pushed["report"])) < 60_000
