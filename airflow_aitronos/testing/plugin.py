"""The pytest plugin: what every pytest run loads, so it imports next to nothing before a fixture is used."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_aitronos.testing.airflow_runs import AirflowRunner
    from airflow_aitronos.testing.clock import SkippingClock
    from airflow_aitronos.testing.sandbox import Sandbox

INI = "aitronos_airflow_home"
"""The ini option that asks for a temporary Airflow home from the start."""

TOO_LATE = (
    f"Airflow was imported before its temporary home was set up. Add `{INI} = true` to pytest's ini options "
    "(under [pytest] in pytest.ini or [tool.pytest.ini_options] in pyproject.toml). If it is there already, "
    "another plugin imports Airflow (given with -p or installed; `pytest --trace-config` lists them). "
    "The home and the database that Airflow has now are left alone."
)

_FIXTURES = {"aitronos_sandbox", "aitronos_no_waits", "aitronos_airflow"}
_HOME = pytest.StashKey[ExitStack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """
    Add the ini option of this plugin.

    :param parser: of pytest's options.
    """
    parser.addini(INI, "give Airflow a temporary home from the start", type="bool", default=False)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """
    Set the temporary Airflow home where it was asked for, before a ``conftest.py`` can import Airflow.

    :param early_config: pytest's configuration.
    """
    if early_config.getini(INI):
        _set_home(early_config)


def _set_home(config: pytest.Config) -> None:
    """Give Airflow a temporary home, one for all of this pytest run."""
    if _HOME not in config.stash:
        if "airflow" in sys.modules:
            raise pytest.UsageError(TOO_LATE)
        from airflow_aitronos.testing.airflow_home import airflow_home

        config.stash[_HOME] = ExitStack()
        config.stash[_HOME].enter_context(airflow_home())
        config.add_cleanup(config.stash[_HOME].close)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """
    Let a test that uses a fixture of this plugin call no API but a running sandbox.

    Around all of the test, so that it holds in fixtures of a wider scope, too.

    :param item: the test.
    """
    with pytest.MonkeyPatch.context() as patch:
        if not _FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
            from airflow_aitronos.client import validation

            patch.setenv(validation.ALLOWED_ORIGINS, "")
            # For a test that empties its environment, as patch.dict(os.environ, clear=True) does.
            patch.setattr(validation, "origins_if_unset", "")
        return (yield)


# Both with the test's own monkeypatch: another one would be undone before it, and then be overwritten by it.
@pytest.fixture
def aitronos_sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A running stand-in for the Aitronos API, and the connection ``aitronos_default`` to it."""
    from airflow_aitronos.client import validation
    from airflow_aitronos.sandbox.server import SandboxServer
    from airflow_aitronos.testing.sandbox import Sandbox

    with SandboxServer() as server:
        monkeypatch.setenv(validation.ALLOWED_ORIGINS, server.url, prepend=" ")
        monkeypatch.setattr(validation, "origins_if_unset", server.url)
        sandbox = Sandbox(server, monkeypatch)
        sandbox.connect()
        yield sandbox
    sandbox.assert_faults_met()


@pytest.fixture
def aitronos_no_waits(monkeypatch: pytest.MonkeyPatch) -> SkippingClock:
    """A clock for the hook on which waits between attempts cost nothing; ``waits`` lists them in seconds."""
    from airflow_aitronos.client import validation
    from airflow_aitronos.hooks.aitronos import AitronosHook
    from airflow_aitronos.testing.clock import SkippingClock

    # A test that asks for this fixture by name, with request.getfixturevalue(), is not protected yet.
    monkeypatch.setenv(validation.ALLOWED_ORIGINS, "", prepend=" ")
    if validation.origins_if_unset is None:
        monkeypatch.setattr(validation, "origins_if_unset", "")
    clock = SkippingClock()
    monkeypatch.setattr(AitronosHook, "clock", clock)
    return clock


@pytest.fixture(scope="session")
def aitronos_airflow(pytestconfig: pytest.Config) -> AirflowRunner:
    """A temporary Airflow home, migrated once, in which ``run(dag)`` runs a DAG."""
    _set_home(pytestconfig)
    from airflow_aitronos.testing.airflow_runs import AirflowRunner

    return AirflowRunner()
