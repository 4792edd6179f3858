"""The pictures of the pages: well-formed, described, and free of anything from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.docs.pages import DOCS

SVG = "{http://www.w3.org/2000/svg}"
IMAGES = sorted((DOCS / "images").glob("*.svg"))


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.stem)
def test_an_image_stands_for_itself(image: Path) -> None:
    root = ElementTree.fromstring(image.read_text(encoding="utf-8"))
    assert root.get("role") == "img"
    assert root.get("aria-label") or root.get("aria-labelledby")
    card = next(root.iter(f"{SVG}rect"))  # its own ground: legible on a dark page too
    assert [card.get("width"), card.get("height")] == [root.get("width"), root.get("height")]
    addresses = re.findall(r"https?://[^\"' ]+", image.read_text(encoding="utf-8"))
    assert set(addresses) == {"http://www.w3.org/2000/svg"}


def test_the_diagram_names_the_three_ends() -> None:
    root = ElementTree.fromstring((DOCS / "images" / "three-ends.svg").read_text(encoding="utf-8"))
    assert {"done", "stop", "later"} < {text.text for text in root.iter(f"{SVG}text")}
