"""What older releases of Airflow do differently, for the tests that meet it."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from packaging.version import Version

try:  # Airflow 3.2 and later
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
    )
except ImportError:  # Airflow 3.1
    from airflow.exceptions import (  # type: ignore[attr-defined,no-redef]  # 3.1's path to the same
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
    )

__all__ = [
    "AIRFLOW",
    "HAS_FREE_RESCHEDULE",
    "HAS_STORE",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "needs_free_reschedule",
    "needs_lookup_outside_tasks",
    "needs_reschedule",
    "needs_unchecked_extra",
]

AIRFLOW = Version(version("apache-airflow-core"))
HAS_STORE = Version("3.3") <= AIRFLOW
"""Whether a later try of a task can know of an earlier one."""
HAS_FREE_RESCHEDULE = Version("3.4.0b1") <= AIRFLOW
"""Whether a task that failed can come back without using a retry."""

needs_lookup_outside_tasks = pytest.mark.skipif(
    Version("3.1.1") > AIRFLOW, reason="Airflow 3.1.0 asks for an unknown connection only in a task run"
)
needs_unchecked_extra = pytest.mark.skipif(
    Version("3.2") > AIRFLOW, reason="Airflow 3.1, outside a task run, refuses a bad Extra before we see it"
)
needs_reschedule = pytest.mark.skipif(
    Version("3.1.1") > AIRFLOW, reason="Airflow 3.1.0 fails a rescheduled sensor of a run in this process"
)
needs_free_reschedule = pytest.mark.skipif(
    not HAS_FREE_RESCHEDULE, reason="Airflow below 3.4 cannot bring a failed task back without a retry"
)
