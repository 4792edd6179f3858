"""A child process that is talked to in lines, and that never outlives its parent."""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Self

from benchmarks.environment import REPOSITORY

_PATIENCE_AT_END = 5.0
_TAIL = 2000


class ChildError(Exception):
    """A child process ended, or did not answer in time."""


class Child:
    """
    Start a program, send it lines, read its answers.

    A program that goes on until its standard input ends is gone when this process is, however that ends.
    It runs in a session of its own, so that Ctrl-C reaches this process alone, which then ends the child.

    :param command: the program and its arguments.
    :param environment: all of its environment variables.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        with ExitStack() as if_it_cannot_start:
            self._errors = if_it_cannot_start.enter_context(tempfile.TemporaryFile())
            self._process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                start_new_session=True,
            )
            if_it_cannot_start.pop_all()

    def send(self, line: str) -> None:
        """
        Send a line.

        :param line: without its end.
        :raises ChildError: if the program has ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{line}\n".encode())
        except BrokenPipeError:
            raise self._error("ended") from None

    def read_line(self, timeout: float) -> str:
        """
        Return the next line of the program.

        :param timeout: seconds to wait for it.
        :raises ChildError: if it does not come.
        """
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], timeout)
        if not readable:
            raise self._error(f"said nothing for {timeout:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise self._error("ended")
        return line.decode().rstrip("\n")

    def close(self) -> None:
        """End the program: by the end of its input, and by force if it does not listen."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(_PATIENCE_AT_END)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            self._errors.close()

    def __enter__(self) -> Self:
        """Return the child itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End the program."""
        self.close()

    def _error(self, what: str) -> ChildError:
        end = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, end - _TAIL))
        tail = self._errors.read().decode(errors="replace").strip()
        return ChildError(f"{self._process.args!r} {what}" + (f"; its last words:\n{tail}" if tail else ""))
