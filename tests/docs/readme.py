"""README.md, in the parts that tests read."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parent.parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    """
    Return the code blocks of a language, in order.

    :param language: as it stands behind the fence.
    """
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(encoding="utf-8"), re.M | re.S)


def table(first_heading: str) -> list[list[str]]:
    """
    Return the rows of a table, without its head.

    :param first_heading: of its first column.
    :raises LookupError: if there is no such table.
    """
    lines = README.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.startswith(f"| {first_heading} |"):
            rows: list[list[str]] = []
            for row in lines[number + 2 :]:
                if not row.startswith("|"):
                    return rows
                rows.append([cell.strip() for cell in row.strip("|").split("|")])
            return rows
    raise LookupError(f"README.md has no table that begins with {first_heading!r}")


def code_words(cell: str) -> list[str]:
    """
    Return what stands in backticks in a table's cell.

    :param cell: of a table.
    """
    return re.findall(r"`([^`]+)`", cell)
