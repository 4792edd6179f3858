"""Surroundings of the wire tests."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

# The checks of the runner then say what they compared, as those of a test do.
pytest.register_assert_rewrite("tests.wire.runner")


@pytest.fixture(scope="package", autouse=True)
def _quick_collections() -> Iterator[None]:
    """Leave what is loaded already out of the collections that follow every case."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
