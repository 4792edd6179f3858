"""Text and JSON from the server, made safe."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_aitronos.client.mask import Mask
from airflow_aitronos.client.safe_text import (
    LOG_LIMIT,
    json_safe,
    optional_text,
    safe_text,
    shortened,
)
from tests.unit.tools import KEY

mask = Mask(KEY)
SPLIT_KEY = f"{KEY[:5]}\x1b[0m{KEY[5:]}"
MARKER = re.compile("::(end)?group::", re.IGNORECASE)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain", "plain"),
        ("", ""),
        ("two\r\nlines", "two\\r\\nlines"),
        ("tab\there", "tab\\there"),
        ("nul\x00", "nul\\x00"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[38;5;196mred", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("\x1bcreset", "reset"),
        ("half\x1b", "half\\x1b"),
        ("::group::x", ": :group::x"),
        ("::endgroup::", ": :endgroup::"),
        ("::EndGroup::", ": :EndGroup::"),
        (":::group::", ":: :group::"),
        ("::gr\x1b[0moup::", ": :group::"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\u2028", "\\u2028"),
        ("\ud800", "\\ud800"),
        ("\x85", "\\x85"),
        ("gr\u00fc\u00dfe \u4f60", "gr\u00fc\u00dfe \u4f60"),
        (5, "5"),
        (None, "None"),
        (["a\n"], "['a\\n']"),
        (f"key {KEY}.", "key ***."),
        (f"key {KEY[:4]}\x1b[1m{KEY[4:]}.", "key ***."),
    ],
    ids=ascii,
)
def test_one_printable_line(text: object, safe: str) -> None:
    assert safe_text(text, mask=mask) == safe


def test_cut() -> None:
    assert safe_text("x" * LOG_LIMIT) == "x" * LOG_LIMIT
    assert safe_text("x" * (LOG_LIMIT + 1)) == "x" * (LOG_LIMIT - 1) + "\u2026"
    assert safe_text("x" * 1_000_000, limit=10) == "x" * 9 + "\u2026"


@pytest.mark.parametrize("limit", range(1, len(KEY) + 12))
def test_a_cut_leaves_no_part_of_the_key(limit: int) -> None:
    text = safe_text(f"the key {KEY}", mask=mask, limit=limit)
    assert len(text) <= limit
    assert KEY[:3] not in text


nasty = st.sampled_from(
    [
        "\x1b[31m", "\x1b", "\x9b", "\x1b]0;", "\x07", "\x1b\\", "[", "31m", "::", ":", "group::",
        "::group::", "::ENDGROUP::", "end", "\n", "\r", "\x00", "\u2028", "\u202e", "\ud800", "\u200b",
        KEY, KEY[:5], KEY[5:], " ", "x" * 30,
    ]
)  # fmt: skip
texts = st.one_of(st.text(), st.lists(st.one_of(nasty, st.text(max_size=3)), max_size=12).map("".join))


@given(text=texts, limit=st.integers(1, 80))
def test_any_text_becomes_one_harmless_line(text: str, limit: int) -> None:
    safe = safe_text(text, mask=mask, limit=limit)
    assert safe.isprintable()
    assert len(safe) <= limit
    assert not MARKER.search(safe)
    assert KEY not in safe


woven = st.sampled_from(
    ["\x1b[0m", "\x1b[1;31m", "\x1bc", "\x9b0m", "\x1b]0;t\x07", "\x00", "\x07", "\n", "\u200b"]
)


@given(
    inserted=st.lists(st.tuples(st.integers(0, len(KEY)), st.lists(woven, max_size=3)), max_size=5),
    before=st.text(max_size=5),
)
def test_a_key_that_is_woven_with_control_sequences_does_not_show(
    inserted: list[tuple[int, list[str]]], before: str
) -> None:
    text, dropped_only = KEY, True
    for place, sequences in sorted(inserted, reverse=True):
        text = text[:place] + "".join(sequences) + text[place:]
        dropped_only = dropped_only and all(sequence[0] in "\x1b\x9b" for sequence in sequences)
    safe = safe_text(f"{before}|{text}|", mask=mask)
    assert KEY not in safe
    if dropped_only and not before:
        assert safe == "|***|"
    shown_later = safe_text(json_safe(f"{before}|{SPLIT_KEY}|{text}|", mask=mask))
    assert KEY not in shown_later, "nor to one who shows it without knowing the key"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "text"),
        ("a\n", "a\\n"),
        ("", None),
        (" \n", None),
        (None, None),
        (5, None),
        (["x"], None),
        ({"x": 1}, None),
        (True, None),
    ],
)
def test_text_where_a_text_is_documented(value: object, text: str | None) -> None:
    assert optional_text(value) == text


@pytest.mark.parametrize(
    ("value", "safe"),
    [
        ("a\x00b", "a\ufffdb"),
        ("\ud83d\ude00", "\ufffd\ufffd"),
        ("two\nlines", "two\nlines"),
        ({"a\x00": ["\ud800", {"b": KEY}]}, {"a\ufffd": ["\ufffd", {"b": "***"}]}),
        ({KEY: 1}, {"***": 1}),
        ("\x1b[1mbold", "\x1b[1mbold"),
        (f"\x1b[1m{SPLIT_KEY}", "***"),
        ([1, 1.5, True, None], [1, 1.5, True, None]),
        ([2**63 - 1, -(2**63), 1e300], [2**63 - 1, -(2**63), 1e300]),
    ],
)
def test_json_safe(value: object, safe: object) -> None:
    assert json_safe(value, mask=mask) == safe


UNSTORABLE = [math.nan, math.inf, -math.inf, 2**63, -(2**63) - 1, 10**30]


@pytest.mark.parametrize("value", [*UNSTORABLE, [{"a": math.nan}], {"a": [10**30]}])
def test_a_number_that_cannot_be_stored_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not a number that can be stored"):
        json_safe(value)


@pytest.mark.parametrize("value", UNSTORABLE)
def test_a_number_that_cannot_be_stored_may_become_a_text(value: float) -> None:
    assert json_safe({"a": [value, 5]}, strict=False) == {"a": [str(value), 5]}


surrogates = st.characters(categories=["Cs"])
strings = st.text(st.one_of(st.characters(), surrogates, st.just("\x00")))
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), strings, st.just(KEY)),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(strings, inner)),
    max_leaves=20,
)


@given(json_values)
def test_whatever_is_left_can_be_stored(value: Any) -> None:
    try:
        safe = json_safe(value, mask=mask)
    except ValueError:
        assert re.search(r"\b(NaN|Infinity)\b|[0-9]{19}", json.dumps(value))
        safe = json_safe(value, mask=mask, strict=False)
    msgspec.msgpack.encode(safe)
    text = json.dumps(safe, allow_nan=False, ensure_ascii=False)
    assert text.encode("utf-8")
    assert "\x00" not in text
    assert "\\u0000" not in json.dumps(safe)
    assert KEY not in text


@given(json_values)
def test_shortened_values_are_small_and_harmless(value: Any) -> None:
    small = shortened(json_safe(value, mask=mask, strict=False), mask=mask, depth=2, items=3)
    text = json.dumps(small, allow_nan=False, ensure_ascii=False)
    assert KEY not in text
    assert len(text) < 20_000


def test_shortened() -> None:
    assert shortened({"a": [[[["deep"]]]]}, depth=2) == {"a": ["\u2026"]}
    assert shortened(list(range(100)), items=3) == [0, 1, 2]
    assert shortened({str(number): number for number in range(100)}, items=2) == {"0": 0, "1": 1}
    assert shortened("x" * 1000) == "x" * 499 + "\u2026"
    assert shortened({"k\n": "v\n"}) == {"k\\n": "v\\n"}
    assert shortened([[1, 2, 3], {"a": [1, 2, 3]}, 3], items=2) == [[1, 2], {"a": [1, 2]}]
    assert shortened({"a": [[[[1]]]]}) == {"a": [[["\u2026"]]]}
    assert len(shortened(list(range(100)))) == 20
    assert shortened({SPLIT_KEY: [SPLIT_KEY, {"a": SPLIT_KEY}]}, mask=mask) == {"***": ["***", {"a": "***"}]}
