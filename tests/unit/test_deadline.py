"""A call ends in time, whatever the clock does."""

from __future__ import annotations

import pytest

from airflow_aitronos.client.deadline import Deadline
from tests.support.fake_clock import FakeClock


class FrozenClock(FakeClock):
    """The clock of a test that has stopped time, but not ``sleep``."""

    def advance(self, seconds: float) -> None:
        """Let no time pass."""


def never() -> bool:
    return False


def test_a_wait_is_cut_into_slices(clock: FakeClock) -> None:
    Deadline(60, clock).sleep(2.2, never)
    assert clock.sleeps == pytest.approx([0.5, 0.5, 0.5, 0.5, 0.2])


@pytest.mark.parametrize("slices", [0, 1, 3])
def test_a_wait_ends_when_the_task_is_cancelled(clock: FakeClock, slices: int) -> None:
    Deadline(60, clock).sleep(60, lambda: len(clock.sleeps) >= slices)
    assert len(clock.sleeps) == slices


def test_a_frozen_clock_ends_a_wait_and_uses_up_the_deadline() -> None:
    clock = FrozenClock()
    deadline = Deadline(10, clock)
    deadline.sleep(4, never)
    assert clock.sleeps == [0.5] * 8
    assert (deadline.elapsed(), deadline.remaining()) == (4, 6)
    deadline.sleep(6, never)
    assert deadline.remaining() <= 0
