"""The key goes to its own host in one header, and shows nowhere else."""

from __future__ import annotations

import html
import json
from urllib.parse import quote

import pytest
import requests

from airflow_aitronos.client.auth import API_KEY_HEADER, ApiKeyAuth, is_sendable, key_mask
from airflow_aitronos.exceptions import AitronosConfigurationError
from tests.unit.tools import KEY, assert_hides

ORIGIN = "https://api.aitronos.com"


def prepared(url: str) -> requests.PreparedRequest:
    return requests.Request("GET", url, auth=ApiKeyAuth(KEY, ORIGIN)).prepare()


def test_key_goes_into_its_header() -> None:
    headers = prepared(f"{ORIGIN}/v1/x").headers
    assert dict(headers) == {API_KEY_HEADER: KEY}
    assert API_KEY_HEADER == "X-API-Key"


@pytest.mark.parametrize(
    "url",
    [
        "http://api.aitronos.com/v1/x",
        "https://api.aitronos.com:8443/v1/x",
        "https://api.aitronos.com.evil.com/v1/x",
        "https://evil.com/api.aitronos.com",
        "https://api.aitronos.com@evil.com/",
        "https://api.aitronos.comx/",
    ],
)
def test_key_goes_nowhere_else(url: str) -> None:
    with pytest.raises(
        AitronosConfigurationError, match=r"goes to https://api\.aitronos\.com only"
    ) as caught:
        prepared(url)
    assert_hides(caught.value, KEY)


def test_key_is_not_shown() -> None:
    auth = ApiKeyAuth(KEY, ORIGIN)
    assert repr(auth) == str(auth) == f"<ApiKeyAuth for {ORIGIN}>"
    assert KEY not in f"{auth}{auth!r}{[auth]}"


@pytest.mark.parametrize("key", [KEY, "a+b/c==&d?", 'quote"d\\key', "it's-a-key", "%2541key"])
def test_every_form_of_the_key_is_masked(key: str) -> None:
    mask = ApiKeyAuth(key, ORIGIN).mask
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
    assert key_mask(ODD_KEY)(f"100% \\ & <{form}>") == "100% \\ & <***>"


def test_a_long_key_is_masked_as_it_is() -> None:
    key = "ab-" * 20_000
    assert key_mask(key)(f"% {key}") == "% ***"


def test_other_text_is_left_alone() -> None:
    assert ApiKeyAuth(KEY, ORIGIN).mask("no key in here") == "no key in here"


@pytest.mark.parametrize(("key", "masked"), [("abcd", "an abcd"), ("abcde", "an ***e")])
def test_keys_too_short_to_mask(key: str, masked: str) -> None:
    assert ApiKeyAuth(key, ORIGIN).mask(f"an {key}") == masked.replace("***e", "***")


@pytest.mark.parametrize(
    ("key", "is_good"),
    [
        (KEY, True),
        ("".join(map(chr, range(0x21, 0x7F))), True),
        ("", False),
        ("a b", False),
        ("a\n", False),
        ("a\x00", False),
        ("a\x7f", False),
        ("a\x80", False),
        ("\u00fc", False),
        ("\u20ac", False),
    ],
)
def test_what_a_header_can_carry(key: str, is_good: bool) -> None:
    assert is_sendable(key) is is_good
