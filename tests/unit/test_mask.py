"""Secrets in texts are found in every form."""

from __future__ import annotations

import html
import json
from urllib.parse import quote

import pytest

from airflow_aitronos.client.mask import NO_SECRETS, Mask
from tests.unit.tools import KEY


@pytest.mark.parametrize("key", [KEY, "a+b/c==&d?", 'quote"d\\key', "it's-a-key", "%2541key"])
def test_every_form_of_the_key_is_masked(key: str) -> None:
    mask = Mask(key)
    for form in (key, quote(key, safe=""), json.dumps(key), repr(key), f"x{key}{key}y"):
        masked = mask(f"before {form} after")
        assert key not in masked
        assert quote(key, safe="") not in masked
        assert masked.startswith("before ")
        assert masked.endswith(" after")
        assert "***" in masked


ODD_KEY = "sk-live/Ab+Cd=Ef&9'x\"<"


@pytest.mark.parametrize(
    "form",
    [
        ODD_KEY,
        ODD_KEY.replace("/", r"\/").replace('"', r"\""),
        ODD_KEY.replace("+", r"\u002B").replace("&", r"\u0026").replace("'", r"\u0027"),
        ODD_KEY.replace("=", r"\u003d").replace("<", r"\u003c"),
        quote(ODD_KEY, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
        html.escape(ODD_KEY),
        html.escape(ODD_KEY).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        html.escape(ODD_KEY).replace("&#x27;", "&#039;"),
        "".join(f"\\u{ord(char):04X}" for char in ODD_KEY),
        "".join(f"%{ord(char):02x}" for char in ODD_KEY),
    ],
)
def test_an_escaped_key_is_masked(form: str) -> None:
    assert Mask(ODD_KEY)(f"100% \\ & <{form}>") == "100% \\ & <***>"


@pytest.mark.parametrize("length", range(8, len(KEY) + 1))
def test_a_key_that_breaks_off_is_masked(length: int) -> None:
    assert Mask(KEY).beginnings(f"<{KEY[:length]}...> {KEY[:length]}") == "<***...> ***"


def test_an_escaped_key_that_breaks_off_is_masked() -> None:
    assert Mask("key+of+somebody").beginnings("key%2Bof%2Bsome") == "***"


@pytest.mark.parametrize(("key", "told"), [(KEY, 7), ("k" * 30 + "-", 9), ("abcdef", 5)])
def test_what_only_tells_which_key_it_is_stays(key: str, told: int) -> None:
    assert Mask(key).beginnings(f"<{key[:told]}>") == f"<{key[:told]}>"
    assert Mask(key).beginnings(f"<{key[: told + 1]}>") == "<***>"


def test_a_long_key_is_masked_as_it_is() -> None:
    key = "ab-" * 20_000
    assert Mask(key)(f"% {key}") == "% ***"


def test_other_text_is_left_alone() -> None:
    assert Mask(KEY)("no key in here") == "no key in here"


@pytest.mark.parametrize(("key", "masked"), [("abcd", "an abcd"), ("abcde", "an ***e")])
def test_keys_too_short_to_mask(key: str, masked: str) -> None:
    assert Mask(key)(f"an {key}") == masked.replace("***e", "***")


def test_secrets_that_begin_alike_are_all_masked() -> None:
    mask = Mask("secret-of-one").also("secret-of-two", "abcd")
    assert mask("secret-of-two secret-of-one abcd") == "*** *** abcd"
    assert mask.beginnings("secret-o and secret-of-") == "*** and ***"
    assert Mask("secret-of-one")("secret-of-two") == "secret-of-two", "more secrets are another mask's"


ODD_AND_LONG = 'a/"\\' * 200


@pytest.mark.parametrize(
    "form",
    [ODD_AND_LONG, quote(ODD_AND_LONG, safe=""), json.dumps(ODD_AND_LONG)[1:-1], repr(ODD_AND_LONG)[1:-1]],
    ids=["plain", "url", "json", "repr"],
)
def test_every_form_of_a_long_secret_is_masked(form: str) -> None:
    assert Mask(ODD_AND_LONG)(f"<{form}>") == "<***>"


def test_a_form_that_holds_a_shorter_one_is_masked_whole() -> None:
    assert Mask("\\" + "k" * 600)("\\\\" + "k" * 600) == "***"


def test_a_secret_may_hold_what_no_text_can() -> None:
    assert Mask("pass\ud800word")("a pass\ud800word") == "a ***"


def test_whoever_knows_no_secret_changes_nothing() -> None:
    assert NO_SECRETS.beginnings(NO_SECRETS("as it is")) == "as it is"


def test_a_mask_shows_nothing_of_what_it_knows() -> None:
    assert KEY not in f"{Mask(KEY)!r} {Mask(KEY)}"
