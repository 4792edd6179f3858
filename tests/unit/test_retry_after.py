"""How long the server asks to wait."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from airflow_aitronos.client.retry_after import asked_wait, parse_retry_after

NOW = datetime(2025, 11, 11, 10, 30, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("2", 2.0),
        (" 2 ", 2.0),
        ("1.5", 1.5),
        ("007", 7.0),
        ("3600", 3600.0),
        ("9" * 64, float("9" * 64)),
        (30, 30.0),
        (1.5, 1.5),
        (0, 0.0),
        ("Tue, 11 Nov 2025 10:30:30 GMT", 30.0),
        ("Tue, 11 Nov 2025 10:30:30", 30.0),
        ("Tue, 11 Nov 2025 10:30:30 -0000", 30.0),
        ("Tue, 11 Nov 2025 11:30:30 +0100", 30.0),
        ("Tuesday, 11-Nov-25 10:30:30 GMT", 30.0),
        ("Tue Nov 11 10:30:30 2025", 30.0),
        ("Tue, 11 Nov 2025 10:29:00 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_values_that_can_be_read(value: object, seconds: float) -> None:
    assert parse_retry_after(value, now=NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "-5", "+5", "abc", "", " ", "nan", "NaN", "inf", "Infinity", "1e3", "5_0", "\uff15", "\u0665",
        "5, 10", "1.", ".5", "1.5.5", "5s", "0x10", "5 10", "5\x00",
        "2025-11-11T10:30:30Z", "2025-11-11 10:30:30",
        "Fri, 31 Dec 100000 23:59:59 GMT", "Tue, 99 Nov 2025 10:30:30 GMT", "Tue, 11 Nov 2025", "Tue,", "Tue",
        "Tue, 11 Nov 2025 10:30:30 +9999999", "5" * 65, "5" * 5000, "x" * 5000,
        None, True, False, -5, -0.5, math.nan, math.inf, -math.inf, [], [5], {}, {"a": 1}, b"5",
        pytest.param(object(), id="object"),
    ],
    ids=lambda value: ascii(value)[:40],
)  # fmt: skip
def test_values_that_say_nothing(value: object) -> None:
    assert parse_retry_after(value, now=NOW) is None


dates = st.builds(
    "{}{} {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Tue", "Tuesday", "xyz", "XYZXYZXYZ"]),
    st.sampled_from([",", "", ";"]),
    st.integers(-1, 40),
    st.sampled_from(["Nov", "Feb", "13", "x"]),
    st.integers(-1, 200_000),
    st.integers(-1, 30),
    st.integers(-1, 70),
    st.integers(-1, 70),
    st.sampled_from(["GMT", "-0000", "+0100", "+9999", "-99999999", "EST", "", "Z", "x"]),
)
values = st.one_of(
    st.text(),
    st.binary(),
    st.binary().map(lambda raw: raw.decode("latin-1")),
    st.text("0123456789.eE+-_, :", max_size=70),
    dates,
    st.text(st.characters(codec="ascii"), max_size=60).map("Tue, {}".format),
    st.integers(),
    st.floats(),
    st.none(),
    st.booleans(),
    st.datetimes().map(lambda moment: format_datetime(moment.replace(tzinfo=UTC))),
)


@given(values)
def test_any_value_is_a_finite_wait_or_none(value: Any) -> None:
    seconds = parse_retry_after(value, now=NOW)
    assert seconds is None or (seconds >= 0 and math.isfinite(seconds))


@given(st.integers(0, 10**9))
def test_dates_are_read_exactly(moment: int) -> None:
    text = format_datetime(datetime.fromtimestamp(moment, UTC), usegmt=True)
    assert parse_retry_after(text, now=NOW) == max(0.0, moment - NOW)


@pytest.mark.parametrize(
    ("headers", "error", "seconds"),
    [
        ({}, {}, None),
        ({"Retry-After": "2"}, {}, 2.0),
        ({"retry-after": "2"}, {}, 2.0),
        ({"X-RateLimit-Retry-After": "3"}, {}, 3.0),
        ({}, {"retry_after": 4}, 4.0),
        ({}, {"retry_after": "4"}, 4.0),
        ({}, {"details": {"retry_after": 5}}, 5.0),
        ({}, {"details": [{"retry_after": 5}]}, None),
        ({}, {"details": "retry_after"}, None),
        ({}, {"retry_after": {"seconds": 5}}, None),
        ({"X-RateLimit-Reset": "99"}, {}, None),
        ({"Retry-After": "2", "X-RateLimit-Retry-After": "3"}, {"retry_after": 4}, 2.0),
        ({"Retry-After": "abc", "X-RateLimit-Retry-After": "3"}, {"retry_after": 4}, 3.0),
        ({"Retry-After": "abc"}, {"retry_after": 4, "details": {"retry_after": 5}}, 4.0),
        ({"Retry-After": "0"}, {"retry_after": 4}, 0.0),
    ],
)
def test_places_where_the_wait_may_stand(
    headers: dict[str, str], error: dict[str, Any], seconds: float | None
) -> None:
    assert asked_wait(CaseInsensitiveDict(headers), error, now=NOW) == seconds
