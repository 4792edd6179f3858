"""The pins: complete, plain, and free of any address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.packaging.project import PYPROJECT, REPOSITORY

CONSTRAINTS = REPOSITORY / "constraints.txt"
PIN = re.compile(r"(?P<name>[a-z0-9]+(-[a-z0-9]+)*)==(?P<version>[0-9][0-9A-Za-z.+!]*)( ; (?P<marker>.+))?")


def lines() -> list[str]:
    return CONSTRAINTS.read_text(encoding="utf-8").splitlines()


def pins() -> list[tuple[str, str, str]]:
    """Return name, version and marker (empty for none) of every line."""
    found = []
    for line in lines():
        match = PIN.fullmatch(line)
        assert match, line
        found.append((match["name"], match["version"], match["marker"] or ""))
    return found


def wanted() -> list[str]:
    """Return everything that the project asks for, whatever for."""
    project = PYPROJECT["project"]
    return [
        *PYPROJECT["build-system"]["requires"],
        *project["dependencies"],
        *sorted({one for extra in project["optional-dependencies"].values() for one in extra}),
        *PYPROJECT["dependency-groups"]["dev"],
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


def test_every_line_is_a_pin() -> None:
    for name, version, marker in pins():
        requirement = Requirement(f"{name}=={version}" + (f" ; {marker}" if marker else ""))
        assert requirement.name == canonicalize_name(name) == name


def test_sorted() -> None:
    names = [name for name, _, _ in pins()]
    assert names == sorted(names)


def test_no_two_pins_of_a_package_meet() -> None:
    markers: dict[str, list[str]] = {}
    for name, _, marker in pins():
        markers.setdefault(name, []).append(marker)
    for name, found in markers.items():
        assert len(found) == len(set(found)), name
        assert len(found) == 1 or "" not in found, name


@pytest.mark.parametrize("requirement", [Requirement(one) for one in wanted()], ids=str)
def test_every_requirement_is_pinned_to_what_it_allows(requirement: Requirement) -> None:
    versions = [version for name, version, _ in pins() if name == canonicalize_name(requirement.name)]
    assert versions
    for version in versions:
        assert requirement.specifier.contains(version, prereleases=True)


@pytest.mark.parametrize(("name", "least"), [("requests", "2.33"), ("urllib3", "2.7")])
def test_what_is_installed_here_has_no_known_hole(name: str, least: str) -> None:
    assert [Version(version) >= Version(least) for one, version, _ in pins() if one == name] == [True]


def test_no_file_of_pins_has_an_address() -> None:
    paths = sorted(pin_files())
    assert CONSTRAINTS in paths
    assert [path.name for path in paths if "://" in path.read_text(encoding="utf-8")] == []
