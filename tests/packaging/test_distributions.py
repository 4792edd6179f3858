"""What is in the wheel and in the source distribution."""

from __future__ import annotations

import email
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from airflow_aitronos import __version__
from tests.packaging.project import PACKAGE, REPOSITORY

STEM = f"airflow_provider_aitronos-{__version__}"
DIST_INFO = f"{STEM}.dist-info"

DECOYS = (
    ".venv/lib/module.py",
    ".airflow-tests/airflow.cfg",
    "airflow_aitronos/__pycache__/call.cpython-311.pyc",
)
"""What lies about in a repository that is worked in."""

BUILD = """
import sys
from flit_core import buildapi
buildapi.build_wheel(sys.argv[1])
buildapi.build_sdist(sys.argv[1])
"""


@dataclass
class Built:
    """The files in both distributions."""

    in_wheel: dict[str, bytes]
    in_sdist: dict[str, bytes]


def copy_of_the_repository(folder: Path) -> Path:
    """Copy everything but the hidden folders, with stand-ins for what may not get into a distribution."""
    tree = folder / "repository"
    shutil.copytree(REPOSITORY, tree, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    for decoy in DECOYS:
        (tree / decoy).parent.mkdir(parents=True)
        (tree / decoy).write_text("not for anybody")
    return tree


def unzipped(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def untarred(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        return {name: file.read() if file else b"" for name, file in files.items()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("build")
    tree = copy_of_the_repository(folder)
    out = folder / "out"
    out.mkdir()
    subprocess.run([sys.executable, "-c", BUILD, str(out)], cwd=tree, check=True)
    wheel = out / f"{STEM}-py3-none-any.whl"
    sdist = out / f"{STEM}.tar.gz"
    assert sorted(out.iterdir()) == sorted([wheel, sdist])
    return Built(unzipped(wheel), untarred(sdist))


@pytest.fixture(scope="module")
def metadata(built: Built) -> Message:
    return email.message_from_bytes(built.in_wheel[f"{DIST_INFO}/METADATA"])


def package_files() -> dict[str, bytes]:
    """Return every file of the package by its path in the repository."""
    paths = [*PACKAGE.rglob("*.py"), PACKAGE / "py.typed"]
    return {path.relative_to(REPOSITORY).as_posix(): path.read_bytes() for path in paths}


def root_file(name: str) -> bytes:
    return (REPOSITORY / name).read_bytes()


def test_wheel_holds_the_package_and_nothing_else(built: Built) -> None:
    about = {f"{DIST_INFO}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")}
    expected = {**package_files(), f"{DIST_INFO}/licenses/LICENSE": root_file("LICENSE")}
    assert {name: data for name, data in built.in_wheel.items() if name not in about} == expected
    assert about < set(built.in_wheel)


def test_sdist_holds_the_package_and_what_builds_it(built: Built) -> None:
    expected = package_files()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        expected[name] = root_file(name)
    expected["PKG-INFO"] = built.in_wheel[f"{DIST_INFO}/METADATA"]
    assert built.in_sdist == {f"{STEM}/{name}": data for name, data in expected.items()}


def test_metadata(metadata: Message) -> None:
    assert metadata["Name"] == "airflow-provider-aitronos"
    assert metadata["Version"] == __version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata.get_all("Project-URL") == ["Aitronos API reference, https://docs.aitronos.com"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert metadata.get_all("Provides-Extra") == ["testing"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert str(metadata.get_payload()).strip() == root_file("README.md").decode().strip()


def test_requirements(metadata: Message) -> None:
    requirements = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    always = [str(one) for one in requirements if one.marker is None]
    extras = [str(one) for one in requirements if one.marker is not None]
    assert always == ["apache-airflow>=3.1", "requests<3,>=2.32.4", "tenacity>=8.3", "urllib3>=2.2"]
    assert extras == [str(Requirement('pytest>=8 ; extra == "testing"'))]
