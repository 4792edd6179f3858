"""Every case of the fault matrix is defined, and defined once."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
SIZES = {"N": 29, "H": 48, "I": 16, "C": 24, "A": 18}
"""Network, HTTP, input, connection and Airflow cases."""

DEFINERS = {"case", "RecordedFault", "WireCase"}
"""What defines a case: its first argument is the id."""


def _defined(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id in DEFINERS and node.args and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value)


def test_every_case_is_defined_exactly_once() -> None:
    expected = {f"{letter}{number}" for letter, size in SIZES.items() for number in range(1, size + 1)}
    defined = Counter(case_id for path in TESTS.rglob("*.py") for case_id in _defined(path))
    assert sorted(expected - set(defined)) == []
    assert sorted(set(defined) - expected) == []
    assert [case_id for case_id, times in defined.items() if times > 1] == []
