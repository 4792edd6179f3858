"""Run all benchmarks, print what they measured, and say which limits were kept."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.calls import calls_table, measure_calls
from benchmarks.child import ChildError
from benchmarks.figure import figure
from benchmarks.imports import imports_table, measure_imports
from benchmarks.verdicts import call_verdicts, import_verdicts

FEWEST_ROUNDS = 7
FEWEST_CALLS = 1000
FEWEST_INTERPRETERS = 10


def main() -> int:
    """Return 0 if all limits were kept, 1 if one was missed, 2 if there is no telling, 130 after Ctrl-C."""
    arguments = _parser().parse_args()
    # As an exception a SIGTERM goes through everything that has a child process to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with tempfile.TemporaryDirectory(prefix="aitronos-bench-") as home:
            return _run(arguments, Path(home))
    except ChildError as error:
        print(f"Nothing was decided: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _run(arguments: argparse.Namespace, home: Path) -> int:
    print(f"{arguments.interpreters} fresh interpreters for each import, in turn ...", flush=True)
    imports = measure_imports(arguments.interpreters, home)
    print(f"\n{imports_table(imports)}\n", flush=True)
    print(f"{arguments.rounds} rounds of {arguments.calls} sequential calls each, in turn ...", flush=True)
    calls = measure_calls(arguments.rounds, arguments.calls, home)
    print(f"\n{calls_table(calls)}")
    print("ratio: to the bare session in the same round, median of the rounds\n")
    verdicts = [*import_verdicts(imports), *call_verdicts(calls)]
    for verdict in verdicts:
        print(verdict.line())
    if _is_quick(arguments):
        print(
            f"A quick run: the limits hold for at least {FEWEST_ROUNDS} rounds of {FEWEST_CALLS} calls and "
            f"{FEWEST_INTERPRETERS} interpreters."
        )
    if arguments.figure is not None:
        arguments.figure.write_text(figure(imports, calls, _note(arguments)), encoding="utf-8")
        print(f"The figure is in {arguments.figure}")
    return 0 if all(verdict.kept for verdict in verdicts) else 1


def _note(arguments: argparse.Namespace) -> str:
    """Return how a run measured."""
    note = (
        f"{arguments.rounds} rounds of {arguments.calls} calls, {arguments.interpreters} interpreters "
        f"for each import; Python {platform.python_version()}, {os.cpu_count()} cores"
    )
    return f"Quick run, a rough picture: {note}" if _is_quick(arguments) else note


def _is_quick(arguments: argparse.Namespace) -> bool:
    return bool(
        arguments.rounds < FEWEST_ROUNDS
        or arguments.calls < FEWEST_CALLS
        or arguments.interpreters < FEWEST_INTERPRETERS
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=_between(1, 100), default=9, help="rounds of calls, default 9")
    parser.add_argument(
        "--calls", type=_between(1, 100_000), default=FEWEST_CALLS, help="calls in a round, default 1000"
    )
    parser.add_argument(
        "--interpreters", type=_between(1, 100), default=FEWEST_INTERPRETERS, help="per import, default 10"
    )
    parser.add_argument("--figure", type=Path, metavar="PATH", help="draw the medians into an SVG file")
    return parser


def _between(smallest: int, largest: int) -> Callable[[str], int]:
    """Return a parser of whole numbers within limits."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not smallest <= int(text) <= largest:
            raise argparse.ArgumentTypeError(f"not a whole number from {smallest} to {largest}: {text}")
        return int(text)

    return parse


if __name__ == "__main__":
    sys.exit(main())
