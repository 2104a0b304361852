"""Python programs in processes of their own, for tests to start, hear, talk to and kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from gevent.socket import wait_read

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PATIENCE = 10.0


class Process:
    """A program that says what it does, a line at a time; waiting for one lets greenlets run.

    With ``with`` it is killed at the end, and its children with it: they are in a process group of its own.
    """

    def __init__(self, script: str | Path, *arguments: object, options: tuple[str, ...] = ()) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *options, str(script), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
        self._heard = b""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def line(self, timeout: float = PATIENCE) -> str:
        """The next line that it says."""
        output = self._pipe(self._process.stdout)
        while b"\n" not in self._heard:
            wait_read(output, timeout, TimeoutError(f"{self._process.args} said nothing for {timeout} s"))
            more = os.read(output, 65_536)
            if not more:
                raise EOFError(f"{self._process.args} ended: {self.complaint()}")
            self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode()

    def ended(self, timeout: float = PATIENCE) -> int:
        """Its exit code, once it has ended by itself."""
        output = self._pipe(self._process.stdout)
        while True:
            wait_read(output, timeout, TimeoutError(f"{self._process.args} went on for {timeout} s"))
            if not os.read(output, 65_536):
                return self._process.wait(timeout)

    def complaint(self) -> str:
        """What it wrote to its standard error; only of a process that has ended."""
        stream: Any = self._process.stderr
        return str(stream.read().decode())

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        os.write(self._pipe(self._process.stdin), line.encode() + b"\n")

    def kill(self) -> None:
        """``kill -9``, its children too; returns when it is gone."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        finally:
            self._process.wait(PATIENCE)

    @staticmethod
    def _pipe(stream: Any) -> int:
        descriptor: int = stream.fileno()
        return descriptor

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


def plain(role: str, *arguments: object) -> Process:
    """A peer that knows nothing of zbus; see `peers/plain.py` for the roles."""
    return Process(HERE / "peers" / "plain.py", role, *arguments)
