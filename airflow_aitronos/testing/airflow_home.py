"""A temporary Airflow home, which Airflow has to be told of before it is first imported."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch


@contextmanager
def airflow_home() -> Iterator[None]:
    """
    Point Airflow to a temporary home inside a block; only before Airflow is imported.

    All other settings of the environment are set aside: an executor, a secrets backend, a store for logs or
    for XCom would lead out of the home.
    """
    with (
        tempfile.TemporaryDirectory(prefix="aitronos-airflow-", ignore_cleanup_errors=True) as home,
        patch.dict(os.environ),
    ):
        for name in [one for one in os.environ if one == "AIRFLOW_CONFIG" or one.startswith("AIRFLOW__")]:
            del os.environ[name]
        os.environ["AIRFLOW_HOME"] = home
        os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
        yield
