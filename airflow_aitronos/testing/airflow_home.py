"""A temporary Airflow home, which Airflow has to be told of before it is first imported."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from airflow_aitronos.testing.own_connection import NO_SECRETS_BACKEND


class AirflowHome:
    """
    Point Airflow to a temporary home until it is removed; only before Airflow is imported.

    Every other setting of the environment's is set aside: an executor, a secrets backend, a store for logs or
    for XCom would lead out of the home.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="aitronos-airflow-"))
        self.dags_folder = self.path / "dags"
        self.dags_folder.mkdir()
        self._variables = {
            "AIRFLOW_HOME": str(self.path),
            "AIRFLOW_CONFIG": str(self.path / "airflow.cfg"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags_folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.path / 'airflow.db'}",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.path / "logs"),
            "AIRFLOW__LOGGING__REMOTE_LOGGING": "False",
            **NO_SECRETS_BACKEND,
        }
        self._before = {
            name: value
            for name, value in os.environ.items()
            if name in self._variables or name.startswith("AIRFLOW__")
        }
        for name in self._before:
            del os.environ[name]
        os.environ.update(self._variables)

    def remove(self) -> None:
        """Delete the home, and put the environment back."""
        for name in self._variables:
            os.environ.pop(name, None)
        os.environ.update(self._before)
        shutil.rmtree(self.path, ignore_errors=True)
