"""The pages of docs/ and the README: their code blocks and tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import REPOSITORY

README = REPOSITORY / "README.md"
DOCS = REPOSITORY / "docs"
PAGES = [README, *sorted(DOCS.rglob("*.md"))]

RUNNABLE = frozenset({"python", "bash"})
DATA = frozenset({"json", "ini", "text", "{eval-rst}"})
_FENCE = re.compile(r"^```(?P<language>\S*)\n(?P<code>.*?)^```$", re.M | re.S)
_MARK = re.compile(r"<!-- (?P<kind>not run|run by): (?P<text>[^\n]+?) -->\n\Z")


@dataclass(frozen=True)
class Block:
    """
    A code block of a page.

    :param line: of the page where the block begins.
    :param language: behind the fence.
    :param code: the content.
    :param not_run: why the block is not run, None if it is.
    :param run_by: path of the test file that runs it; None for the test of all pages.
    """

    line: int
    language: str
    code: str
    not_run: str | None
    run_by: str | None


def blocks_of(page: Path) -> list[Block]:
    """
    Return all code blocks of a page, in order.

    :param page: its file.
    """
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        mark = _MARK.search(text, 0, match.start())
        marks = {mark["kind"]: mark["text"]} if mark else {}
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(line, match["language"], match["code"], marks.get("not run"), marks.get("run by")))
    return found


def rows(page: Path, first_heading: str) -> list[list[str]]:
    """
    Return the rows of a table, without its head.

    :param page: its file.
    :param first_heading: of the first column.
    :raises ValueError: if there is no such table.
    """
    table = re.search(
        rf"^\| {re.escape(first_heading)} \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", page.read_text("utf-8"), re.M
    )
    if table is None:
        raise ValueError(f"{page.name} has no table that begins with {first_heading!r}")
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table[1].splitlines()]


def code_words(cell: str) -> list[str]:
    """
    Return what stands in backticks in a table's cell.

    :param cell: of a table.
    """
    return re.findall(r"`([^`]+)`", cell)
