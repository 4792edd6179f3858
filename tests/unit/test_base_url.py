"""Host, Port and Schema, made one base URL."""

from __future__ import annotations

import re
import socket
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_aitronos.client.base_url import DEFAULT_BASE_URL, BaseUrlError, parse_base_url
from airflow_aitronos.client.clock import Deadline, SystemClock
from airflow_aitronos.client.transport import Request, Transport
from airflow_aitronos.exceptions import AitronosConfigurationError
from tests.unit.tools import loaded

GOOD: list[tuple[tuple[Any, ...], str]] = [
    ((None,), DEFAULT_BASE_URL),
    (("",), DEFAULT_BASE_URL),
    (("  \n",), DEFAULT_BASE_URL),
    (("api.x",), "https://api.x"),
    (("HTTPS://API.X",), "https://api.x"),
    (("https://api.x//",), "https://api.x"),
    (("api.x:443",), "https://api.x"),
    (("api.x:80",), "https://api.x:80"),
    (("http://api.x:80",), "http://api.x"),
    (("http://api.x:443",), "http://api.x:443"),
    (("api.x", 443), "https://api.x"),
    (("api.x", "443"), "https://api.x"),
    (("api.x", 0), "https://api.x"),
    (("api.x", "0"), "https://api.x"),
    (("api.x", ""), "https://api.x"),
    (("api.x:8443", 8443), "https://api.x:8443"),
    (("api.x", None, "http"), "http://api.x"),
    (("https://api.x", None, "HTTPS"), "https://api.x"),
    (("localhost",), "https://localhost"),
    (("under_score.internal",), "https://under_score.internal"),
    (("xn--mnchen-3ya.de",), "https://xn--mnchen-3ya.de"),
    (("10.0.0.1",), "https://10.0.0.1"),
    (("api.x.",), "https://api.x."),
    (("::1",), "https://[::1]"),
    (("::1", 8443), "https://[::1]:8443"),
    (("[::1]:8443",), "https://[::1]:8443"),
    (("2001:DB8::7",), "https://[2001:db8::7]"),
    (("https://gw/x/aitronos/",), "https://gw/x/aitronos"),
    (("gw/x//aitronos/v1/",), "https://gw/x/aitronos"),
    (("gw/v1",), "https://gw"),
    (("gw/V1",), "https://gw/V1"),
    (("a" * 63 + ".x",), f"https://{'a' * 63}.x"),
    (("a." * 126 + "x",), f"https://{'a.' * 126}x"),
    (("api.x:1",), "https://api.x:1"),
    (("api.x", 65535), "https://api.x:65535"),
    (("api.x:65535",), "https://api.x:65535"),
]


@pytest.mark.parametrize(("fields", "url"), GOOD)
def test_good_fields(fields: tuple[Any, ...], url: str) -> None:
    base_url = parse_base_url(*fields)
    assert str(base_url) == url
    assert base_url.origin == "/".join(url.split("/")[:3])
    assert str(parse_base_url(url)) == url


BAD: list[tuple[tuple[Any, ...], str]] = [
    (("ftp://api.x",), "Host"),
    (("://api.x",), "Host"),
    (("https://",), "Host"),
    (("https:///x",), "Host"),
    (("//api.x",), "Host"),
    (("javascript:alert(1)",), "Host"),
    (("user@api.x",), "Host"),
    (("https://user:pw@api.x",), "Host"),
    (("https://@api.x",), "Host"),
    (("api.x?q",), "Host"),
    (("api.x#f",), "Host"),
    (("api x",), "Host"),
    (("api.x\n.evil",), "Host"),
    (("api.x\\@evil",), "Host"),
    (("api%2ex",), "Host"),
    (("m\u00fcnchen.de",), "Host"),
    (("api\u3002x",), "Host"),
    (("a..x",), "Host"),
    ((".x",), "Host"),
    (("-a.x",), "Host"),
    (("a" * 64 + ".x",), "Host"),
    (("a." * 126 + "xy",), "Host"),
    (("[::1",), "Host"),
    (("[::1]evil.com",), "Host"),
    (("[::1%25eth0]",), "Host"),
    (("[127.0.0.1]",), "Host"),
    (("[v1.x]",), "Host"),
    (("1:2:3",), "Host"),
    (("api.x:",), "Host"),
    (("api.x:0",), "Host"),
    (("api.x:65536",), "Host"),
    (("api.x:x",), "Host"),
    (("gw/..",), "Host"),
    (("gw/./x",), "Host"),
    (("gw/a;b",), "Host"),
    (("gw/.hidden",), "Host"),
    ((5,), "Host"),
    ((b"api.x",), "Host"),
    ((["api.x"],), "Host"),
    (("api.x", 65536), "Port"),
    (("api.x", -1), "Port"),
    (("api.x", "x"), "Port"),
    (("api.x", "\uff14\uff14\uff13"), "Port"),
    (("api.x", True), "Port"),
    (("api.x", 443.0), "Port"),
    (("api.x:1", 2), "Port"),
    (("api.x", None, "ftp"), "Schema"),
    (("api.x", None, "v1"), "Schema"),
    (("api.x", None, 5), "Schema"),
    (("https://api.x", None, "http"), "Schema"),
]


