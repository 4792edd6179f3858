"""What Airflow reads of the provider: a mistake in it stops every Airflow process from starting."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Callable
from importlib.metadata import Distribution, EntryPoint, entry_points
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from airflow.providers_manager import ProvidersManager
from packaging.utils import canonicalize_name

import airflow_aitronos
from airflow_aitronos.exceptions import AitronosConfigurationError
from airflow_aitronos.get_provider_info import get_provider_info
from airflow_aitronos.hooks.aitronos import AitronosHook
from tests.packaging.project import PYPROJECT, module_names

SettingsOf = Callable[[dict[str, Any]], dict[str, Any]]
GROUP = "apache_airflow_provider"


def schema(name: str) -> dict[str, Any]:
    """Return one of the JSON schemas that Airflow comes with."""
    read = json.loads((files("airflow") / name).read_text(encoding="utf-8"))
    assert isinstance(read, dict)
    return read


def installed() -> tuple[EntryPoint, Distribution]:
    """Return the one installed entry point that leads into the package, and whose it is."""
    (found,) = (point for point in entry_points(group=GROUP) if point.module.startswith("airflow_aitronos."))
    assert found.dist is not None
    return found, found.dist


def test_fits_the_schema_that_airflow_checks_at_start_up() -> None:
    jsonschema.validate(get_provider_info(), schema("provider_info.schema.json"))


def test_connection_types_fit_the_schema_of_airflows_own_providers() -> None:
    # Stricter than the one above: it knows the fields of the form. An Airflow that does not know the form
    # here at all lets it pass.
    form = schema("provider.yaml.schema.json")["properties"]["connection-types"]
    jsonschema.validate(get_provider_info()["connection-types"], form)


def test_one_name_and_one_version() -> None:
    _, distribution = installed()
    name = get_provider_info()["package-name"]
    assert name == canonicalize_name(distribution.name) == PYPROJECT["project"]["name"]
    assert "version" in PYPROJECT["project"]["dynamic"]
    assert distribution.version == airflow_aitronos.__version__


def test_entry_point_gives_the_provider_info() -> None:
    point, _ = installed()
    assert PYPROJECT["project"]["entry-points"][GROUP] == {point.name: point.value}
    assert point.load() is get_provider_info


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_every_module_is_named_and_can_be_imported(kind: str) -> None:
    info = get_provider_info()
    declared = {integration["integration-name"] for integration in info["integrations"]}
    named = []
    for entry in info.get(kind, []):
        assert entry["integration-name"] in declared
        named += entry["python-modules"]
    public = re.compile(rf"airflow_aitronos\.{kind}\.(?!_|base$|try_state$)")
    assert sorted(named) == [name for name in module_names() if public.match(name)]
    for name in named:
        assert importlib.import_module(name).__name__ == name


def test_connection_types_are_those_of_their_hooks() -> None:
    types = get_provider_info()["connection-types"]
    assert [one["connection-type"] for one in types] == ["aitronos"]
    for one in types:
        module, _, name = one["hook-class-name"].rpartition(".")
        hook = getattr(importlib.import_module(module), name)
        assert (hook.conn_type, hook.hook_name) == (one["connection-type"], one["hook-name"])


def test_form_as_the_hook_class_gives_it() -> None:
    form = AitronosHook.get_ui_field_behaviour()
    assert sorted(form) == ["hidden_fields", "placeholders", "relabeling"]
    jsonschema.validate(form, schema("customized_form_field_behaviours.schema.json"))


# The place that later versions name instead does not exist in Airflow 3.1.
@pytest.mark.filterwarnings("ignore:ProvidersManager.* is deprecated")
def test_airflow_knows_the_connection_type() -> None:
    untyped: Any = ProvidersManager
    hook = untyped().hooks["aitronos"]
    assert hook.hook_class_name == "airflow_aitronos.hooks.aitronos.AitronosHook"
    assert hook.package_name == "airflow-provider-aitronos"
    assert hook.connection_testable is True


FIELDS: dict[str, Any] = get_provider_info()["connection-types"][0]["conn-fields"]


@pytest.fixture
def settings_of(monkeypatch: pytest.MonkeyPatch) -> SettingsOf:
    """Return a function that gives the settings of a connection with this Extra, by name."""

    def read(extra: dict[str, Any]) -> dict[str, Any]:
        connection = {"conn_type": "aitronos", "password": "key-of-the-form", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_OF_THE_FORM", json.dumps(connection))
        settings = AitronosHook("of_the_form").settings
        return {name: getattr(settings, name) for name in FIELDS}

    # The default host is in nobody's list, and nothing is sent to it.
    monkeypatch.delenv("AITRONOS_ALLOWED_ORIGINS", raising=False)
    return read


def test_the_form_has_every_key_of_extra_and_no_other() -> None:
    hook = inspect.signature(AitronosHook).parameters
    assert sorted(FIELDS) == sorted(set(hook) - {"aitronos_conn_id"})


@pytest.mark.parametrize(
    ("name", "bound"), [(name, bound) for name in FIELDS for bound in ("minimum", "maximum")]
)
def test_the_forms_bounds_are_those_of_the_settings(name: str, bound: str, settings_of: SettingsOf) -> None:
    schema = FIELDS[name]["schema"]
    if "integer" not in schema["type"] and "number" not in schema["type"]:
        assert bound not in schema
        return
    limit = schema[bound]
    assert settings_of({name: limit})[name] == limit
    step = 1 if "integer" in schema["type"] else 0.0005
    beyond = limit - step if bound == "minimum" else limit + step
    with pytest.raises(AitronosConfigurationError, match=name):
        settings_of({name: beyond})


def test_what_the_form_fills_in_is_the_default(settings_of: SettingsOf) -> None:
    filled = {
        name: field["schema"]["default"] for name, field in FIELDS.items() if "default" in field["schema"]
    }
    assert filled
    assert settings_of(filled) == settings_of({})


@pytest.mark.parametrize("name", [name for name in FIELDS if "Default" in FIELDS[name]["description"]])
def test_the_help_names_the_default(name: str, settings_of: SettingsOf) -> None:
    assert f"Default {settings_of({})[name]:g}." in FIELDS[name]["description"]
