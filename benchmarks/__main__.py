"""Run the benchmarks, print what they measured, and say which limits were kept."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks import calls, fleet, imports, mapped
from benchmarks.figure import figure

SUITES = {"imports": imports.run, "calls": calls.run, "fleet": fleet.run, "mapped": mapped.run}
"""By name, a function that measures in an empty folder and returns a ``Result``."""


def main() -> int:
    """Return 0 if all limits were kept, 1 if one was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"{', '.join(SUITES)}; default: all")
    parser.add_argument("--figure", type=Path, metavar="PATH", help="draw the result into an SVG file")
    options = parser.parse_args()
    if unknown := set(options.suites) - set(SUITES):
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    results = []
    with tempfile.TemporaryDirectory(prefix="aitronos-bench-") as home:
        for name in options.suites or SUITES:
            print(f"measuring {name} ...", flush=True)
            results.append(SUITES[name](Path(home)))
            print(f"{results[-1].table()}\n", flush=True)
    verdicts = [verdict for result in results for verdict in result.verdicts]
    print("\n".join(verdict.line() for verdict in verdicts))
    if options.figure is not None:
        note = f"Python {platform.python_version()}, {os.cpu_count()} cores"
        options.figure.write_text(figure(results, note), encoding="utf-8")
        print(f"The figure is in {options.figure}")
    return 0 if all(verdict.is_kept for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
