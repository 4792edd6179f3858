"""The texts that the package may show a person, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent.parent / "airflow_aitronos"
SOURCES = ("client/*.py", "hooks/*.py", "operators/*.py", "sensors/*.py", "doctor.py", "retry_policy.py")
GAP = "…"
"""Stands for what a text is filled in with."""

SILENT = frozenset({"adapter", "exchange", "retry_after", "safe_text"})
"""Modules whose strings are patterns, or are replaced by another module's before anyone sees them."""

FEWEST_WORDS = 3
"""Of a piece of a message: fewer are names and separators."""


def message_pieces() -> list[tuple[str, str]]:
    """Return module and text of every piece of a message that stands between two gaps, in order."""
    return [
        (module, piece)
        for module, text in _texts()
        for piece in pieces(text)
        if len(piece.split()) >= FEWEST_WORDS and "\\" not in piece
    ]


def all_texts() -> str:
    """Return all texts, to look for words in."""
    return "\n".join(text for _, text in _texts())


def pieces(text: str) -> list[str]:
    """
    Return what stands between the gaps of a text, without the punctuation around it.

    :param text: with gaps.
    """
    return [" ".join(piece.split()).strip(" '\".,;:()") for piece in text.split(GAP)]


def _texts() -> Iterator[tuple[str, str]]:
    for path in sorted(path for source in SOURCES for path in PACKAGE.glob(source)):
        if path.stem not in SILENT:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            yield from ((path.stem, text) for text in _strings(tree))


def _strings(node: ast.AST) -> Iterator[str]:
    """Yield all strings but docstrings, those of f-strings as one with gaps."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values)
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                yield from _strings(part.value)
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "cast":
        yield from _strings(node.args[1])  # the type, before it, is no text
    elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        for child in ast.iter_child_nodes(node):
            yield from _strings(child)
