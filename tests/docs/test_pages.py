"""Every block of Python or shell on a page runs or says why not, and the pages build without a warning."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from airflow_aitronos.client.settings import _OPTIONS
from airflow_aitronos.sandbox.server import SandboxServer
from tests.conftest import REPOSITORY
from tests.docs.pages import DOCS, Block, blocks_of, pages, tables
from tests.docs.readme import README, blocks, code_words

LIMIT = 120
"""Seconds that one block of shell, or the build of all pages, may take."""


def run_here(page: Path) -> list[Block]:
    """Return the blocks of a page that this module has to run."""
    return [block for block in blocks_of(page) if block.not_run is None and block.run_by is None]


@pytest.mark.timeout(2 * LIMIT)
@pytest.mark.parametrize("page", [page for page in pages() if run_here(page)], ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sandbox and one namespace for each page, as for a reader who goes through it."""
    names: dict[str, Any] = {"__name__": "page"}
    monkeypatch.chdir(tmp_path)
    # Blocks may set variables of their own, which end with the page.
    with patch.dict(os.environ), SandboxServer() as sandbox:
        os.environ["AIRFLOW_CONN_AITRONOS_DEFAULT"] = sandbox.connection_json()
        for block in run_here(page):
            if block.language == "python":
                # As many lines in front as the page has, so that a traceback names the page's line.
                exec(compile("\n" * block.line + block.code, str(page), "exec"), names)
            else:
                run_shell(block.code, tmp_path)


def run_shell(code: str, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run(["bash", "-euc", code], cwd=folder, env={**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY)})


def run(command: list[str], **arguments: Any) -> str:
    finished = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
        check=False,
        **arguments,
    )
    assert finished.returncode == 0, finished.stdout[-3000:]
    return str(finished.stdout)


@pytest.mark.parametrize("page", [README, *pages()], ids=lambda page: page.stem)
def test_a_block_that_is_not_run_here_says_why(page: Path) -> None:
    for block in blocks_of(page):
        if block.not_run is not None:
            assert len(block.not_run.split()) >= 3, f"{page.name}, line {block.line}: that is no reason"
        if block.run_by is not None:
            assert (REPOSITORY / block.run_by).is_file(), f"{page.name}, line {block.line}: no such test"


def test_the_readme_has_no_block_that_its_own_tests_would_miss() -> None:
    """test_readme_snippets.py takes the blocks of these two languages one by one."""
    found = [block.code for block in blocks_of(README) if block.not_run is None]
    assert sorted(found) == sorted(blocks("bash") + blocks("python"))


@pytest.mark.parametrize("page", [README, *pages()], ids=lambda page: page.stem)
def test_every_row_is_in_a_table(page: Path) -> None:
    tables(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n\n| 3 | 4 |\n| 5 | 6 |\n",
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n\n| 3 | 4 |\n",
        "text\n| a | b |\n| --- | --- |\n| 1 | 2 |\n",
        "| a | b |\n| --- | --- |\n| 1 |\n",
    ],
    ids=["blank line", "one row", "below text", "a cell less"],
)
def test_rows_that_are_no_table_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a table|without a head|fewer cells"):
        tables(text)


def test_no_fence_is_without_a_language() -> None:
    """A block without one could be code that nobody runs."""
    for page in [README, *pages()]:
        fences = re.findall(r"^ *(?:```|~~~)[^\n]*$", page.read_text(encoding="utf-8"), re.M)
        assert len(fences) % 2 == 0, page.name
        assert all(re.search(r"\w", opening) for opening in fences[::2]), page.name


def test_the_repair_after_a_wrong_detach_works(monkeypatch: pytest.MonkeyPatch) -> None:
    page = DOCS / "detached-the-wrong-one.md"
    names: dict[str, Any] = {}
    with SandboxServer() as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", sandbox.connection_json())
        sandbox.store.detach("asst_support01")
        for block in blocks_of(page):
            exec(compile(block.code, str(page), "exec"), names)
        assert "flow_support01" in dict(names["unlinked"])
        new = names["promoted"]["assistant_id"]
        assert new != "asst_support01"
        assert sandbox.store.get_linked_workflow(new).id == "flow_support01"
        assert names["workflow"]["assistant_id"] is None
        rebuilt = sandbox.store.get_linked_workflow("asst_support01")
        assert rebuilt.id == names["rebuilt"]["id"] != "flow_support01"
        assert rebuilt.definition == names["workflow"]["definition"]
        assert names["updated"]["description"] == "Linked to the new assistant"


def test_the_page_on_operators_shows_what_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    page = DOCS / "operators.md"
    names: dict[str, Any] = {}
    with SandboxServer() as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", sandbox.connection_json())
        for block in blocks_of(page):
            exec(compile(block.code, str(page), "exec"), names)
    assert names["workflow"] == names["deployed"]
    assert names["seen"] == (404, "ASSISTANT_NOT_FOUND", 1)


def test_the_settings_are_those_of_the_readme() -> None:
    """The README's table is held to the code; this one is the same."""
    ours, theirs = (_settings_table(page) for page in (DOCS / "connection.md", README))
    assert ours == theirs


def _settings_table(page: Path) -> list[list[str]]:
    names = list(_OPTIONS)
    for table in tables(page.read_text(encoding="utf-8")):
        if [word for row in table for word in code_words(row[0])] == names:
            return table
    raise LookupError(f"{page.name} has no table of settings")


@pytest.mark.timeout(2 * LIMIT)
def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    output = run(command, cwd=REPOSITORY)
    assert "WARNING -" not in output
    for page in pages():
        name = page.relative_to(DOCS).with_suffix("")
        built = "index.html" if name.name == "index" else f"{name}/index.html"
        assert (tmp_path / "site" / built).is_file()


@pytest.mark.timeout(2 * LIMIT)
def test_the_built_pages_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    run([sys.executable, "-m", "mkdocs", "build", "-q", "--strict", "-d", str(tmp_path)], cwd=REPOSITORY)
    for built in tmp_path.rglob("*.html"):
        html = built.read_text(encoding="utf-8")
        loaded = re.findall(
            r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?((?:https?:)?//[^\"' >]+)", html
        )
        for link in re.findall(r"<link\b[^>]*>", html):
            loaded += re.findall(r"href=[\"']?((?:https?:)?//[^\"' >]+)", link)
        assert loaded == [], built.name
