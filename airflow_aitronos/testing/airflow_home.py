"""A temporary Airflow home, which Airflow has to be told of before it is first imported."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path


class AirflowHome:
    """Point Airflow to a temporary home until it is removed; only before Airflow is imported."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="aitronos-airflow-"))
        self.dags_folder = self.path / "dags"
        self.dags_folder.mkdir()
        variables = {
            "AIRFLOW_HOME": str(self.path),
            "AIRFLOW_CONFIG": str(self.path / "airflow.cfg"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags_folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.path / 'airflow.db'}",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.path / "logs"),
        }
        self._before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)

    def remove(self) -> None:
        """Delete the home, and put the environment back."""
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(self.path, ignore_errors=True)
