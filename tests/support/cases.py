"""The ids of the fault matrix, each given to the one test that covers it."""

from __future__ import annotations

import pytest


def case(case_id: str) -> pytest.MarkDecorator:
    """
    Mark a test, or one of its parameters, as the definition of a case of the fault matrix.

    ``tests/test_fault_matrix.py`` reads the source for calls of this function, and of tables whose rows
    begin with an id, and fails on a case that is missing or defined twice.

    :param case_id: such as ``C17``.
    """
    return pytest.mark.case(case_id)
