"""An environment of the tests' own: no home, no proxy, no certificate and no network of the machine's."""

from __future__ import annotations

import json
import os
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
# One for each process of pytest-xdist, which share no database.
AIRFLOW_HOME = REPOSITORY / ".airflow-tests" / os.environ.get("PYTEST_XDIST_WORKER", "main")

# Before anything imports Airflow, which reads all this once.
for name in list(os.environ):
    if name.startswith(("AIRFLOW_", "AIRFLOW__")) or name.lower().endswith("_proxy"):
        del os.environ[name]
for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"):
    os.environ.pop(name, None)
os.environ["AIRFLOW_HOME"] = str(AIRFLOW_HOME)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
# Airflow runs a DAG only out of a folder that it knows.
os.environ["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = json.dumps(
    [
        {
            "name": name,
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(REPOSITORY / folder)},
        }
        for name, folder in {"tests": "tests/task_runs/dags", "examples": "example_dags"}.items()
    ]
)
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"

import pytest  # noqa: E402  # see above
import pytest_socket  # noqa: E402
from hypothesis import settings  # noqa: E402

# The machine may be busy with other things: slowness is no fault of the code under test. The examples are the
# same each time, so that what is green stays green.
settings.register_profile("aitronos", deadline=None, derandomize=True, max_examples=200)
settings.load_profile("aitronos")

# Its checks then say what they compared, as those of a test do.
pytest.register_assert_rewrite("tests.wire.runner")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "case(id): a case of the fault matrix, such as H28")


@pytest.fixture(autouse=True)
def _only_loopback() -> None:
    """Let no test reach beyond this machine."""
    pytest_socket.socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
