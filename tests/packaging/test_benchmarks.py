"""How the benchmarks measure, what they decide, and what they draw."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from benchmarks.figure import figure
from benchmarks.result import Bar, Result, Verdict, median_ratio


def test_a_ratio_is_of_one_round() -> None:
    assert median_ratio([1.1, 22, 3.6], [1, 20, 3]) == pytest.approx(1.1)


@pytest.mark.parametrize(("found", "word"), [(1.1, "kept"), (1.11, "MISSED")])
def test_a_limit_is_kept_or_missed(found: float, word: str) -> None:
    assert Verdict("a call", found, 1.1).line().split()[0] == word


def test_the_figure_shows_what_was_measured() -> None:
    bars = [Bar("ours", 0.02, "2 ms", True), Bar("theirs", 4.0, "400 ms", False)]
    root = ElementTree.fromstring(figure([Result("imports", bars, [])], "a < b"))
    svg = "{http://www.w3.org/2000/svg}"
    texts = [text.text for text in root.iter(f"{svg}text")]
    assert texts == ["imports", "ours", "2 ms", "theirs", "400 ms", "a < b"]
    card, *widths = [rect.get("width") for rect in root.iter(f"{svg}rect")]
    assert card == root.get("width")
    assert widths == ["2.0", "330.0"]
