"""A running sandbox and callers with keys for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from airflow_aitronos.sandbox.server import SandboxServer
from tests.sandbox.caller import Api, MakeApi
from tests.sandbox.contract import API_KEY


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def make_api(sandbox: SandboxServer) -> Iterator[MakeApi]:
    """Make a caller with a key of one's own."""
    with ExitStack() as callers:
        yield lambda key: callers.enter_context(Api(sandbox.url, key))


@pytest.fixture
def api(make_api: MakeApi) -> Api:
    """A caller with the key that may do everything."""
    return make_api(API_KEY)
