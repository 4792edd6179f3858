"""The vendor's client, in a venv of its own: neither Airflow nor this package is needed to run it."""

from __future__ import annotations

import sys

from aitronos import Aitronos  # type: ignore[import-not-found]  # in its own venv

from benchmarks.contenders import API_KEY, SDK, TIMEOUT
from benchmarks.keep_alive_server import ASSISTANT_ID
from benchmarks.worker import serve


def main() -> None:
    """Serve the client on the server that the first argument names."""
    client = Aitronos(base_url=sys.argv[1], api_key=API_KEY, timeout=TIMEOUT)
    serve({SDK: lambda: client.assistants.detach_assistant_workflow(ASSISTANT_ID).workflow_id})


if __name__ == "__main__":
    main()
