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
from airflow.configuration import conf
from airflow.sdk import DAG, BaseHook, task

from airflow_aitronos.operators.assistants import DetachAssistantWorkflowOperator
from airflow_aitronos.testing.airflow_runs import AirflowRunner
from airflow_aitronos.testing.sandbox import Sandbox

try:
    from airflow.sdk import RetryDecision, RetryPolicy
except ImportError:  # Airflow 3.1 and 3.2
    POLICIES: dict[str, Any] = {}
else:

    class Later(RetryPolicy):
        def evaluate(self, *args: Any, **kwargs: Any) -> RetryDecision:
            return RetryDecision.retry(delay=timedelta(hours=1))

    class Never(RetryPolicy):
        def evaluate(self, *args: Any, **kwargs: Any) -> RetryDecision:
            return RetryDecision.fail()

    POLICIES = {"later": Later(), "never": Never()}

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


def test_settings_of_the_machine_are_set_aside() -> None:
    assert conf.get("core", "executor") == "LocalExecutor"
    assert conf.getboolean("logging", "remote_logging") is False
    bundles: Any = conf.getjson("dag_processor", "dag_bundle_config_list")
    assert [one["name"] for one in bundles] == ["dags-folder"]


def test_a_secrets_backend_is_not_asked(aitronos_sandbox: Sandbox) -> None:
    assert BaseHook.get_connection("aitronos_default").host == aitronos_sandbox.url


def test_texts_stay_texts(aitronos_airflow: AirflowRunner) -> None:
    run = aitronos_airflow.run(texts)
    assert tuple(run[f"echo[{number}]"].xcom for number in range(len(TEXTS))) == TEXTS


def test_the_process_is_as_before(aitronos_airflow: AirflowRunner, aitronos_sandbox: Sandbox) -> None:
    def state() -> list[Any]:
        handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)]
        return [handlers, dict(os.environ), list(sys.path), list(warnings.filters)]

    before = state()
    run = aitronos_airflow.run(detach_both("as_before"))
    assert run.state == "success"
    assert state() == before
    for one in LINKED:
        aitronos_sandbox.assert_detached_once(one)


@pytest.mark.parametrize("backoff", [False, True])
@pytest.mark.usefixtures("never_waits")
def test_a_retry_follows_at_once(
    aitronos_airflow: AirflowRunner, aitronos_sandbox: Sandbox, backoff: bool
) -> None:
    aitronos_sandbox.fail(503, times=2)
    run = aitronos_airflow.run(detach_both(f"at_once_{backoff}", retry_exponential_backoff=backoff))
    assert run.state == "success"
    assert run["plain"].tries + run["mapped[0]"].tries == 4


@pytest.mark.skipif(not POLICIES, reason="Airflow 3.1 and 3.2 have no retry policies")
@pytest.mark.parametrize(("policy", "tries"), [("later", 4), ("never", 2)])
@pytest.mark.usefixtures("never_waits")
def test_a_policy_of_the_users_decides_but_does_not_wait(
    aitronos_airflow: AirflowRunner, aitronos_sandbox: Sandbox, policy: str, tries: int
) -> None:
    aitronos_sandbox.fail(503, times=2)
    run = aitronos_airflow.run(detach_both(f"policy_{policy}", retry_policy=POLICIES[policy]))
    assert run["plain"].tries + run["mapped[0]"].tries == tries
    assert run.state == ("success" if policy == "later" else "failed")
