"""Surroundings of the wire tests."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

# The checks of the runner then say what they compared, as those of a test do.
pytest.register_assert_rewrite("tests.wire.runner")

from airflow_aitronos.hooks.aitronos import AitronosHook  # noqa: E402  # see above
from tests.wire.runner import connect  # noqa: E402


@pytest.fixture(scope="package", autouse=True)
def _warm_airflow() -> None:
    """Look up a connection: the first time Airflow imports for seconds, which no call is to be blamed for."""
    with pytest.MonkeyPatch.context() as patch:
        connect(patch, "http://127.0.0.1")
        AitronosHook().get_conn()


@pytest.fixture(scope="package", autouse=True)
def _quick_collections(_warm_airflow: None) -> Iterator[None]:
    """Leave what is loaded already out of the collections that follow every case."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
