"""Ids and paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_aitronos.client.ids import check_id, expand_path
from airflow_aitronos.exceptions import AitronosInputError
from tests.unit.tools import KEY

TEMPLATE = "/v1/assistants/{assistant_id}/workflow"


@pytest.mark.parametrize("value", ["a", "7", "asst_1", "A-b_C-9", "a" * 128, "nanna", "none1", "0" * 128])
def test_good_ids(value: str) -> None:
    assert check_id("assistant_id", value) == value
    assert check_id("assistant_id", f" {value}\r\n") == value
    assert expand_path(TEMPLATE, {"assistant_id": value}) == f"/v1/assistants/{value}/workflow"


@pytest.mark.parametrize(
    "value", ["", "a" * 129, "_a", "-a", "a\n\nb", "a.", "none", "{{ x }}", 5, None, [], b"a"]
)
def test_bad_ids_are_named(value: object) -> None:
    with pytest.raises(AitronosInputError, match=r"\ANothing was sent: workflow_id is ") as caught:
        check_id("workflow_id", value)
    assert str(caught.value).endswith("Trying again cannot help.")


@given(st.one_of(st.text(), st.text("abc012_-./%\\ \n", max_size=8), st.integers(), st.binary(), st.none()))
def test_any_value_is_one_path_segment_or_refused(value: object) -> None:
    refusal: str | None = None
    try:
        checked = check_id("assistant_id", value)
    except AitronosInputError as error:
        refusal = str(error)
    if refusal is not None:
        assert refusal.isprintable()
        return
    assert isinstance(value, str)
    assert checked == value.strip()
    assert checked.isascii()
    assert checked.replace("_", "").replace("-", "").isalnum()
    assert 1 <= len(checked) <= 128


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (f"{KEY}/", f"is '{KEY[:8]}…' with '/' as character {len(KEY) + 1}, which"),
        (f"{KEY} {KEY}", f"is '{KEY[:8]}…' with ' ' as character {len(KEY) + 1}, which"),
        ("asst_1/workflow", "is 'asst_1/workflow' with '/' as character 7, which"),
        ("/asst_1", "is '/asst_1', which"),
        ("asst_1\u0430", "is 'asst_1\\u0430' with '\\u0430' as character 7, which"),
        ("a" * 129, "is 'aaaaaaaa…', which"),
    ],
)
def test_what_is_wrong_is_shown_but_no_key(value: str, shown: str) -> None:
    with pytest.raises(AitronosInputError) as caught:
        check_id("assistant_id", value)
    assert f"assistant_id {shown} cannot be an id" in str(caught.value)


@given(st.text())
def test_a_shown_value_is_short(value: str) -> None:
    with pytest.raises(AitronosInputError) as caught:
        check_id("assistant_id", value + "/" + "x" * 1000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("template", "parameters", "path"),
    [
        ("/v1/workflows", None, "/v1/workflows"),
        ("/v1/workflows", {}, "/v1/workflows"),
        ("/v1/health/", None, "/v1/health/"),
        ("/v1/a/{x}/b/{y}", {"x": "1", "y": "2"}, "/v1/a/1/b/2"),
        ("/v1/a/{x}/b/{x}", {"x": "1"}, "/v1/a/1/b/1"),
        ("/v1/{x}", {"x": "v2"}, "/v1/v2"),
    ],
)
def test_paths(template: str, parameters: Mapping[str, object] | None, path: str) -> None:
    assert expand_path(template, parameters) == path


@pytest.mark.parametrize(
    "template",
    [
        "", "/", "v1/x", "//evil.com", "https://evil.com/x", "/v1/../x", "/v1/./x", "/v1/x?y=1", "/v1/x#f",
        "/v1//x", "/v1/%2e", "/v1/{}", "/v1/{x.y}", "/v1/{x!r}", "/v1/a{x}", "/v1/x\n", "/v1/x y", "/v1/\\x",
        "/v1/@x", None, 5, b"/v1", "/v1/{x", "/v1/x;y",
    ],
)  # fmt: skip
def test_templates_that_could_lead_elsewhere(template: Any) -> None:
    with pytest.raises(AitronosInputError, match="is not a template") as caught:
        expand_path(template, {"x": "1"})
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("parameters", [None, {}, {"assistant": "1"}, {"assistant_id": "1", "x": "2"}])
def test_parameters_and_template_have_to_agree(parameters: Mapping[str, object] | None) -> None:
    with pytest.raises(AitronosInputError, match=r"takes the path_params \['assistant_id'\]"):
        expand_path(TEMPLATE, parameters)


def test_every_parameter_is_checked() -> None:
    with pytest.raises(AitronosInputError, match=r"y is '\.\.'"):
        expand_path("/v1/{x}/{y}", {"x": "1", "y": ".."})
