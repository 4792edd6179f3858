"""What Airflow reads at start-up to learn of this provider."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """
    Return the provider's metadata, as Airflow's provider-info schema describes it.

    ``package-name`` must be the canonical name of the distribution: a mismatch, like any violation of the
    schema, stops every Airflow process from starting. Tests keep both from happening.
    """
    return {
        "package-name": "airflow-provider-aitronos",
        "name": "Aitronos",
        "description": "Detach workflows from Aitronos AI assistants.",
        "integrations": [
            {
                "integration-name": "Aitronos",
                "external-doc-url": "https://docs.aitronos.com",
                "tags": ["service"],
            }
        ],
        "hooks": _modules("hooks.aitronos"),
        "operators": _modules("operators.assistants", "operators.fleet", "operators.workflows"),
        "sensors": _modules("sensors.assistants"),
        "triggers": _modules("triggers.assistants"),
        "connection-types": [
            {
                "connection-type": "aitronos",
                "hook-class-name": "airflow_aitronos.hooks.aitronos.AitronosHook",
                "hook-name": "Aitronos",
                "ui-field-behaviour": _form(),
                "conn-fields": _extra_fields(),
            }
        ],
    }


def _modules(*names: str) -> list[dict[str, Any]]:
    modules = [f"airflow_aitronos.{name}" for name in names]
    return [{"integration-name": "Aitronos", "python-modules": modules}]


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


def _extra_fields() -> dict[str, Any]:
    """Return the form's fields for Extra; one that stays empty stands for the default."""
    return {
        "connect_timeout": _seconds("Connect timeout", 0.001, "to connect, for each address. Default 5."),
        "read_timeout": _seconds("Read timeout", 0.001, "without a byte. Default 30."),
        "total_timeout": _seconds(
            "Total timeout", 0.001, "for one call: all attempts, waits and slow bodies. Default 120."
        ),
        "max_attempts": {
            "label": "Maximum attempts",
            "description": "Attempts for one call, 1 to 10. Default 4.",
            "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 10},
        },
        "max_backoff": _seconds(
            "Maximum backoff",
            0,
            "to wait at most between two attempts, unless the server names a wait. Default 20.",
        ),
        "max_retry_after": _seconds(
            "Maximum Retry-After",
            0,
            "that the server may ask a call to wait; a longer wait fails the call. Default 60.",
        ),
        "verify": {
            "label": "Verify certificates",
            "description": "Empty for yes, or the path of a CA bundle. false gives up the protection of TLS.",
            "schema": {"type": ["string", "null"]},
        },
        "allow_http": {
            "label": "Allow http://",
            "description": "Permit http:// to a host that is not this machine: the key travels unencrypted.",
            "schema": {"type": ["boolean", "null"], "default": False},
        },
    }


def _seconds(label: str, smallest: float, what: str) -> dict[str, Any]:
    return {
        "label": label,
        "description": f"Seconds {what}",
        "schema": {"type": ["number", "null"], "minimum": smallest, "maximum": 86_400},
    }
