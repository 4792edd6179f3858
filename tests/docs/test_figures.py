"""The pictures of the pages: well-formed, described, and free of anything from elsewhere."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.calls import Calls
from benchmarks.contenders import HOOK, HTTP_HOOK, SESSION
from benchmarks.figure import figure
from benchmarks.imports import OURS, THEIRS, Import
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


def test_the_figure_of_a_run_shows_its_medians() -> None:
    imports = {OURS: [Import(0.002, 0.002, 2, [])], THEIRS: [Import(0.4, 0.4, 200, ["requests"])]}
    wall = {SESSION: [0.001, 0.002], HOOK: [0.0011, 0.0022], HTTP_HOOK: [0.002, 0.004]}
    drawn = figure(imports, Calls(wall=wall, missing={"sdk": "not there"}), "2 < 3 rounds")
    root = ElementTree.fromstring(drawn)
    texts = [text.text for text in root.iter(f"{SVG}text")]
    shown = dict(pairwise(texts))
    assert shown["DetachAssistantWorkflowOperator"] == "2.0 ms"
    assert shown["HttpOperator"] == "400.0 ms"
    assert shown["AitronosHook"] == "1.10 (1650 µs)"
    assert shown["HttpHook.run"] == "2.00 (3000 µs)"
    assert "aitronos-sdk" not in texts
    assert texts[-1] == "2 < 3 rounds"
    widths = [float(bar.get("width", "0")) for bar in root.iter(f"{SVG}rect")][1:]
    assert widths == [2.0, 330.0, 165.0, 181.5, 330.0]
