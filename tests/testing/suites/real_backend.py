"""A secrets backend that knows the connection to the real API."""

from __future__ import annotations

import json
from typing import Any

from airflow.secrets import BaseSecretsBackend


class RealBackend(BaseSecretsBackend):
    def __init__(self, **_: Any) -> None:
        super().__init__()

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        return json.dumps({"conn_type": "aitronos", "host": "https://real.example", "password": "real-key"})
