"""The quickstart, command by command, and the sandbox as a program."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from airflow_aitronos.doctor import STEPS
from airflow_aitronos.sandbox.server import SandboxServer
from tests.docs.pages import DOCS, README, blocks_of
from tests.support.programs import LIMIT, output_of

PAGE = DOCS / "quickstart.md"
INSTALL, SANDBOX, DAG_FILE, RUN = (block.code for block in blocks_of(PAGE) if block.language != "text")


@pytest.fixture
def port() -> Iterator[str]:
    """Start the sandbox as the page says, but on a free port."""
    command = shlex.split(SANDBOX)
    command[0] = sys.executable
    with subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            greeting = next(line for line in process.stdout if line.startswith("Aitronos sandbox on "))
            yield re.findall(r":([0-9]+)", greeting)[0]
        finally:
            process.terminate()
    assert process.returncode == 0


@pytest.mark.timeout(LIMIT)
def test_a_dag_runs_against_the_sandbox(port: str, tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "retire_support.py").write_text(DAG_FILE, encoding="utf-8")
    (tmp_path / "try-aitronos").symlink_to(sys.prefix)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    command = ["bash", "-euc", RUN.replace("8765", port)]
    printed = output_of(command, cwd=tmp_path, env={**environment, "HOME": str(tmp_path)})
    (shown,) = [block.code for block in blocks_of(PAGE) if block.language == "text"]
    assert shown.rstrip(" …\n") in printed
    assert "✓ API key: " in printed
    assert "state=success" in printed
    # The reset of the sandbox's page: what was detached is linked again.
    (reset,) = re.findall(r"curl -X POST http://127.0.0.1:8765(\S+)`", _text("reference/sandbox.md"))
    with urlopen(Request(f"http://127.0.0.1:{port}{reset}", method="POST")) as response:  # loopback
        assert response.status == 204
    link = Request(
        f"http://127.0.0.1:{port}/v1/assistants/asst_support01/workflow", headers={"X-API-Key": "sandbox-key"}
    )
    with urlopen(link) as response:
        assert json.load(response)["id"] == "flow_support01"


def test_the_commands() -> None:
    commands = f"{INSTALL}{SANDBOX}{RUN}".splitlines()
    assert len(commands) <= 10
    assert SandboxServer(port=8765).connection_json() in RUN
    pages = [README, DOCS / "reference" / "sandbox.md"]
    shown = [block.code for page in pages for block in blocks_of(page) if "sandbox" in block.code]
    starts = [one for one in shown if one.startswith("python3 -m airflow_aitronos.sandbox")]
    assert len(starts) == 2


def test_the_page_of_the_doctor_shows_every_step() -> None:
    assert tuple(re.findall(r"^[✓✗] ([^:]+): ", _text("reference/doctor.md"), re.M)) == STEPS


def test_the_options_of_the_sandbox_are_on_its_page() -> None:
    help_text = output_of([sys.executable, "-m", "airflow_aitronos.sandbox", "--help"])
    options = set(re.findall(r"--[a-z-]+", help_text)) - {"--help"}
    assert options == set(re.findall(r"--[a-z-]+", _text("reference/sandbox.md"))) - {"---"}


def _text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")
