"""A log that keeps its lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partialmethod

from tests.support.fake_clock import Clock, FakeClock


@dataclass(frozen=True)
class Line:
    """One line that was handed to a logger."""

    level: str
    text: str
    when: float  # on the log's clock


@dataclass
class RecordingLog:
    """Stand in for a logger of Airflow's, in front of all masking.

    :param clock: what the time of a line is read from.
    """

    clock: Clock = field(default_factory=FakeClock)
    lines: list[Line] = field(default_factory=list)

    def _add(self, level: str, event: str, *args: object) -> None:
        self.lines.append(Line(level, event % args if args else event, self.clock.monotonic()))

    info = partialmethod(_add, "INFO")
    warning = partialmethod(_add, "WARNING")

    def texts(self, level: str = "") -> list[str]:
        """Return the texts of all lines, or of one level."""
        return [line.text for line in self.lines if level in ("", line.level)]
