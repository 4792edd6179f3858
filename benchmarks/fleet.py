"""What a fleet costs beside a bare loop with the same requests, in one process that logs as a task does."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

from benchmarks.calls import LONGEST_RUN, SESSION, TIMEOUT, connections, serving
from benchmarks.result import REPOSITORY, Bar, Result, Verdict, clean_environment, in_turns, median_ratio

FLEET = "one task, a fleet"
ITEMS, ROUNDS = 200, 9
LIMIT = 1.20
MANY, MOST_MEGABYTES = 10_000, 150


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
    *_, measured_seconds, megabytes = printed.splitlines()
    seconds: dict[str, list[float]] = json.loads(measured_seconds)
    ratio = median_ratio(seconds[FLEET], seconds[SESSION])
    bars = [
        Bar(name, statistics.median(measured), f"{statistics.median(measured):.3f} s", name == FLEET)
        for name, measured in seconds.items()
    ]
    title = f"{ITEMS} assistants, a server that answers at once (median of {ROUNDS} rounds)"
    verdicts = [
        Verdict("a fleet, relative to a bare loop", ratio, LIMIT),
        Verdict(f"MB that {MANY} assistants add to a process", float(megabytes), MOST_MEGABYTES),
    ]
    return Result(title, bars, verdicts)


def main(url: str) -> None:
    """
    Measure, and print the seconds of a run as JSON, by contender and round, then the MB of a large one.

    :param url: of the server.
    """
    import requests
    from airflow.sdk.log import configure_logging

    from airflow_aitronos.operators.fleet import DetachAssistantWorkflowsOperator

    many = [f"asst_fleet{number:05d}" for number in range(MANY)]
    ids = many[:ITEMS]
    bare = requests.Session()
    bare.headers["X-API-Key"] = os.environ["BENCHMARK_KEY"]

    def loop() -> None:
        for one in ids:
            response = bare.delete(f"{url}/v1/assistants/{one}/workflow", timeout=TIMEOUT)
            response.raise_for_status()
            assert response.json()["assistant_id"] == one

    def fleet(ids: list[str] = ids) -> None:
        operator = DetachAssistantWorkflowsOperator(
            task_id="detach", assistant_ids=ids, record_workflow=False, requests_per_minute=None
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
    print(json.dumps(seconds))
    print((getrusage(RUSAGE_SELF).ru_maxrss - before) / 1024)


if __name__ == "__main__":
    main(sys.argv[1])
