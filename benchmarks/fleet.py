"""What a fleet costs beside a bare loop with the same requests, in one process that logs as a task does."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

from benchmarks.calls import LONGEST_RUN, SESSION, TIMEOUT, connections, serving
from benchmarks.result import REPOSITORY, Bar, Result, Verdict, clean_environment, in_turns, median_ratio

FLEET = "one task, a fleet"
ITEMS, ROUNDS = 200, 9
LIMIT = 1.20
MANY, MOST_MEGABYTES = 10_000, 150
PACED, RATE, PACE_LIMIT = 100, 1000, 1.05


def run(home: Path) -> Result:
    """
    Let a task and a bare loop detach from the same assistants, in turn.

    :param home: an empty folder.
    """
    with serving() as url:
        command = [sys.executable, "-m", "benchmarks.fleet", url]
        environment = clean_environment(home, **connections(url))
        printed = subprocess.check_output(
            command, cwd=REPOSITORY, env=environment, text=True, timeout=LONGEST_RUN
        )
    *_, measured_seconds, megabytes, paced = printed.splitlines()
    seconds: dict[str, list[float]] = json.loads(measured_seconds)
    ratio = median_ratio(seconds[FLEET], seconds[SESSION])
    bars = [
        Bar(name, statistics.median(measured), f"{statistics.median(measured):.3f} s", name == FLEET)
        for name, measured in seconds.items()
    ]
    allowed = (PACED - 1) * 60 / RATE
    title = f"{ITEMS} assistants, a server that answers at once (median of {ROUNDS} rounds)"
    verdicts = [
        Verdict("a fleet, relative to a bare loop", ratio, LIMIT),
        Verdict(f"MB that {MANY} assistants add to a process", float(megabytes), MOST_MEGABYTES),
        Verdict("a fleet at a server's limit, relative to that limit", float(paced) / allowed, PACE_LIMIT),
    ]
    return Result(title, bars, verdicts)


def main(url: str) -> None:
    """
    Measure, and print three lines: seconds by contender and round, MB of a large run, seconds at a limit.

    :param url: of the server.
    """
    import requests
    from airflow.sdk.log import configure_logging

    from airflow_aitronos.operators.fleet import DetachAssistantWorkflowsOperator
    from airflow_aitronos.sandbox.server import SandboxServer

    many = [f"asst_fleet{number:05d}" for number in range(MANY)]
    ids = many[:ITEMS]
    bare = requests.Session()
    key = os.environ["BENCHMARK_KEY"]
    bare.headers["X-API-Key"] = key

    def loop() -> None:
        for one in ids:
            response = bare.delete(f"{url}/v1/assistants/{one}/workflow", timeout=TIMEOUT)
            response.raise_for_status()
            assert response.json()["assistant_id"] == one

    def fleet(ids: list[str] = ids, rate: float | None = None) -> None:
        operator = DetachAssistantWorkflowsOperator(
            task_id="detach", assistant_ids=ids, record_workflow=False, requests_per_minute=rate
        )
        assert operator.execute({})["counts"] == {"detached": len(ids)}

    with open(os.devnull, "wb", buffering=0) as log:  # noqa: PTH123  # a device, not a path
        configure_logging(json_output=True, output=log, sending_to_supervisor=True)
        contenders = {SESSION: loop, FLEET: fleet}
        for call in contenders.values():
            call()
        seconds = in_turns(contenders, rounds=ROUNDS, calls=1, block=1)
        before = getrusage(RUSAGE_SELF).ru_maxrss
        fleet(many)
        megabytes = (getrusage(RUSAGE_SELF).ru_maxrss - before) / 1024
        with SandboxServer(fleet=PACED + 1, requests_per_minute=RATE, api_key=key) as limited:
            connection = {"conn_type": "aitronos", "host": limited.url, "password": key}
            os.environ["AIRFLOW_CONN_AITRONOS_DEFAULT"] = json.dumps(connection)
            started = time.monotonic()
            fleet(many[1 : PACED + 1], RATE)
            paced = time.monotonic() - started
    print(json.dumps(seconds))
    print(megabytes)
    print(paced)


if __name__ == "__main__":
    main(sys.argv[1])
