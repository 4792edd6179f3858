"""What ``aitronos_airflow`` promises, on a machine whose Airflow has settings of its own."""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_aitronos.exceptions import AitronosPermissionError
from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from airflow_aitronos.testing.airflow_runs import AirflowRunner
from airflow_aitronos.testing.sandbox import Sandbox

try:
    from airflow.sdk import RetryDecision, RetryPolicy
except ImportError:  # Airflow 3.1 and 3.2
    POLICY: Any = None
else:

    class Once(RetryPolicy):
        """Retry once, an hour later."""

        def evaluate(self, exception: Any, try_number: int, *_: Any, **__: Any) -> RetryDecision:
            return RetryDecision.retry(delay=timedelta(hours=1)) if try_number == 1 else RetryDecision.fail()

    POLICY = Once()

TEXTS = ("123", "null", "true", '{"a": 1}', "1e5")
LINKED = ["asst_support01", "asst_billing01"]

with DAG("texts", schedule=None) as texts:

    @task
    def echo(text: str) -> str:
        return text

    echo.expand(text=list(TEXTS))


def detach_both(name: str, **arguments: Any) -> DAG:
    """Return a DAG that detaches twice, by a task as it is and by a mapped one."""
    arguments = {"retries": 2, "retry_delay": timedelta(hours=1), "max_attempts": 1, **arguments}
    with DAG(name, schedule=None) as dag:
        DetachAssistantWorkflowOperator(task_id="plain", assistant_id=LINKED[0], **arguments)
        DetachAssistantWorkflowOperator.partial(task_id="mapped", **arguments).expand(assistant_id=LINKED[1:])
    return dag


@pytest.fixture
def never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(seconds: float) -> None:
        raise KeyboardInterrupt("something waits")

    monkeypatch.setattr(time, "sleep", sleep)


def test_texts_stay_texts(aitronos_airflow: AirflowRunner) -> None:
    run = aitronos_airflow.run(texts)
    assert tuple(run[f"echo[{number}]"].xcom for number in range(len(TEXTS))) == TEXTS
    with pytest.raises(KeyError, match=r"no task 'echo' in this run; there are: echo\[0\], echo\[1\]"):
        run["echo"]


def test_the_process_is_as_before(aitronos_airflow: AirflowRunner, aitronos_sandbox: Sandbox) -> None:
    def state() -> list[Any]:
        handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)]
        return [handlers, dict(os.environ), list(sys.path), list(warnings.filters)]

    before = state()
    run = aitronos_airflow.run(detach_both("as_before"))
    assert run.state == "success"
    assert state() == before
    aitronos_sandbox.assert_detached_exactly(set(LINKED))


@pytest.mark.parametrize("backoff", [False, True])
@pytest.mark.usefixtures("never_waits")
def test_a_retry_follows_at_once(
    aitronos_airflow: AirflowRunner, aitronos_sandbox: Sandbox, backoff: bool
) -> None:
    aitronos_sandbox.fail(503, times=2)
    dag = detach_both(f"at_once_{backoff}", retry_exponential_backoff=backoff)
    run = aitronos_airflow.run(dag)
    assert run.state == "success"
    assert run["plain"].tries + run["mapped[0]"].tries == 4
    assert (run["plain"].exception, run["mapped[0]"].exception) == (None, None)
    assert {one.retry_delay for one in dag.tasks} == {timedelta(hours=1)}


def test_an_exception_is_the_one_that_the_last_try_raised(
    aitronos_airflow: AirflowRunner, aitronos_sandbox: Sandbox
) -> None:
    for status in (503, 403):
        aitronos_sandbox.fail(status, path=f"/v1/assistants/{LINKED[1]}/workflow")
    run = aitronos_airflow.run(detach_both("exceptions"))
    exception = run["mapped[0]"].exception
    assert isinstance(exception, AitronosPermissionError)
    assert exception.status_code == 403
    assert run["plain"].exception is None


@pytest.mark.skipif(POLICY is None, reason="Airflow 3.1 and 3.2 have no retry policies")
@pytest.mark.usefixtures("never_waits")
def test_a_policy_of_the_users_decides_but_does_not_wait(
    aitronos_airflow: AirflowRunner, aitronos_sandbox: Sandbox
) -> None:
    aitronos_sandbox.fail(503, times=9)
    run = aitronos_airflow.run(detach_both("policy", retry_policy=POLICY))
    assert [one.tries for one in run.tasks.values()] == [2, 2]
    aitronos_sandbox.assert_nothing_detached()