@pytest.mark.parametrize(("fields", "field"), BAD)
def test_bad_fields(fields: tuple[Any, ...], field: str) -> None:
    with pytest.raises(BaseUrlError) as caught:
        parse_base_url(*fields)
    assert caught.value.field == field
    for value in fields:
        if isinstance(value, str) and len(value) > 4 and value not in ("https", "http"):
            assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]:80", True),
        ("localhost.evil.com", False),
        ("127.0.0.1.evil.com", False),
        ("evil-localhost", False),
        ("notlocalhost", False),
        ("x.localhost", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("::2", False),
        ("api.x", False),
    ],
)
def test_loopback(host: str, is_loopback: bool) -> None:
    assert parse_base_url(host).is_loopback is is_loopback


pieces = st.sampled_from(
    [
        "https://", "http://", "api.x", "evil.com", "@", ":", "/", "//", "\\", "?", "#", "%", "%2e", "[", "]",
        "::1", "[::1]", "443", "..", ".", "v1", "user", "\t", "\n", "\x00", "\u3002", "\uff0e", "-", "_",
        "xn--", "127.0.0.1", ";", "&",
    ]
)  # fmt: skip
hosts = st.one_of(
    st.text(), st.lists(pieces, max_size=8).map("".join), st.text("ab.:/@[]?#%\\1", max_size=20)
)


def written(host: str, port: int | None, scheme: str | None) -> tuple[str, int]:
    """Return the host and port that fields of a connection name, without the package's help."""
    text = host.strip().lower()
    if not text:
        return "api.aitronos.com", port or 443
    found, _, rest = text.rpartition("://")
    default = 80 if (found or (scheme or "").lower()) == "http" else 443
    if not found and re.fullmatch("[0-9a-f:.]+", text) and text.count(":") > 1:
        return text, port or default
    match = re.fullmatch(
        r"(?:\[(?P<six>[^\]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>[0-9]+))?", rest.split("/")[0]
    )
    assert match, f"{host!r} names no host"
    return match["six"] or match["name"], port or int(match["port"] or default)


@given(
    host=hosts,
    port=st.none() | st.integers(-1, 70_000),
    scheme=st.sampled_from([None, "", "http", "https", "HTTPS", "ftp"]),
)
def test_any_host_is_refused_or_is_the_one_that_is_called(
    host: str, port: int | None, scheme: str | None
) -> None:
    asked: list[tuple[str, int]] = []

    def resolve(name: str, number: int, *args: Any, **kwargs: Any) -> None:
        asked.append((name.strip("[]"), number))
        raise socket.gaierror

    refusal: str | None = None
    try:
        settings = loaded(host=host, port=port, schema=scheme, extra='{"allow_http": true}')
    except AitronosConfigurationError as error:
        refusal = str(error)
    if refusal is not None:
        assert refusal.isprintable()
        return
    transport = Transport(settings, mask_secret=lambda _: None, is_cancelled=lambda: False)
    with patch("socket.getaddrinfo", resolve):
        transport.send(Request("DELETE", "/v1/assistants/asst_1/workflow"), Deadline(9, SystemClock()))
    transport.close()
    # The host that was written down, once, and no part of something else.
    assert asked == [written(host, port, scheme)]
