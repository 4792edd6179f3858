"""The built pages: no warning, complete, searchable, and nothing from another machine."""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path

import pytest
from sphinx.util.inventory import InventoryFile

import airflow_aitronos.exceptions
from tests.conftest import REPOSITORY
from tests.docs.pages import DOCS, README
from tests.support.programs import LIMIT, output_of

PUBLIC = (
    "hooks.aitronos",
    "operators.assistants",
    "operators.fleet",
    "operators.workflows",
    "sensors.assistants",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "-q", "-d", str(folder / "doctrees")]
    output_of([*command, str(DOCS), str(folder / "html")], cwd=REPOSITORY)
    return folder / "html"


@pytest.mark.timeout(LIMIT)
def test_every_page_is_built(site: Path) -> None:
    for page in DOCS.rglob("*.md"):
        assert (site / page.relative_to(DOCS).with_suffix(".html")).is_file()


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    built = list(site.rglob("*.html"))
    assert built
    for page in built:
        html = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"((?:https?:)?//[^\"]+)", html)
        for link in re.findall(r"<link\b[^>]*>", html):
            loaded += re.findall(r"href=\"((?:https?:)?//[^\"]+)", link)
        assert loaded == [], page.name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet.read_text("utf-8")), (
            sheet.name
        )


def test_the_search_finds_what_people_type(site: Path) -> None:
    script = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(script.removeprefix("Search.setIndex(").removesuffix(")"))
    assert {"instal", "teardown", "changelog", "has_assist"} <= {*index["terms"], *index["titleterms"]}
    assert "403" in index["indexentries"]  # Sphinx leaves numbers out of its terms


def test_the_api_reference_is_complete(site: Path) -> None:
    documented = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="")
    names = {name for kind in ("py:class", "py:exception") for name in documented.data.get(kind, {})}
    for part in PUBLIC:
        module = __import__(f"airflow_aitronos.{part}", fromlist=["*"])
        for name, value in vars(module).items():
            is_own = inspect.isclass(value) and value.__module__ == module.__name__
            if is_own and not name.startswith("_"):
                assert f"{module.__name__}.{name}" in names
    assert "airflow_aitronos.exceptions.AitronosError" in names
    assert airflow_aitronos.exceptions.AitronosError.__doc__


def test_the_links_of_the_readme_lead_somewhere() -> None:
    """GitHub shows it, and Sphinx does not see it."""
    links = re.findall(r"\]\(([^)\s]+)\)", README.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert len(local) > 10
    assert [link for link in local if "#" in link or not (REPOSITORY / link).exists()] == []


def test_every_picture_is_used() -> None:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
    for picture in (DOCS / "images").iterdir():
        assert f"images/{picture.name})" in pages
