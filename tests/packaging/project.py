"""What the project says of itself, for the tests that hold it to that."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent.parent
PACKAGE = REPOSITORY / "airflow_aitronos"
PYPROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def module_names() -> list[str]:
    """Return the name of every module of the package."""
    names = []
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        names.append(name.removesuffix(".__init__"))
    assert "airflow_aitronos" in names
    return sorted(names)
