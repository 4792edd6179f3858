"""How the package is built: what may import what, how long functions get, and that all is described."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
PACKAGE = REPOSITORY / "airflow_aitronos"
LONGEST = 40

Described = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

LOADED = """
import sys, airflow.sdk
# Airflow 3.1.0 loads requests itself.
before = set(sys.modules)
import airflow_aitronos.operators.assistants, airflow_aitronos.operators.workflows
import airflow_aitronos.sensors.assistants
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(new & {"airflow_aitronos", "requests", "urllib3"}))
print("airflow_aitronos.client.adapter" in sys.modules)
"""


def sources(folder: str = "") -> list[tuple[Path, ast.Module]]:
    """Return the modules below a folder of the package, parsed."""
    paths = sorted((PACKAGE / folder).rglob("*.py"))
    assert paths
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def shown(path: Path, what: str) -> str:
    return f"{path.relative_to(PACKAGE).as_posix()}: {what}"


def imported(path: Path, nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the full name of everything that is imported, ``a.b`` for ``from a import b``."""
    package = ".".join(path.parent.relative_to(REPOSITORY).parts)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def run_on_import(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield what runs when a module is imported: no function bodies, and nothing for type checkers only."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from run_on_import(node.orelse)
            continue
        yield node
        yield from run_on_import(ast.iter_child_nodes(node))


def is_in(name: str, *modules: str) -> bool:
    return any(f"{name}.".startswith(f"airflow_aitronos.{module}.") for module in modules)


def public(node: ast.Module | ast.ClassDef) -> Iterator[Described]:
    """Yield the public classes, functions and methods of a module."""
    for child in node.body:
        if isinstance(child, Described) and not child.name.startswith("_"):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from public(child)


def test_functions_are_short() -> None:
    too_long = []
    for path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                length = node.end_lineno - node.lineno + 1
                if length > LONGEST:
                    too_long.append(shown(path, f"{node.name} has {length} lines"))
    assert too_long == []


def test_all_that_is_public_is_described() -> None:
    bare = []
    for path, tree in sources():
        if not ast.get_docstring(tree):
            bare.append(shown(path, "the module"))
        bare += [shown(path, node.name) for node in public(tree) if not ast.get_docstring(node)]
    assert bare == []


def test_nothing_but_the_test_helpers_imports_the_sandbox() -> None:
    wrong = []
    for path, tree in sources():
        if path.relative_to(PACKAGE).parts[0] not in ("sandbox", "testing"):
            wrong += [shown(path, name) for name in imported(path, ast.walk(tree)) if is_in(name, "sandbox")]
    assert wrong == []


def test_nothing_imports_the_test_helpers() -> None:
    wrong = []
    for path, tree in sources():
        if not path.is_relative_to(PACKAGE / "testing"):
            wrong += [shown(path, name) for name in imported(path, ast.walk(tree)) if is_in(name, "testing")]
    assert wrong == []


def test_client_imports_nothing_of_hooks_and_operators() -> None:
    wrong = []
    for path, tree in sources("client"):
        for name in imported(path, ast.walk(tree)):
            of_package = name.partition(".")[0] == "airflow_aitronos"
            allowed = is_in(name, "client", "exceptions", "_compat", "__version__")
            if of_package and not allowed:
                wrong.append(shown(path, name))
    assert wrong == []


@pytest.mark.parametrize("folder", ["operators", "sensors"])
def test_operators_import_the_hook_only_to_run(folder: str) -> None:
    wrong = []
    for path, tree in sources(folder):
        names = imported(path, run_on_import([tree]))
        heavy = [name for name in names if not is_in(name, "client.options")]
        wrong += [shown(path, name) for name in heavy if is_in(name, "client", "hooks")]
    assert wrong == []


def test_parsing_a_dag_loads_no_http_library() -> None:
    result = subprocess.run([sys.executable, "-c", LOADED], stdout=subprocess.PIPE, text=True, check=True)
    assert result.stdout.split() == ["airflow_aitronos", "False"]
