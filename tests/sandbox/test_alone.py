"""The sandbox stands alone: it imports nothing of Airflow or of the provider."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys, airflow_aitronos.sandbox.__main__
print(*sorted(
    name for name in sys.modules
    if name.partition(".")[0] in ("airflow", "requests", "tenacity")
    or name.startswith("airflow_aitronos.") and not name.startswith("airflow_aitronos.sandbox")
))
"""


def test_imports_nothing_of_airflow_or_of_the_provider() -> None:
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
