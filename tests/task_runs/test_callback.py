"""The failure callback that the documentation shows, in task runs that fail for any reason."""

from __future__ import annotations

import re
from typing import Any

import pytest
from packaging.version import Version

from airflow_aitronos.hooks.aitronos import AitronosHook
from tests.conftest import REPOSITORY
from tests.support.airflow_versions import AIRFLOW
from tests.support.fault_server import FaultServer
from tests.support.faults import Reset
from tests.task_runs import airflow_runs
from tests.task_runs.conftest import SetConnection
from tests.task_runs.dags import detach_dags

PAGE = (REPOSITORY / "docs" / "how-to" / "on-failure.md").read_text(encoding="utf-8")


def documented_callback() -> Any:
    """Return the function of the page."""
    (code,) = (one for one in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "def on_failure" in one)
    names: dict[str, Any] = {}
    exec(code, names)
    return names["on_failure"]


@pytest.mark.parametrize("raised", ["AirflowNotFoundException", "AitronosNetworkError", "KeyError"])
def test_the_documented_callback_handles_any_exception(
    connect: SetConnection,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    raised: str,
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise KeyError("raised by a bug")

    with FaultServer([[Reset()]]) as server:
        connect(
            server.url,
            conn_id="other" if raised == "AirflowNotFoundException" else "aitronos_default",
            max_attempts=1,
        )
        if raised == "KeyError":
            monkeypatch.setattr(AitronosHook, "detach_assistant_workflow", fail)
        dag = detach_dags.one_detach("detach_no_retries", on_failure_callback=documented_callback())
        assert airflow_runs.run(dag)["detach"].state == "failed"
    lines = [
        line for line in capfd.readouterr().out.splitlines() if "detach_no_retries.detach try 1: " in line
    ]
    assert len(lines) == 1
    if Version("3.3") > AIRFLOW:  # their dag.test() hands no exception to a callback
        assert lines[0].endswith("None")
        return
    assert raised in lines[0]
    assert ("may have taken effect" in lines[0]) == (raised == "AitronosNetworkError")
