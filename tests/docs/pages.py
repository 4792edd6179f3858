"""The pages of docs/ and the README: their code blocks and tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.docs.readme import README

DOCS = README.parent / "docs"
LANGUAGES = dict.fromkeys(("python", "py", "python3", "pycon"), "python") | dict.fromkeys(
    ("bash", "sh", "shell", "console", "zsh"), "bash"
)
_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})[ ]*\{?[ .]*(?P<language>[\w+-]*)[^\n]*\n"
    r"(?P<code>.*?)^(?P=indent)(?P=fence)[ ]*$",
    re.M | re.S,
)
_MARK = re.compile(r"<!-- (?P<kind>not run|run by): (?P<text>[^\n]+?) -->\s*\Z")


@dataclass(frozen=True)
class Block:
    """
    A code block of a page.

    :param page: its file.
    :param line: of the page where the block begins.
    :param language: ``python`` or ``bash``.
    :param code: what stands in it.
    :param not_run: why the block is not run, None if it is.
    :param run_by: path of the test file that runs it, from the root of the repository; None for the test of
        all pages.
    """

    page: Path
    line: int
    language: str
    code: str
    not_run: str | None
    run_by: str | None


def pages() -> list[Path]:
    """Return all pages of docs/, in order of their names."""
    return sorted(DOCS.rglob("*.md"))


def blocks_of(page: Path) -> list[Block]:
    """
    Return the blocks of a page that a reader would run, in order.

    :param page: its file.
    """
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        language = LANGUAGES.get(match["language"])
        if language is None:
            continue
        mark = _MARK.search(text, 0, match.start())
        kind = mark["kind"] if mark else None
        indent = match["indent"]
        found.append(
            Block(
                page=page,
                line=text.count("\n", 0, match.start()) + 1,
                language=language,
                code=re.sub(f"^{indent}", "", match["code"], flags=re.M),
                not_run=mark["text"] if mark and kind == "not run" else None,
                run_by=mark["text"] if mark and kind == "run by" else None,
            )
        )
    return found


def tables(text: str) -> list[list[list[str]]]:
    """
    Return the rows of every table of a page, heads and rules aside.

    :param text: of the page.
    :raises ValueError: if rows stand without a head, as after a blank line, or right below other text: they
        are no table in the built page.
    """
    found = []
    for match in re.finditer(r"(?P<before>^.*\n)?(?P<rows>(?:^\|.*$\n?)+)", text, re.M):
        rows = [
            [cell.strip() for cell in row.strip().strip("|").split("|")] for row in match["rows"].splitlines()
        ]
        if (match["before"] or "").strip() not in ("", "<!-- matrix -->"):
            raise ValueError(f"not a table of its own: {match[0]}")
        if len(rows) < 2 or not all(re.fullmatch(":?-+:?", cell) for cell in rows[1]):
            raise ValueError(f"rows without a head: {match['rows']}")
        if odd := [row for row in rows if len(row) != len(rows[0])]:
            raise ValueError(f"a row with more or fewer cells than its head: {odd}")
        found.append(rows[2:])
    return found
