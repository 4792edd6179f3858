"""See that Airflow takes the sandbox's connection, and not one that leads to the real API."""

from __future__ import annotations

import sys

import pytest

NO_SECRETS_BACKEND = {"AIRFLOW__SECRETS__BACKEND": "", "AIRFLOW__WORKERS__SECRETS_BACKEND": ""}
"""Variables that turn off what Airflow would ask for a connection before it looks into the environment."""


def require(conn_id: str, url: str) -> None:
    """
    Fail unless a connection leads to a sandbox.

    An Airflow that is imported later reads the variables then, so nothing is imported for this.

    :param conn_id: id of a connection that was just set in the environment.
    :param url: of the sandbox.
    :raises pytest.UsageError: if Airflow finds another connection.
    """
    if "airflow" not in sys.modules:
        return
    from airflow.sdk import BaseHook

    _forget_backends()
    if BaseHook.get_connection(conn_id).host != url:
        raise pytest.UsageError(
            f"Airflow does not take the connection {conn_id!r} from the environment, so the test would call "
            "another API than the sandbox. A secrets backend is asked first: unset AIRFLOW__SECRETS__BACKEND "
            "and AIRFLOW__WORKERS__SECRETS_BACKEND, or add `aitronos_airflow_home = true` to pytest's ini "
            "options."
        )


def _forget_backends() -> None:
    # Airflow 3.3 keeps the backends that it had in another test.
    configuration = sys.modules.get("airflow.sdk.configuration")
    if (clear := getattr(configuration, "clear_secrets_backends_cache", None)) is not None:
        clear()
