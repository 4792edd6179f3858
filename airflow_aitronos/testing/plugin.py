"""The pytest plugin: what every pytest run loads, so it imports next to nothing before a fixture is used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_aitronos.testing.airflow_home import AirflowHome
    from airflow_aitronos.testing.airflow_runs import AirflowRunner
    from airflow_aitronos.testing.clock import SkippingClock
    from airflow_aitronos.testing.sandbox import Sandbox

INI = "aitronos_airflow_home"
"""The ini option that asks for a temporary Airflow home from the start."""

TOO_LATE = (
    f"Airflow was imported before its temporary home was set up: add `{INI} = true` to pytest's ini options "
    "(under [pytest] in pytest.ini or [tool.pytest.ini_options] in pyproject.toml). "
    "The home and the database that Airflow has now are left alone."
)
TOO_LATE_FOR_INI = (
    f"`{INI}` is set, but Airflow was imported before pytest read its options: by another plugin (given with "
    "-p or installed, `pytest --trace-config` lists them), or by an earlier run of pytest in this process. "
    "The home and the database that Airflow has now are left alone."
)

_HOME = pytest.StashKey["AirflowHome"]()


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
        _home(early_config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """
    Remove the temporary Airflow home.

    :param config: pytest's configuration.
    """
    if (home := config.stash.get(_HOME, None)) is not None:
        home.remove()


def _home(config: pytest.Config) -> AirflowHome:
    """Return the temporary Airflow home of this pytest run, made when it is first asked for."""
    if _HOME not in config.stash:
        if "airflow" in sys.modules:
            raise pytest.UsageError(TOO_LATE_FOR_INI if config.getini(INI) else TOO_LATE)
        from airflow_aitronos.testing.airflow_home import AirflowHome

        config.stash[_HOME] = AirflowHome()
    return config.stash[_HOME]


# Both with the test's own monkeypatch: another one would be undone before it, and then be overwritten by it.
@pytest.fixture
def aitronos_sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A running stand-in for the Aitronos API, and the connection ``aitronos_default`` to it."""
    from airflow_aitronos.sandbox.server import SandboxServer
    from airflow_aitronos.testing.sandbox import Sandbox

    with SandboxServer() as server:
        sandbox = Sandbox(server, monkeypatch)
        sandbox.connect()
        yield sandbox


@pytest.fixture
def aitronos_no_waits(monkeypatch: pytest.MonkeyPatch) -> SkippingClock:
    """A clock for the hook on which waits between attempts cost nothing; ``waits`` lists them in seconds."""
    from airflow_aitronos.hooks.aitronos import AitronosHook
    from airflow_aitronos.testing.clock import SkippingClock

    clock = SkippingClock()
    monkeypatch.setattr(AitronosHook, "clock", clock)
    return clock


@pytest.fixture(scope="session")
def aitronos_airflow(pytestconfig: pytest.Config) -> AirflowRunner:
    """A temporary Airflow home, migrated once, in which ``run(dag)`` runs a DAG."""
    from airflow_aitronos.testing.airflow_runs import AirflowRunner

    home = _home(pytestconfig)
    return AirflowRunner(home.dags_folder)
