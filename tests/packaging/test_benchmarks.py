"""How the benchmarks measure, what they decide, and what they draw."""

from __future__ import annotations

import pytest

from benchmarks.result import Verdict, median_ratio


def test_a_ratio_is_of_one_round() -> None:
    assert median_ratio([1.1, 22, 3.6], [1, 20, 3]) == pytest.approx(1.1)


@pytest.mark.parametrize(("found", "word"), [(1.1, "kept"), (1.11, "MISSED")])
def test_a_limit_is_kept_or_missed(found: float, word: str) -> None:
    assert Verdict("a call", found, 1.1).line().split()[0] == word
