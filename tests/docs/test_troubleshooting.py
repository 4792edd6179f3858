"""The page of messages and the code that makes them cannot drift apart."""

from __future__ import annotations

import re

import pytest

from tests.docs.messages import FEWEST_WORDS, all_texts, message_pieces, pieces
from tests.docs.pages import DOCS, tables
from tests.docs.readme import code_words

PAGE = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
WORDS_OF_THE_PAGE = " ".join(PAGE.split())


@pytest.mark.parametrize(
    ("module", "piece"), sorted(set(message_pieces())), ids=lambda value: value[:60] if value else "-"
)
def test_every_piece_of_a_message_is_on_the_page(module: str, piece: str) -> None:
    # A message whose sentences are spread over two columns is looked for sentence by sentence.
    for sentence in re.split(r"(?<=[.?]) (?=[A-Z])", piece):
        assert sentence.strip(". ") in WORDS_OF_THE_PAGE, f"{module}.py says: {sentence}"


def test_every_message_of_the_page_is_in_the_code() -> None:
    texts = all_texts()
    missing = [
        sentence
        for row in (row for table in tables(PAGE) for row in table if len(row) == 3)
        for message in code_words(row[0]) + code_words(row[2])
        for piece in pieces(message)
        for sentence in re.split(r"(?<=[.?]) (?=[A-Z])", piece)
        if len(sentence.split()) >= FEWEST_WORDS + 1 and not _is_in(sentence, texts)
    ]
    assert not missing, "\n".join(missing)


def _is_in(sentence: str, texts: str) -> bool:
    """Return whether the code has a sentence, the name of the field before it aside."""
    bare = re.sub(r"^(Password|Extra|Schema|Host|Port|must be) ", "", sentence.strip(". "))
    return bare in texts or bare.removeprefix("be ").removeprefix("must be ") in texts
