"""What Airflow reads at start-up to learn of this provider."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """
    Return the provider's metadata, as Airflow's provider-info schema describes it.

    ``package-name`` must be the canonical name of the distribution: a mismatch, like any violation of the
    schema, stops every Airflow process from starting. Both are guarded by tests.
    """
    return {
        "package-name": "airflow-provider-aitronos",
        "name": "Aitronos",
        "description": "Detach workflows from `Aitronos <https://docs.aitronos.com>`__ AI assistants.",
        "integrations": [
            {
                "integration-name": "Aitronos",
                "external-doc-url": "https://docs.aitronos.com",
                "tags": ["service"],
            }
        ],
        "hooks": [
            {"integration-name": "Aitronos", "python-modules": ["airflow_aitronos.hooks.aitronos"]},
        ],
        "operators": [
            {"integration-name": "Aitronos", "python-modules": ["airflow_aitronos.operators.assistants"]},
        ],
        "connection-types": [
            {
                "connection-type": "aitronos",
                "hook-class-name": "airflow_aitronos.hooks.aitronos.AitronosHook",
                "hook-name": "Aitronos",
                "ui-field-behaviour": _form(),
            }
        ],
    }


def _form() -> dict[str, Any]:
    """Return the connection form, which Airflow 3.2 and later read from here; 3.1 asks the hook class."""
    return {
        "hidden-fields": ["login", "schema"],
        "relabeling": {"password": "API key", "host": "Base URL"},
        "placeholders": {
            "host": "https://api.aitronos.com",
            "password": "API key, sent as X-API-Key",
            "extra": '{"total_timeout": 120, "max_attempts": 4}',
        },
    }
