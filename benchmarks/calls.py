"""What sequential calls cost, each contender on one session or hook of its own."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.result import REPOSITORY, Bar, Result, Verdict, clean_environment, median_ratio

SESSION, HTTP_HOOK = "requests.Session", "HttpHook.run"
HOOK, QUIET_HOOK = "AitronosHook", "AitronosHook, INFO off"
TIMEOUT = 30
LIMIT = 1.10
ROUNDS, CALLS = 7, 1000
LONGEST_RUN = 600


def run(home: Path) -> Result:
    """
    Let all contenders, in one process, call the same server, in turn.

    :param home: an empty folder.
    """
    with serving() as url:
        command = [sys.executable, "-m", "benchmarks.contenders", url, str(ROUNDS), str(CALLS)]
        environment = clean_environment(home, **connections(url))
        printed = subprocess.check_output(
            command, cwd=REPOSITORY, env=environment, text=True, timeout=LONGEST_RUN
        )
    seconds: dict[str, list[float]] = json.loads(printed.splitlines()[-1])
    ratios = {name: median_ratio(measured, seconds[SESSION]) for name, measured in seconds.items()}
    return Result(
        f"One call, a bare requests.Session being 1 (median of {ROUNDS} rounds of {CALLS} calls)",
        [
            Bar(name, ratio, f"{ratio:.2f} ({statistics.median(seconds[name]) * 1e6:.0f} µs)", HOOK in name)
            for name, ratio in ratios.items()
        ],
        [Verdict("a call of the hook, relative to a bare requests.Session", ratios[HOOK], LIMIT)],
    )


@contextmanager
def serving() -> Iterator[str]:
    """Run the server in a process of its own inside a block, and give its URL."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server"],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,  # the server ends when this is closed, which leaving the block does
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"


def connections(url: str) -> dict[str, str]:
    """
    Return the environment of a process that calls the server.

    :param url: of the server.
    """
    key = "benchmark-key-0123456789"
    http = {"conn_type": "http", "host": url, "extra": {"X-API-Key": key, "timeout": TIMEOUT}}
    return {
        "BENCHMARK_KEY": key,
        "AIRFLOW_CONN_AITRONOS_DEFAULT": json.dumps({"conn_type": "aitronos", "host": url, "password": key}),
        "AIRFLOW_CONN_HTTP_DEFAULT": json.dumps(http),
        # What an Airflow installation logs by default, and the quiet hook alone does not.
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "airflow.task.hooks.benchmarks=WARNING",
    }
