"""The limits that the package keeps, and whether it does."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.calls import Calls
from benchmarks.contenders import HOOK, HTTP_HOOK, SESSION
from benchmarks.imports import OURS, THEIRS, Imports
from benchmarks.spread import Spread, median_ratio

IMPORT_LIMIT = 1 / 20
SESSION_LIMIT = 1.25
HTTP_HOOK_LIMIT = 1.0


@dataclass(frozen=True)
class Verdict:
    """
    Whether one limit was kept.

    :param kept: whether it was.
    :param text: the limit, and what was measured.
    """

    kept: bool
    text: str

    def line(self) -> str:
        """Return a line for the terminal."""
        return f"{'kept  ' if self.kept else 'MISSED'}  {self.text}"


def import_verdicts(imports: Imports) -> list[Verdict]:
    """
    Return whether importing the operator is as cheap as it has to be.

    :param imports: as measured.
    """
    loaded = sorted({name for one in imports[OURS] for name in one.http_libraries})
    ours, theirs = (Spread.of([one.wall for one in imports[name]]).median for name in (OURS, THEIRS))
    return [
        Verdict(
            not loaded, f"importing {OURS} loads neither requests nor urllib3: {', '.join(loaded) or 'none'}"
        ),
        Verdict(
            ours <= theirs * IMPORT_LIMIT,
            f"its import takes at most {IMPORT_LIMIT:.3f} of HttpOperator's: {ours / theirs:.3f}",
        ),
    ]


def call_verdicts(calls: Calls) -> list[Verdict]:
    """
    Return whether a call is as cheap as it has to be.

    :param calls: what was measured.
    """
    session = median_ratio(calls.wall[HOOK], calls.wall[SESSION])
    http_hook = median_ratio(calls.wall[HOOK], calls.wall[HTTP_HOOK])
    return [
        Verdict(
            session <= SESSION_LIMIT,
            f"a call takes at most {SESSION_LIMIT:.2f} times a bare requests.Session: {session:.2f}",
        ),
        Verdict(
            http_hook < HTTP_HOOK_LIMIT, f"a call takes less time than HttpHook.run: {http_hook:.2f} times"
        ),
    ]
