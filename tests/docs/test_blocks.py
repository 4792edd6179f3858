"""Every block of Python or shell in README and docs/ runs, or says why not."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from airflow_aitronos.sandbox.server import SandboxServer
from tests.conftest import REPOSITORY
from tests.docs.pages import DATA, DOCS, PAGES, README, RUNNABLE, Block, blocks_of
from tests.support.programs import LIMIT, output_of

Names = dict[str, Any]


def run_here(page: Path) -> list[Block]:
    """Return the blocks of a page that this module has to run."""
    blocks = [block for block in blocks_of(page) if block.language in RUNNABLE]
    return [block for block in blocks if block.not_run is None and block.run_by is None]


# --- what a page has done in the end ---


def readme(names: Names, sandbox: SandboxServer) -> None:
    (xcom,) = [block.code for block in blocks_of(README) if block.language == "json"]
    assert names["DAG"] is not None
    assert names["detach"].execute({}) == json.loads(xcom)
    assert [one.method for one in sandbox.requests] == ["GET", "DELETE"]


def hook(names: Names, sandbox: SandboxServer) -> None:
    assert names["linked"]["id"] == "flow_support01"
    assert names["spare"] == ["flow_spare01"]
    assert names["workflow"] == names["deployed"]


def recovery(names: Names, sandbox: SandboxServer) -> None:
    assert "flow_support01" in dict(names["unlinked"])
    new = names["promoted"]["assistant_id"]
    assert sandbox.store.get_linked_workflow(new).id == "flow_support01"
    rebuilt = sandbox.store.get_linked_workflow("asst_support01")
    assert rebuilt.id == names["rebuilt"]["id"] != "flow_support01"
    assert rebuilt.definition == names["workflow"]["definition"]
    assert sandbox.store.get_workflow("flow_support01").is_active


def many(names: Names, sandbox: SandboxServer) -> None:
    assert names["dag"].get_task("detach_all").execute({})["counts"] == {"detached": 200}


CHECKS: dict[str, Callable[[Names, SandboxServer], None]] = {
    "README": readme,
    "hook": hook,
    "many": many,
    "recovery": recovery,
}


@pytest.mark.parametrize("page", [page for page in PAGES if run_here(page)], ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sandbox for each page, as for a reader who goes through it; each block runs by itself."""
    names: Names = {}
    monkeypatch.chdir(tmp_path)
    # Blocks may set variables of their own, which end with the page.
    with patch.dict(os.environ), SandboxServer(fleet=200) as sandbox:
        os.environ["AIRFLOW_CONN_AITRONOS_DEFAULT"] = sandbox.connection_json()
        if page.stem == "recovery":
            sandbox.store.detach("asst_support01")
        for block in run_here(page):
            if block.language == "python":
                alone: Names = {"__name__": "page"}
                # As many lines in front as the page has, so that a traceback names the page's line.
                exec(compile("\n" * block.line + block.code, str(page), "exec"), alone)
                names.update(alone)
            else:
                path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
                output_of(["bash", "-euc", block.code], env={**os.environ, "PATH": path})
        if page.stem in CHECKS:
            CHECKS[page.stem](names, sandbox)


def test_every_check_is_used() -> None:
    assert set(CHECKS) <= {page.stem for page in PAGES if run_here(page)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_block_is_overlooked(page: Path) -> None:
    """A block in another language, or in a directive of Sphinx, could be code that nobody runs."""
    text = page.read_text(encoding="utf-8")
    assert len(re.findall(r"^\s*(?:```|~~~)", text, re.M)) == 2 * len(blocks_of(page))
    assert "code-block" not in text
    for block in blocks_of(page):
        assert block.language in RUNNABLE | DATA, f"line {block.line}"
        assert block.not_run is None or len(block.not_run.split()) >= 3, f"line {block.line}: no reason"
        assert block.run_by is None or (REPOSITORY / block.run_by).is_file(), f"line {block.line}"


def test_every_example_dag_is_on_a_page() -> None:
    included = "\n".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
    for example in (REPOSITORY / "example_dags").glob("*.py"):
        assert f"literalinclude}} ../../example_dags/{example.name}\n" in included


@pytest.mark.timeout(LIMIT)
def test_the_demo_prints_what_the_readme_shows() -> None:
    assert "\n\t$(RUN) dev/demo.py\n" in (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    (shown,) = [block.code for block in blocks_of(README) if block.language == "text"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    printed = output_of([sys.executable, "dev/demo.py"], cwd=REPOSITORY, env=environment)
    assert _without_chance(shown) <= _without_chance(printed)


def _without_chance(text: str) -> set[str]:
    """Return the lines of a text without durations and ids that differ from run to run."""
    return set(re.sub(r" +\d+(\.\d+)? s\b", " s", re.sub(r"req_[0-9a-f]+", "req_", text)).splitlines())
