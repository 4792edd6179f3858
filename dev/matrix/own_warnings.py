"""Make a warning that our own code causes an error, in every process that a test run starts."""

from __future__ import annotations

from collections.abc import Iterator

from dev.matrix.rows import REPOSITORY

PACKAGE = "airflow_aitronos"


def filters() -> str:
    """
    Return a value for ``PYTHONWARNINGS``: an error for each module of the package by name.

    An environment variable, since pytest's settings do not reach the processes that tests start, and since
    Airflow adds filters of its own for all names that begin with ``airflow`` unless the interpreter has some.
    Each module by name, since that is compared as a whole.
    """
    return ",".join(f"error:::{module}" for module in sorted(_modules()))


def _modules() -> Iterator[str]:
    for path in (REPOSITORY / PACKAGE).rglob("*.py"):
        yield ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
