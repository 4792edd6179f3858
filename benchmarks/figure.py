"""The measurements as a picture: bars in an SVG that needs nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from benchmarks.calls import Calls
from benchmarks.contenders import HOOK, SESSION, TITLES
from benchmarks.imports import OURS, THEIRS, Imports
from benchmarks.spread import Spread, median_ratio

_WIDTH = 760
_BAR_LEFT = 280
_BAR_WIDTH = 330
_ROW = 32
_BAR_HEIGHT = 20
_OUR_COLOUR = "#00796b"
_THEIR_COLOUR = "#90a4ae"


@dataclass(frozen=True)
class Bar:
    """
    One bar.

    :param label: in front of it.
    :param value: its length, in the unit of its group.
    :param text: behind it.
    :param is_ours: whether it is of this package.
    """

    label: str
    value: float
    text: str
    is_ours: bool


def figure(imports: Imports, calls: Calls, note: str) -> str:
    """
    Return the picture of a run, as SVG.

    It stands on a card of its own colour, so that it reads the same on a light and on a dark page.

    :param imports: as measured.
    :param calls: as measured.
    :param note: how it was measured, for the last line.
    """
    lines, y = _group("Import in a DAG file, on top of airflow.sdk (ms, median)", _import_bars(imports), 24)
    more, y = _group("Time of one call, a bare requests.Session being 1 (median)", _call_bars(calls), y + 20)
    lines += [*more, _text(24, y + 20, note, size=12, colour="#546e7a")]
    height = y + 40
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'height="{height}" role="img" aria-label="Benchmark" font-family="system-ui, sans-serif">'
    )
    card = f'<rect width="{_WIDTH}" height="{height}" rx="12" fill="#fafafa" stroke="#b0bec5"/>'
    return "\n".join([head, card, *lines, "</svg>"]) + "\n"


def _import_bars(imports: Imports) -> list[Bar]:
    names = {OURS: "DetachAssistantWorkflowOperator", THEIRS: "HttpOperator"}
    medians = {name: Spread.of([one.wall for one in imports[name]]).median * 1e3 for name in names}
    return [Bar(names[name], value, f"{value:.1f} ms", name == OURS) for name, value in medians.items()]


def _call_bars(calls: Calls) -> list[Bar]:
    bars = []
    for name, title in TITLES.items():
        if name in calls.wall:
            ratio = median_ratio(calls.wall[name], calls.wall[SESSION])
            micros = Spread.of(calls.wall[name]).median * 1e6
            bars.append(Bar(title, ratio, f"{ratio:.2f} ({micros:.0f} µs)", title.startswith(TITLES[HOOK])))
    return bars


def _group(title: str, bars: Sequence[Bar], top: int) -> tuple[list[str], int]:
    """Return the lines of a group of bars, and where the next thing may begin."""
    lines = [_text(24, top + 14, title, size=15, weight=600)]
    longest = max(bar.value for bar in bars)
    y = top + 28
    for bar in bars:
        # At least a hair, so that a very short bar is seen to be one.
        width = max(2.0, bar.value / longest * _BAR_WIDTH)
        colour = _OUR_COLOUR if bar.is_ours else _THEIR_COLOUR
        middle = y + _BAR_HEIGHT - 5
        lines += [
            _text(_BAR_LEFT - 10, middle, bar.label, anchor="end"),
            f'<rect x="{_BAR_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR_HEIGHT}" fill="{colour}"/>',
            _text(_BAR_LEFT + width + 8, middle, bar.text),
        ]
        y += _ROW
    return lines, y


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 14,
    anchor: str = "start",
    weight: int = 400,
    colour: str = "#212121",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="{colour}">{escape(text)}</text>'
    )
