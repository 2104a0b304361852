"""The parent of processes that a test kills; see `children.py` for what they do."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from gevent.socket import wait_read
from interop.process import Process

PATIENCE = 10.0


@dataclass(frozen=True)
class Child:
    """A process, and the address it is at; a device has one a side, with spaces between them."""

    pid: int
    address: str

    def kill(self) -> None:
        """``kill -9``; returns when it is gone, and its port is free."""
        try:
            gone = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            os.kill(self.pid, signal.SIGKILL)
            wait_read(gone, PATIENCE, TimeoutError(f"process {self.pid} did not end"))
        finally:
            os.close(gone)

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and does nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)


class Nursery(Process):
    """Makes children on demand; all of them end with it."""

    def __init__(self, script: str = "children.py") -> None:
        super().__init__(Path(__file__).with_name(script))
        self._born: list[Child] = []
        assert self.line() == "ready"

    def child(self, role: str, address: str = "tcp://127.0.0.1:*", *more: object) -> Child:
        """A new process in a role; returns when it serves."""
        self.say(" ".join(map(str, (role, address, *more))))
        pid, where = self.line(3 * PATIENCE).split(maxsplit=1)  # a device's process is a Python of its own
        self._born.append(Child(int(pid), where))
        return self._born[-1]

    def clear(self) -> None:
        """Kill every child, and forget what they said."""
        while self._born:
            self._born.pop().kill()
        self.say("mark")
        while self.line() != "mark":
            continue
