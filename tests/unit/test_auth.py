"""The key goes to its own host in one header, and shows nowhere else."""

from __future__ import annotations

import pytest
import requests

from airflow_aitronos.client.auth import API_KEY_HEADER, ApiKeyAuth, is_sendable
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
