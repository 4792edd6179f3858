"""Where measured processes run: the same clean environment for all of them."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

_KEPT = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """
    Return the environment of a measured process.

    It is built from nothing rather than filtered: a proxy, a CA bundle or a ``.netrc`` of this machine would
    cost some contenders more than others.

    :param home: a new folder that stands for the user's home.
    :param more: further variables.
    """
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "HOME": str(home), "LANG": "C.UTF-8", "PYTHONUTF8": "1", **more}


def airflow_environment(home: Path, **more: str) -> dict[str, str]:
    """
    Return the environment of a measured process that imports Airflow.

    :param home: a new folder that stands for the user's home, and for Airflow's.
    :param more: further variables.
    """
    return clean_environment(
        home,
        AIRFLOW_HOME=str(home / "airflow"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        # The lines that an Airflow installation writes at INFO, which is its default.
        AIRFLOW__LOGGING__LOGGING_LEVEL="INFO",
        **more,
    )
