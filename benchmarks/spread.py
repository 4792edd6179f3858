"""Several measurements of one thing, and what to tell of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Spread:
    """
    Smallest, median and largest of several measurements.

    :param smallest: of them.
    :param median: of them.
    :param largest: of them.
    """

    smallest: float
    median: float
    largest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """
        Return the spread of some measurements.

        :param values: at least one.
        """
        return cls(min(values), statistics.median(values), max(values))

    def text(self, scale: float, digits: int) -> list[str]:
        """
        Return the three as text.

        :param scale: what each is multiplied with: 1e6 shows seconds as microseconds.
        :param digits: behind the decimal point.
        """
        return [f"{value * scale:.{digits}f}" for value in (self.smallest, self.median, self.largest)]


def median_ratio(values: Sequence[float], others: Sequence[float]) -> float:
    """
    Return the median of the ratios of measurements that were made side by side.

    A ratio within one round survives what slows down the machine for a while; the ratio of two medians does
    so less well.

    :param values: one for each round.
    :param others: one for each round.
    """
    return statistics.median(value / other for value, other in zip(values, others, strict=True))
