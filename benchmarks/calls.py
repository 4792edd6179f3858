"""What sequential calls cost, each contender on one session or hook of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.child import Child, ChildError
from benchmarks.contenders import (
    AITRONOS_CONN_ID,
    API_KEY,
    HOOK,
    HTTP_CONN_ID,
    HTTP_HOOK,
    QUIET_HOOK,
    SDK,
    SESSION,
    TIMEOUT,
    TITLES,
)
from benchmarks.environment import airflow_environment, clean_environment
from benchmarks.sdk_venv import SdkUnavailableError, sdk_python
from benchmarks.spread import Spread, median_ratio
from benchmarks.table import table

_LONGEST_START = 120.0
_LONGEST_BLOCK = 60.0
_BLOCK = 250
"""Calls that one contender makes before it is the next one's turn."""


@dataclass
class Calls:
    """
    Seconds per call, for each contender and round.

    :param wall: by contender, one figure for each round.
    :param cpu: the same, CPU time of the client's process.
    :param missing: by contender, why it was not measured.
    """

    wall: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def measure_calls(rounds: int, calls: int, home: Path) -> Calls:
    """
    Let all contenders call the same server, in turn.

    :param rounds: each lets every contender make its calls; who begins changes from round to round.
    :param calls: of each contender in each round.
    :param home: an empty folder.
    """
    measured = Calls()
    with ExitStack() as children:
        server = [sys.executable, "-m", "benchmarks.keep_alive_server"]
        port = children.enter_context(Child(server, clean_environment(home))).read_line(_LONGEST_START)
        workers = _start_workers(f"http://127.0.0.1:{port}", home, children, measured)
        for number in range(rounds):
            for name, seconds in _round(workers, calls, first=number).items():
                measured.wall.setdefault(name, []).append(seconds["wall"] / calls)
                measured.cpu.setdefault(name, []).append(seconds["cpu"] / calls)
    return measured


def calls_table(measured: Calls) -> str:
    """
    Return the table of calls.

    :param measured: what was measured.
    """
    rows = []
    for name, title in TITLES.items():
        if name in measured.wall:
            wall, cpu = measured.wall[name], measured.cpu[name]
            cells = [*Spread.of(wall).text(1e6, 0), f"{median_ratio(wall, measured.wall[SESSION]):.2f}"]
            cells += [*Spread.of(cpu).text(1e6, 0), f"{median_ratio(cpu, measured.cpu[SESSION]):.2f}"]
            rows.append([title, *cells])
        else:
            rows.append([title, *["-"] * 8])
    head = ["one call, µs", "min", "median", "max", "ratio", "CPU min", "median", "max", "ratio"]
    notes = [f"{TITLES[name]} was not measured: {reason}" for name, reason in measured.missing.items()]
    return "\n".join([table(head, rows), *notes])


def _round(workers: Mapping[str, Child], calls: int, first: int) -> dict[str, dict[str, float]]:
    """
    Return the seconds that each contender's calls took in one round.

    They are made in blocks, in turn: whatever else the machine does in these seconds then hits all alike.
    """
    names = list(workers)
    seconds = {name: {"wall": 0.0, "cpu": 0.0} for name in names}
    for block, start in enumerate(range(0, calls, _BLOCK), first):
        turn = block % len(names)
        for name in names[turn:] + names[:turn]:
            workers[name].send(f"{name} {min(_BLOCK, calls - start)}")
            for kind, took in json.loads(workers[name].read_line(_LONGEST_BLOCK)).items():
                seconds[name][kind] += took
    return seconds


def _start_workers(url: str, home: Path, children: ExitStack, measured: Calls) -> Mapping[str, Child]:
    """Start a process for each group of contenders; return it by contender."""
    within_airflow = Child([sys.executable, "-m", "benchmarks.airflow_worker", url], _connections(url, home))
    children.enter_context(within_airflow).read_line(_LONGEST_START)
    workers = dict.fromkeys([SESSION, HOOK, QUIET_HOOK, HTTP_HOOK], within_airflow)
    try:
        command = [sdk_python(), "-m", "benchmarks.sdk_worker", url]
        alone = children.enter_context(Child(command, clean_environment(home)))
        alone.read_line(_LONGEST_START)
        workers[SDK] = alone
    except (SdkUnavailableError, ChildError) as error:
        measured.missing[SDK] = str(error)
    return workers


def _connections(url: str, home: Path) -> dict[str, str]:
    aitronos = {"conn_type": "aitronos", "host": url, "password": API_KEY}
    http = {"conn_type": "http", "host": url, "extra": {"X-API-Key": API_KEY, "timeout": TIMEOUT}}
    return airflow_environment(
        home,
        **{
            f"AIRFLOW_CONN_{AITRONOS_CONN_ID.upper()}": json.dumps(aitronos),
            f"AIRFLOW_CONN_{HTTP_CONN_ID.upper()}": json.dumps(http),
        },
        AIRFLOW__LOGGING__NAMESPACE_LEVELS="airflow.task.hooks.benchmarks=WARNING",
    )
