"""What the project says of itself, for the tests that hold it to that."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent.parent
PACKAGE = REPOSITORY / "airflow_aitronos"
PYPROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))

_PIN = re.compile(r"(?P<name>[a-z0-9]+(-[a-z0-9]+)*)==(?P<version>[0-9][0-9A-Za-z.+!]*)( ; (?P<marker>.+))?")


def module_names() -> list[str]:
    """Return the name of every module of the package."""
    names = []
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        names.append(name.removesuffix(".__init__"))
    assert "airflow_aitronos" in names
    return sorted(names)


def pins_in(path: Path) -> list[tuple[str, str, str]]:
    """Return name, version and marker (empty for none) of every line of a file, and fail if one is no pin."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        match = _PIN.fullmatch(line)
        assert match, line
        found.append((match["name"], match["version"], match["marker"] or ""))
    return found
