"""What the import of an operator adds to a DAG file that has imported ``airflow.sdk``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.child import Child
from benchmarks.environment import airflow_environment
from benchmarks.spread import Spread
from benchmarks.table import table

OURS = "airflow_aitronos.operators.assistants"
THEIRS = "airflow.providers.http.operators.http"
_LONGEST_IMPORT = 120.0


@dataclass(frozen=True)
class Import:
    """
    One import in a fresh interpreter.

    :param wall: seconds.
    :param cpu: seconds of CPU.
    :param modules: number of modules that it loaded.
    :param http_libraries: those of ``requests`` and ``urllib3`` that are loaded afterwards.
    """

    wall: float
    cpu: float
    modules: int
    http_libraries: list[str]


Imports = Mapping[str, list[Import]]


def measure_imports(interpreters: int, home: Path) -> Imports:
    """
    Import both modules in fresh interpreters, in turn.

    :param interpreters: how many for each module.
    :param home: an empty folder.
    """
    modules = [OURS, THEIRS]
    for module in modules:  # compiles what is not compiled yet, and is not counted
        _import(module, home)
    imports: dict[str, list[Import]] = {module: [] for module in modules}
    for number in range(interpreters):
        for module in modules if number % 2 else reversed(modules):
            imports[module].append(_import(module, home))
    return imports


def imports_table(imports: Imports) -> str:
    """
    Return the table of imports.

    :param imports: as measured.
    """
    rows = []
    for module, measured in imports.items():
        last = measured[-1]
        rows.append(
            [
                module,
                *Spread.of([one.wall for one in measured]).text(1e3, 1),
                *Spread.of([one.cpu for one in measured]).text(1e3, 1),
                str(last.modules),
                ", ".join(last.http_libraries) or "none",
            ]
        )
    head = ["import over airflow.sdk, ms", "min", "median", "max", "CPU min", "median", "max", "modules"]
    return table([*head, "HTTP libraries"], rows)


def _import(module: str, home: Path) -> Import:
    command = [sys.executable, "-m", "benchmarks.import_probe", module]
    with Child(command, airflow_environment(home)) as probe:
        return Import(**json.loads(probe.read_line(_LONGEST_IMPORT)))
