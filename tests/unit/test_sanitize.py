"""Text and JSON from outside, made safe."""

from __future__ import annotations

import json
import math
import re
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_aitronos.client.sanitize import LIMIT, Redactor, json_safe, optional_text, safe_text, shortened
from tests.unit.tools import KEY

redact = Redactor(KEY)
MARKER = re.compile("::(end)?group::", re.IGNORECASE)
few = settings(max_examples=60)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("gr\u00fc\u00dfe \u4f60", "gr\u00fc\u00dfe \u4f60"),
        ("two\r\nlines\t\x00\x85", "two\\r\\nlines\\t\\x00\\x85"),
        ("\u202e\u200b\u2028\ud800", "\\u202e\\u200b\\u2028\\ud800"),
        ("\x1b[38;5;196mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bcreset", "reset"),
        ("half\x1b", "half\\x1b"),
        ("::group::x ::EndGroup::", ": :group::x : :EndGroup::"),
        ("::gr\x1b[0moup::", ": :group::"),
        (["a\n"], "['a\\n']"),
        (f"key {KEY[:4]}\x1b[1m{KEY[4:]}.", "key ***."),
    ],
    ids=ascii,
)
def test_a_text_becomes_one_printable_line(text: object, safe: str) -> None:
    assert safe_text(text, redact) == safe


def test_a_long_text_is_cut() -> None:
    assert safe_text("x" * LIMIT) == "x" * LIMIT
    assert safe_text("x" * (LIMIT + 1)) == "x" * (LIMIT - 1) + "\u2026"
    for limit in (10, 12, 20):
        assert KEY[:3] not in safe_text(f"the key {KEY}", redact, limit=limit)


# What has a meaning for a terminal, a log view or a database.
PARTS = (
    "\x1b[31m \x1b \x9b \x1b]0; \x07 \x1b\\ [ 31m :: : group:: ::ENDGROUP:: end \n \x00 \u2028 \u202e \ud800"
)
parts = st.sampled_from([*PARTS.split(" "), KEY, KEY[:5], KEY[5:], "x" * 30])
texts = st.one_of(st.text(), st.lists(st.one_of(parts, st.text(max_size=3)), max_size=12).map("".join))


@few
@given(text=texts, limit=st.integers(1, 80))
def test_any_text_becomes_one_harmless_line(text: str, limit: int) -> None:
    safe = safe_text(text, redact, limit=limit)
    assert safe.isprintable()
    assert len(safe) <= limit
    assert not MARKER.search(safe)
    assert KEY not in safe


@pytest.mark.parametrize("value", ["", " \n", None, 5, ["x"], {"x": 1}, True], ids=repr)
def test_what_is_no_text_where_one_is_documented_is_none(value: object) -> None:
    assert optional_text(value) is None
    assert optional_text("a\n") == "a\\n"


@pytest.mark.parametrize("key", [KEY, "a+b/c==&d?", 'quote"d\\key', "%2541key"])
def test_the_key_is_redacted_in_three_forms(key: str) -> None:
    for form in (key, quote(key, safe=""), json.dumps(key)[1:-1], f"{key}{key}"):
        redacted = Redactor(key)(f"<{form}>")
        assert redacted.replace("***", "") == "<>"


@few
@given(st.lists(st.text(min_size=5), min_size=1, max_size=3), st.text())
def test_no_secret_is_left_in_any_text(secrets: list[str], text: str) -> None:
    secrets = [secret for secret in secrets if "*" not in secret]
    redacted = Redactor(*secrets)(text.join([*secrets, *secrets]))
    assert not any(secret in redacted for secret in secrets)


def test_a_short_secret_stays_and_a_longer_one_is_redacted_first() -> None:
    assert Redactor("abcd")("abcd") == "abcd"
    assert Redactor("secret", "secret-of-one", "abcde")("secret-of-one secret abcde") == "*** *** ***"
    assert Redactor("")("as it is") == "as it is"
    assert KEY not in f"{redact!r} {redact}"


@pytest.mark.parametrize(
    ("value", "safe"),
    [
        ({"a\x00": ["\ud800", {"b": KEY}]}, {"a\ufffd": ["\ufffd", {"b": "***"}]}),
        ({KEY: "two\nlines"}, {"***": "two\nlines"}),
        ([2**63 - 1, -(2**63), 1e300, True, None], [2**63 - 1, -(2**63), 1e300, True, None]),
    ],
)
def test_json_without_what_xcom_refuses(value: object, safe: object) -> None:
    assert json_safe(value, redact, strict=True) == safe


@pytest.mark.parametrize("number", [math.nan, -math.inf, 2**63, -(2**63) - 1])
def test_a_number_that_cannot_be_stored_is_refused_or_becomes_a_text(number: float) -> None:
    with pytest.raises(ValueError, match="not a number that can be stored"):
        json_safe({"a": [number]}, redact, strict=True)
    assert json_safe({"a": [number, 5]}, redact, strict=False) == {"a": [str(number), 5]}


strings = st.text(st.one_of(st.characters(), st.characters(categories=["Cs"]), st.just("\x00")))
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), strings, st.just(KEY)),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(strings, inner)),
    max_leaves=20,
)


@few
@given(json_values)
def test_whatever_is_left_can_be_stored(value: Any) -> None:
    safe = json_safe(value, redact, strict=False)
    msgspec.msgpack.encode(safe)
    small = shortened(safe, depth=2, items=3)
    for one in (safe, small):
        text = json.dumps(one, allow_nan=False, ensure_ascii=False)
        assert text.encode()
        assert "\\u0000" not in json.dumps(one)
        assert KEY not in text
    assert len(json.dumps(small)) < 50_000


def test_details_are_shortened() -> None:
    assert shortened({"a": [[[["deep"]]]]}) == {"a": [[["\u2026"]]]}
    assert shortened(list(range(100)), items=3) == [0, 1, 2]
    assert shortened({str(number): number for number in range(100)}, items=2) == {"0": 0, "1": 1}
    assert shortened({"k\n": "x" * 1000}) == {"k\\n": "x" * 499 + "\u2026"}
