"""How the package is built: what may import what, whose names it uses, how long functions get."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

import airflow.sdk

REPOSITORY = Path(__file__).parent.parent.parent
NAME = "airflow_aitronos"
PACKAGE = REPOSITORY / NAME
# What each part may import of the package: downwards only.
PARTS = {
    "exceptions": {"_compat"},
    "_compat": set(),
    "get_provider_info": set(),
    "client": {"client", "exceptions", "__version__"},
    "hooks": {"client", "exceptions", "_compat", "get_provider_info"},
    "retry_policy": {"exceptions", "_compat"},
    "operators": {"operators", "hooks", "client", "exceptions", "_compat", "retry_policy"},
    "sensors": {"operators", "hooks", "client", "exceptions", "triggers", "_compat"},
    "triggers": {"sensors", "hooks", "client", "exceptions"},
    "doctor": {"hooks", "client", "exceptions", "get_provider_info", "__version__"},
    "sandbox": {"sandbox"},
    "testing": {"testing", "sandbox", "retry_policy", "hooks", "client"},
}
ARROWS = {
    "sanitize": set(),
    "deadline": set(),
    "auth": set(),
    "validation": {"sanitize"},
    "settings": {"auth", "validation", "sanitize"},
    "http": {"settings", "deadline", "sanitize", "validation"},
    "retry": {"settings", "deadline"},
    "network_errors": {"settings", "sanitize"},
    "responses": {"retry", "settings", "sanitize"},
    "api_call": {"http", "responses", "network_errors", "retry", "deadline", "sanitize"},
    "workflows": {"api_call", "responses", "validation", "sanitize"},
    "detach": {"workflows", "api_call", "validation", "sanitize"},
    "pace": {"deadline", "sanitize"},
    "fleet": {"detach", "workflows", "api_call", "pace", "deadline", "sanitize"},
}

LOADED = """
import sys, airflow.sdk
# Airflow 3.1.0 loads requests itself.
before = set(sys.modules)
import airflow_aitronos.operators.assistants, airflow_aitronos.operators.workflows
import airflow_aitronos.sensors.assistants
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(new & {"airflow_aitronos", "requests", "urllib3"}))
# BaseTrigger alone takes 20 ms.
print(*(name for name in sys.modules if name.startswith("airflow_aitronos.triggers")))
"""

Described = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@cache
def sources() -> dict[str, tuple[Path, ast.Module]]:
    """Return the modules of the package by name, such as ``client.http``, parsed."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found[name] = path, ast.parse(path.read_text(encoding="utf-8"))
    assert len(found) > 20
    return found


def imported(module: str, nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the full name of everything that is imported, ``a.b`` for ``from a import b``."""
    package = ".".join((NAME, *module.split(".")[:-1]))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def for_running(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield what runs when a module is imported: nothing that is for type checkers or for a call only."""
    for node in nodes:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from for_running(node.orelse)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        else:
            yield node
            yield from for_running(ast.iter_child_nodes(node))


def is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


GETS = {"getattr", "setattr", "delattr", "hasattr", "attrgetter", "patch", "object", "multiple"}


def private_names(name: str, tree: ast.Module) -> Iterator[str]:
    """Yield each private name of others that a module reads or imports, or gets or patches through a text."""
    own = {"self", "cls", *(node.name for node in tree.body if isinstance(node, Described))}
    nodes = list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == NAME:
            own |= {alias.asname or alias.name for alias in node.names}
    others = [one for one in imported(name, nodes) if one.split(".")[0] != NAME]
    yield from (one for one in others if any(map(is_private, one.split("."))))
    for node in nodes:
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id in own):
                yield ast.unparse(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in GETS:
            texts = [str(one.value) for one in node.args if isinstance(one, ast.Constant)]
            yield from (one for one in texts if is_private(one.rpartition(".")[2]))


def test_the_parts_import_downwards() -> None:
    wrong = []
    for name, (_, tree) in sources().items():
        part = name.split(".")[0]
        for one in imported(name, ast.walk(tree)):
            package, _, rest = one.partition(".")
            if package == NAME and part != "__init__" and rest.split(".")[0] not in PARTS[part]:
                wrong.append(f"{name}: {one}")
    assert wrong == []


def client_imports() -> dict[str, set[str]]:
    """Return which modules of ``client/`` each of them imports to run."""
    found = {}
    for name, (_, tree) in sources().items():
        if name.startswith("client.") and name != "client.__init__":
            names = [one.split(".") for one in imported(name, for_running([tree]))]
            found[name.removeprefix("client.")] = {
                parts[2] for parts in names if parts[:2] == [NAME, "client"]
            }
    return found


def test_the_client_has_the_arrows_of_the_design() -> None:
    assert client_imports().keys() == ARROWS.keys()
    assert {name: extra for name, found in client_imports().items() if (extra := found - ARROWS[name])} == {}


def test_no_private_name_of_others_is_used() -> None:
    wrong = [f"{name}: {one}" for name, (_, tree) in sources().items() for one in private_names(name, tree)]
    assert wrong == []


def test_no_private_name_of_others_is_overridden() -> None:
    wrong = []
    for name, (_, tree) in sources().items():
        if name.endswith("__main__") or (name == "retry_policy" and not hasattr(airflow.sdk, "RetryPolicy")):
            continue
        module = importlib.import_module(f"{NAME}.{name}".removesuffix(".__init__"))
        for node in tree.body:
            if not isinstance(node, ast.ClassDef):
                continue
            used = {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
            used |= {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
            used |= {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}
            for base in inspect.getmro(getattr(module, node.name))[1:]:
                if base.__module__.split(".")[0] not in (NAME, "builtins", "typing"):
                    wrong += [
                        f"{name}.{node.name}: {one}" for one in used & set(vars(base)) if is_private(one)
                    ]
    assert wrong == []


def test_parsing_a_dag_loads_no_http_library() -> None:
    result = subprocess.run([sys.executable, "-c", LOADED], stdout=subprocess.PIPE, text=True, check=True)
    assert result.stdout.split() == [NAME]
