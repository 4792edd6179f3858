"""The sandbox stands alone: it imports the standard library and itself, so it runs wherever Python does."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
before = set(sys.modules)
import airflow_aitronos.sandbox.__main__
print(*sorted(
    name for name in set(sys.modules) - before
    if name.partition(".")[0] not in {*sys.stdlib_module_names, "airflow_aitronos"}
    or name.startswith("airflow_aitronos.") and not name.startswith("airflow_aitronos.sandbox")
))
"""


def test_imports_nothing_but_the_standard_library() -> None:
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
