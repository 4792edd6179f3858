"""What a suite of benchmarks returns, and how measurements are made comparable."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Bar:
    """
    One measured thing.

    :param label: its name.
    :param value: its length in the figure.
    :param text: what was measured, with a unit.
    :param is_ours: whether it is of this package.
    """

    label: str
    value: float
    text: str
    is_ours: bool


@dataclass(frozen=True)
class Verdict:
    """
    Whether a limit was kept.

    :param claim: what is to hold.
    :param found: what was measured.
    :param limit: that it may not exceed.
    """

    claim: str
    found: float
    limit: float

    @property
    def is_kept(self) -> bool:
        """Whether the limit was kept."""
        return self.found <= self.limit

    def line(self) -> str:
        """Return a line for the terminal."""
        return (
            f"{'kept  ' if self.is_kept else 'MISSED'}  {self.claim}: {self.found:.4f}, limit {self.limit:g}"
        )


@dataclass(frozen=True)
class Result:
    """
    What a suite measured.

    :param title: of the table.
    :param bars: its rows.
    :param verdicts: about its limits.
    """

    title: str
    bars: Sequence[Bar]
    verdicts: Sequence[Verdict]

    def table(self) -> str:
        """Return a table for the terminal."""
        width = max(len(bar.label) for bar in self.bars)
        return "\n".join([self.title, *(f"  {bar.label:<{width}}  {bar.text}" for bar in self.bars)])


def in_turns(
    contenders: Mapping[str, Callable[[], object]], rounds: int, calls: int, block: int
) -> dict[str, list[float]]:
    """
    Return the seconds that one call took, by contender and round.

    :param contenders: what to call, by name.
    :param rounds: each has all contenders make all their calls.
    :param calls: of each contender in each round.
    :param block: calls before it is the next contender's turn; who begins changes from block to block.
    """
    names = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        total = dict.fromkeys(names, 0.0)
        for turn in range(number, number + calls // block):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                total[name] += _timed(contenders[name], block)
        for name in names:
            seconds[name].append(total[name] / (calls // block * block))
    return seconds


def _timed(call: Callable[[], object], times: int) -> float:
    gc.collect()  # what another contender left behind
    started = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - started


def median_ratio(values: Sequence[float], others: Sequence[float]) -> float:
    """
    Return the median of the ratios of measurements that were made side by side.

    :param values: one for each round.
    :param others: one for each round.
    """
    return statistics.median(value / other for value, other in zip(values, others, strict=True))


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """
    Return the environment of a measured process: no proxy, CA bundle or ``.netrc`` of this machine.

    :param home: a folder that stands for the user's home, and for Airflow's.
    :param more: further variables.
    """
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    airflow = {"AIRFLOW_HOME": str(home / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    return {**kept, "HOME": str(home), "LANG": "C.UTF-8", **airflow, **more}
