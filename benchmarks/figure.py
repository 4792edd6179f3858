"""The measurements as a picture: bars in an SVG that needs nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from benchmarks.result import Result

_WIDTH, _BAR_LEFT, _BAR_WIDTH, _BAR_HEIGHT, _ROW = 760, 280, 330, 20, 32


def figure(results: Sequence[Result], note: str) -> str:
    """
    Return the picture of a run as SVG, on a card of its own colour, legible on light and dark pages.

    :param results: a group of bars each.
    :param note: how it was measured, for the last line.
    """
    lines: list[str] = []
    y = 24
    for result in results:
        lines.append(_text(24, y + 14, result.title, 'font-size="15" font-weight="600"'))
        y += 28
        longest = max(bar.value for bar in result.bars)
        for bar in result.bars:
            # At least a hair, so that a very short bar is seen to be one.
            width = max(2.0, bar.value / longest * _BAR_WIDTH)
            colour = "#00796b" if bar.is_ours else "#90a4ae"
            size = f'width="{width:.1f}" height="{_BAR_HEIGHT}"'
            lines.append(_text(_BAR_LEFT - 10, y + 15, bar.label, 'text-anchor="end"'))
            lines.append(f'<rect x="{_BAR_LEFT}" y="{y}" {size} fill="{colour}"/>')
            lines.append(_text(_BAR_LEFT + width + 8, y + 15, bar.text))
            y += _ROW
        y += 20
    lines.append(_text(24, y, note, 'font-size="12"'))
    size = f'width="{_WIDTH}" height="{y + 20}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="Benchmark" '
    style = 'font-family="system-ui, sans-serif" font-size="14" fill="#212121">'
    card = f'<rect {size} rx="12" fill="#fafafa" stroke="#b0bec5"/>'
    return "\n".join([head + style, card, *lines, "</svg>\n"])


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y}" {style}>{escape(text)}</text>'
