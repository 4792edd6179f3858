"""Real task runs of the sensor that waits in the triggerer."""

from __future__ import annotations

import pytest

from tests.support.fault_server import FaultServer
from tests.support.replies import http
from tests.task_runs import airflow_runs
from tests.task_runs.conftest import SetConnection
from tests.task_runs.dags import waiting_dags
from tests.task_runs.test_sensor import NOT_LINKED, READ, found, linked, sent


def test_the_triggerer_polls_until_it_is_so(
    connect: SetConnection, capfd: pytest.CaptureFixture[str]
) -> None:
    with FaultServer(
        [NOT_LINKED, http(429, headers=[("Retry-After", "0.5")]), linked("flow_new01")]
    ) as server:
        connect(server.url)
        result = airflow_runs.run(waiting_dags.wait_deferred)["wait_deferred"]
    assert (result.state, result.tries) == ("success", 1)
    assert result.xcoms == {"return_value": found("flow_new01")}
    assert sent(server) == [READ] * 3
    output = capfd.readouterr().out
    assert "The server asks to wait 0.5 s" in output
    assert [line.count('"outcome": "') for line in output.splitlines() if "Audit: " in line] == [1, 1]
