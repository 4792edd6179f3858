"""Every option from its three sources, and what the errors say."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_aitronos.client.settings import check_ca_bundle
from airflow_aitronos.exceptions import AitronosConfigurationError
from airflow_aitronos.hooks.aitronos import AitronosHook
from tests.unit.tools import CONN_ID, KEY, OPTIONS, assert_hides, connection_json, loaded, make_settings

OTHER_VALUES: dict[str, tuple[Any, Any]] = {
    "connect_timeout": (1, 2),
    "read_timeout": (10, 20),
    "total_timeout": (100, 200),
    "max_attempts": (1, 10),
    "max_backoff": (5, 0),
    "max_retry_after": (30, 0),
    "verify": (True, False),
    "allow_http": (True, False),
}
"""For every option a value from Extra, and another one from an argument: falsy where that is legal."""


def refusal(**fields: Any) -> str:
    with pytest.raises(AitronosConfigurationError) as caught:
        loaded(**fields)
    assert_hides(caught.value, KEY, "hunter2")
    assert f"connection '{CONN_ID}'" in str(caught.value)
    return str(caught.value)


def test_the_table_above_is_complete() -> None:
    assert list(OTHER_VALUES) == list(OPTIONS)


@pytest.mark.parametrize("name", OPTIONS)
def test_argument_before_extra_before_default(name: str) -> None:
    in_extra, argument = OTHER_VALUES[name]
    assert getattr(loaded(), name) == OPTIONS[name]
    assert getattr(loaded(extra=extra_of(name, in_extra)), name) == in_extra
    assert getattr(loaded(arguments={name: argument}), name) == argument
    both = loaded(extra=extra_of(name, in_extra), arguments={name: argument})
    assert getattr(both, name) == argument


@pytest.mark.parametrize("name", OPTIONS)
def test_options_reach_the_settings_through_the_hook(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    in_extra, argument = OTHER_VALUES[name]
    monkeypatch.setenv("AIRFLOW_CONN_AITRONOS_DEFAULT", connection_json(extra={name: in_extra}))
    assert getattr(AitronosHook().settings, name) == in_extra
    assert getattr(AitronosHook(**{name: argument}).settings, name) == argument


@pytest.mark.parametrize("nothing", [None, ""], ids=repr)
@pytest.mark.parametrize("name", OPTIONS)
def test_nothing_in_extra_is_the_default(name: str, nothing: Any) -> None:
    assert getattr(loaded(extra=extra_of(name, nothing)), name) == OPTIONS[name]


@pytest.mark.parametrize("name", OPTIONS)
def test_a_wrong_argument_is_named_as_argument(name: str) -> None:
    text = refusal(arguments={name: "hunter"}, extra=extra_of(name, OTHER_VALUES[name][0]))
    assert f"argument {name} must be" in text
    assert "'hunter'" in text


LEGAL = {
    "connect_timeout": "a number of seconds from 0.001 to 86400",
    "read_timeout": "a number of seconds from 0.001 to 86400",
    "total_timeout": "a number of seconds from 0.001 to 86400",
    "max_attempts": "a whole number from 1 to 10",
    "max_backoff": "a number of seconds from 0 to 86400",
    "max_retry_after": "a number of seconds from 0 to 86400",
    "verify": "true, false, or the path of a CA bundle",
    "allow_http": "true or false",
}


@pytest.mark.parametrize("value", [[], {}, "maybe", -1, 2.5e9], ids=repr)
@pytest.mark.parametrize("name", OPTIONS)
def test_a_wrong_value_is_told_the_legal_ones(name: str, value: Any) -> None:
    text = refusal(extra=extra_of(name, value))
    assert f"Extra key {name} must be {LEGAL[name]}" in text


@pytest.mark.parametrize("value", [10**5000, [10**5000]], ids=["number", "list"])
@pytest.mark.parametrize("name", OPTIONS)
def test_a_number_that_python_does_not_write_is_refused_all_the_same(name: str, value: Any) -> None:
    assert f"argument {name} must be {LEGAL[name]}" in refusal(arguments={name: value})


@pytest.mark.parametrize(
    ("name", "value", "seconds"),
    [
        ("connect_timeout", 0.001, 0.001),
        ("read_timeout", " 0.5 ", 0.5),
        ("total_timeout", 86_400, 86_400.0),
        ("max_backoff", 0, 0.0),
        ("max_retry_after", "86400", 86_400.0),
    ],
)
def test_seconds(name: str, value: Any, seconds: float) -> None:
    assert getattr(loaded(arguments={name: value}), name) == seconds
    assert isinstance(getattr(loaded(arguments={name: value}), name), float)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connect_timeout", 0),
        ("connect_timeout", 0.0009),
        ("total_timeout", 86_400.1),
        ("max_backoff", -0.001),
        ("max_backoff", True),
        ("max_backoff", "1_0"),
        ("max_backoff", "inf"),
        ("max_backoff", math.nan),
    ],
)
def test_seconds_that_are_none(name: str, value: Any) -> None:
    with pytest.raises(AitronosConfigurationError) as caught:
        loaded(arguments={name: value})
    assert f"argument {name} must be {LEGAL[name]}, not {value!r}." in str(caught.value)


@pytest.mark.parametrize(
    "value", [0, 11, -1, 1.0, 2.5, True, "0", "11", "1.0", "one", "", "1_0", "\uff11", "+1"], ids=repr
)
def test_numbers_of_attempts_that_are_none(value: Any) -> None:
    with pytest.raises(AitronosConfigurationError, match="argument max_attempts must be a whole number"):
        loaded(arguments={"max_attempts": value})


@pytest.mark.parametrize(("value", "number"), [(1, 1), (10, 10), ("1", 1), ("10", 10), (" 4 ", 4), ("04", 4)])
def test_numbers_of_attempts(value: Any, number: int) -> None:
    assert loaded(arguments={"max_attempts": value}).max_attempts == number


@pytest.mark.parametrize("value", [0, 1, "1", "0", "yes", "no", "on", "t", " "], ids=repr)
def test_flags_that_are_none(value: Any) -> None:
    assert "true or false" in refusal(extra=extra_of("allow_http", value))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"password": None}, ["Password", "API key"]),
        ({"password": "***"}, ["Password", "API key"]),
        ({"password": "hunter2\u20ac"}, ["Password", "outside ASCII"]),
        ({"password": "hunter2\ud800"}, ["Password", "outside ASCII"]),
        ({"host": 5}, ["Host", "https://api.aitronos.com"]),
        ({"host": "https://user:hunter2@gw.example"}, ["Host", "user name"]),
        ({"host": "ftp://hunter2.example"}, ["Host", "https and http"]),
        ({"host": "https://gw.example:hunter2"}, ["Host", "1 to 65535"]),
        ({"host": "https://gw.example/hunter2 x"}, ["Host", "space"]),
        ({"host": "https://gw.example/~hunter2!"}, ["Host", "A-Z a-z 0-9 - . _ ~"]),
        ({"host": "http://gw.example"}, ["Host", "https://", "allow_http"]),
        ({"port": 99_999}, ["Port", "1 to 65535"]),
        ({"port": True}, ["Port", "1 to 65535"]),
        ({"host": "gw.example:1", "port": 2}, ["Port", "Host", "Leave one of them out"]),
        ({"schema": "hunter2"}, ["Schema", "'https' or 'http'"]),
        ({"schema": 5}, ["Schema", "'https' or 'http'"]),
        ({"host": "https://gw.example", "schema": "http"}, ["Schema", "Host says https"]),
        ({"extra": "{hunter2"}, ["Extra", "JSON object"]),
        ({"extra": "[" * 50_000}, ["Extra", "JSON object"]),
        ({"extra": "[1]"}, ["Extra", "JSON object"]),
        ({"extra": '{"a\\u0000b": "hunter2"}'}, ["Extra", "'a\\x00b'", *OPTIONS]),
    ],
)
def test_errors_name_the_field_and_what_is_legal(fields: dict[str, Any], says: list[str]) -> None:
    text = refusal(**fields)
    for words in says:
        assert words in text
    assert text.isprintable()


def test_many_unknown_keys_are_not_all_listed() -> None:
    text = refusal(extra={f"unknown_{number:03}" + "x" * 100: 1 for number in range(100)})
    assert len(text) < 600
    assert text.count("unknown_") == 5


def test_a_value_is_cut_in_the_error() -> None:
    text = refusal(extra={"total_timeout": "9" * 10_000})
    assert len(text) < 600


def test_key_is_stripped_then_masked_then_checked() -> None:
    masked: list[str] = []
    loaded(masked=masked, password=f" {KEY}\n")
    assert masked == [KEY]
    with pytest.raises(AitronosConfigurationError):
        loaded(masked=masked, password=f" {KEY}\x00\n")
    assert masked[1:] == [f"{KEY}\x00"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, []),
        ({"allow_http": True}, []),
        ({"verify": False}, ["verify=false"]),
        ({"url": "http://127.0.0.1:9", "allow_http": True}, []),
        ({"url": "http://[::1]:9"}, []),
        ({"url": "http://gw.example", "allow_http": True}, ["allow_http=true"]),
        (
            {"url": "http://gw.example", "allow_http": True, "verify": False},
            ["verify=false", "allow_http=true"],
        ),
    ],
)
def test_a_warning_for_each_protection_that_is_given_up(options: dict[str, Any], says: list[str]) -> None:
    warnings = make_settings(**{"url": "https://gw.example", **options}).warnings()
    assert len(warnings) == len(says)
    for line, words in zip(warnings, says, strict=True):
        assert words in line
        assert CONN_ID in line
        assert "API key" in line


def test_settings_show_no_key() -> None:
    assert KEY not in repr(make_settings())


def test_ca_bundles(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.pem", tmp_path / "bad.pem"
    trustme.CA().cert_pem.write_to_path(str(good))
    bad.write_text("hunter2")
    assert check_ca_bundle(str(good)) is None
    assert check_ca_bundle(str(tmp_path)) == "a folder without hashed certificates"
    (tmp_path / "0a1b2c3d.0").write_bytes(good.read_bytes())
    assert check_ca_bundle(str(tmp_path)) is None
    assert check_ca_bundle(str(tmp_path / "missing.pem")) == "No such file or directory"
    assert check_ca_bundle("nul\x00inside") == "ValueError"
    for path in (str(bad), "nul\x00inside"):
        problem = check_ca_bundle(path)
        assert problem
        assert re.fullmatch(r"[ -~]{3,100}", problem)
        assert "hunter2" not in problem


def extra_of(name: str, value: Any) -> dict[str, Any]:
    return {name: value}
