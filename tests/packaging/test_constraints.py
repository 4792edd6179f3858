"""The pins: complete, plain, and free of any address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.packaging.project import PYPROJECT, REPOSITORY, pins_in

CONSTRAINTS = REPOSITORY / "constraints.txt"
PINS = pins_in(CONSTRAINTS)


def wanted() -> list[str]:
    """Return everything that the project asks for, whatever for."""
    project = PYPROJECT["project"]
    groups = [one for group in PYPROJECT["dependency-groups"].values() for one in group]
    return [
        *PYPROJECT["build-system"]["requires"],
        *project["dependencies"],
        *sorted({one for extra in project["optional-dependencies"].values() for one in extra}),
        *(one for one in groups if isinstance(one, str)),
    ]


def pin_files() -> Iterator[Path]:
    """Yield the repository's files of pins, those in hidden folders aside, which are no part of it."""
    for top in REPOSITORY.iterdir():
        if top.is_dir() and not top.name.startswith("."):
            yield from (path for path in top.rglob("*") if is_pin_file(path))
        elif is_pin_file(top):
            yield top


def is_pin_file(path: Path) -> bool:
    return path.is_file() and (path.suffix == ".lock" or path.match("*constraints*.txt"))


def test_no_two_pins_of_a_package_meet() -> None:
    markers: dict[str, list[str]] = {}
    for name, _, marker in PINS:
        markers.setdefault(name, []).append(marker)
    for name, found in markers.items():
        assert len(found) == len(set(found)), name
        assert len(found) == 1 or "" not in found, name


@pytest.mark.parametrize("requirement", [Requirement(one) for one in wanted()], ids=str)
def test_every_requirement_is_pinned_to_what_it_allows(requirement: Requirement) -> None:
    versions = [version for name, version, _ in PINS if name == canonicalize_name(requirement.name)]
    assert versions
    for version in versions:
        assert requirement.specifier.contains(version, prereleases=True)


@pytest.mark.parametrize(("name", "least"), [("requests", "2.33"), ("urllib3", "2.7")])
def test_what_is_installed_here_has_no_known_hole(name: str, least: str) -> None:
    assert [Version(version) >= Version(least) for one, version, _ in PINS if one == name] == [True]


def test_no_file_of_pins_has_an_address() -> None:
    paths = sorted(pin_files())
    assert CONSTRAINTS in paths
    assert [path.name for path in paths if "://" in path.read_text(encoding="utf-8")] == []
