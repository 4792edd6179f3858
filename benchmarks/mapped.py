"""
What the same detaches cost as one task and as mapped tasks.

Both run in one process, one task instance after the other (``dag.test()``). In a deployment the scheduler
comes on top, which starts a few task instances a second.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.calls import LONGEST_RUN, connections, serving
from benchmarks.dags.mapped import ITEMS
from benchmarks.result import REPOSITORY, Bar, Result, Verdict, clean_environment, in_turns, median_ratio

ROUNDS = 3
LIMIT = 0.5


def run(home: Path) -> Result:
    """
    Let one task and mapped tasks detach from the same assistants, in turn.

    :param home: an empty folder.
    """
    with serving() as url:
        environment = clean_environment(home, **connections(url))
        environment["AIRFLOW__CORE__DAGS_FOLDER"] = str(REPOSITORY / "benchmarks" / "dags")
        for command in (["airflow", "db", "migrate"], ["benchmarks.mapped"]):
            printed = subprocess.check_output(
                [sys.executable, "-m", *command],
                cwd=REPOSITORY,
                env=environment,
                text=True,
                timeout=LONGEST_RUN,
                stderr=subprocess.STDOUT,
            )
    seconds: dict[str, list[float]] = json.loads(printed.splitlines()[-1])
    one, mapped = seconds["one_task"], seconds["mapped_tasks"]
    bars = [
        Bar(name, statistics.median(measured), f"{statistics.median(measured):.1f} s", measured is one)
        for name, measured in (("one task, a fleet", one), ("mapped tasks", mapped))
    ]
    return Result(
        f"{ITEMS} assistants in dag.test(), a server that answers at once (median of {ROUNDS} rounds)",
        bars,
        [Verdict("a fleet, relative to mapped tasks", median_ratio(one, mapped), LIMIT)],
    )


def main() -> None:
    """Measure, and print the seconds of a run as JSON, by DAG and round."""
    from benchmarks.dags.mapped import mapped_tasks, one_task

    contenders = {dag.dag_id: dag.test for dag in (one_task, mapped_tasks)}
    for call in contenders.values():
        assert call().state == "success"  # the first run of a process pays for imports
    print(json.dumps(in_turns(contenders, rounds=ROUNDS, calls=1, block=1)))


if __name__ == "__main__":
    main()
