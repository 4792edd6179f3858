"""
One import in a fresh interpreter: how long it takes, and what it loads.

Warm means what any DAG file has loaded by then. Prints a JSON object.
"""

from __future__ import annotations

import importlib
import json
import sys
import time

from airflow.sdk import DAG, BaseHook, BaseOperator, task  # noqa: F401  # what is warm

HTTP_LIBRARIES = ("requests", "urllib3")


def main() -> None:
    """Import the module that the first argument names."""
    before = set(sys.modules)
    cpu, wall = time.process_time(), time.perf_counter()
    importlib.import_module(sys.argv[1])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    loaded = set(sys.modules) - before
    print(
        json.dumps(
            {
                "wall": wall,
                "cpu": cpu,
                "modules": len(loaded),
                "http_libraries": [name for name in HTTP_LIBRARIES if name in sys.modules],
            }
        )
    )


if __name__ == "__main__":
    main()
