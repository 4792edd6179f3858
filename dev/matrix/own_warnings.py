"""Make a warning that our own code causes an error, in every process that a test run starts."""

from __future__ import annotations

from collections.abc import Iterator

from dev.matrix.rows import REPOSITORY

PACKAGE = "airflow_aitronos"


def filters() -> str:
    """
    Return a value for ``PYTHONWARNINGS``: an error for each module of the package by name.

    By the environment and not by pytest's settings: those do not reach the processes that tests start, and
    Airflow, when it finds that nobody chose filters for the interpreter, puts its own before them, for
    everything whose name begins with ``airflow``. By name because a module is compared as a whole there.
    """
    return ",".join(f"error:::{module}" for module in sorted(_modules()))


def _modules() -> Iterator[str]:
    for path in (REPOSITORY / PACKAGE).rglob("*.py"):
        yield ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
