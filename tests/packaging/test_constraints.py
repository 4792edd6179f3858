"""The pins: complete, plain, and free of any address."""

from __future__ import annotations

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
    paths = [CONSTRAINTS, *REPOSITORY.glob("dev/**/*constraints*.txt")]
    assert len(paths) > 2
    assert [path.name for path in paths if "://" in path.read_text(encoding="utf-8")] == []
