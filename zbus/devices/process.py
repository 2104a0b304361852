"""A device in a process of its own: ``python -m zbus device``, told what to be on its standard input.

Each side says one JSON object a line. The parent: the spec, then ``counts`` whenever it wants to know, then ``stop``
and how many seconds it may take; the end of its output, also by its death, ends the child. The child: where it is bound
or why it is not, who is connected whenever that changes, and its counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import gevent
from gevent import get_hub, getcurrent
from gevent.event import Event
from gevent.fileobject import FileObject
from gevent.monkey import get_original

from .. import errors
from ..errors import Closed, Unsupported
from ..green.options import Timeout
from ..green.service import CLOSED, OPEN, left
from .engine import Engine
from .kinds import Kind
from .side import Side
from .statistics import DeviceStatistics

#: Seconds to wait at most for the process to start, and to end.
LONGEST = 20.0
#: Seconds that it has to end when this program ends with it open: its linger time, and a little.
LONGEST_LAST = 1.5
#: Seconds that it has to tell its counts.
ANSWER = 1.0

_sleep: Callable[[float], None] = get_original("time", "sleep")

_ROOT = str(Path(__file__).resolve().parent.parent.parent)


class FarSide:
    """A side as the process tells of it."""

    def __init__(self, addresses: list[str]) -> None:
        self._state = OPEN
        self.addresses = tuple(addresses)
        self.peers = 0
        self._changed = Event()

    def tell(self, peers: int) -> None:
        """So many are connected now."""
        self.peers = peers
        self._changed.set()

    def wait_for_peers(self, count: int = 1, *, timeout: Timeout = None) -> None:
        """As an endpoint's."""
        with gevent.Timeout(timeout, errors.TimeoutExpired(f"{count} peers in {timeout} s; there are {self.peers}")):
            while self.peers < count:
                self._changed.clear()
                self._changed.wait()
                if self._state is CLOSED:
                    raise Closed("the device is closed")

    def close(self) -> None:
        """The device is: wake who waits."""
        self._state = CLOSED
        self._changed.set()


class Process(Engine):
    """The device's process, from its start to its end. `broke` is called on the hub if it ends by itself."""

    def __init__(self, kind: Kind, sides: dict[str, Side], broke: Callable[[BaseException], object]) -> None:
        self._broke = broke
        self._last = DeviceStatistics()
        self._answered = Event()
        self._ending = False
        self._deadline: float | None = 0.0  # until which it may finish what is in hand
        path = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
        theirs_in, to = os.pipe()
        back, theirs_out = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "zbus", "device"],
                stdin=theirs_in,
                stdout=theirs_out,
                env={**os.environ, "PYTHONPATH": path},
            )
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
            self._to, self._back = FileObject(to, "wb", buffering=0), FileObject(back, "rb")
        self.sides = self._sides = dict[str, FarSide]()
        self._listening = gevent.Greenlet(self._listen)
        try:
            self._say({"kind": kind.name, "sides": {name: _spec(side) for name, side in sides.items()}})
            with gevent.Timeout(LONGEST, OSError(f"the device's process said nothing for {LONGEST} s")):
                first = self._hear()
            if first is None:
                raise OSError(f"the device's process ended at once, with exit status {self._status()}")
            if "error" in first:
                raise _error(*first["error"])
        except BaseException:
            self.close(True)
            raise
        self._sides.update({name: FarSide(addresses) for name, addresses in first["addresses"].items()})
        self._listening.start()

    def _say(self, words: object) -> None:
        self._to.write(json.dumps(words).encode() + b"\n")

    def _hear(self) -> Any:
        line = self._back.readline()
        return json.loads(line) if line else None

    def _listen(self) -> None:
        while (words := self._hear()) is not None:
            for name, peers in words.get("peers", {}).items():
                self._sides[name].tell(peers)
            if "counts" in words:
                self._last = DeviceStatistics(**words["counts"])
                self._answered.set()
        if not self._ending:
            self._broke(OSError(f"the device's process ended, with exit status {self._status()}"))

    def pause(self) -> None:
        """Not here."""
        raise Unsupported("a device in a process cannot be paused; use runs_in='greenlet'")

    def resume(self) -> None:
        """It was never paused."""

    def finish(self, deadline: float | None) -> None:
        """Its figures are asked for a last time; it finishes when it is told to close."""
        self.counts()
        self._deadline = deadline

    def close(self, wait: bool) -> None:
        """Have it close and end."""
        self._ending = True
        for side in self._sides.values():
            side.close()
        if wait:
            with suppress(OSError):  # it has ended
                self._say({"stop": left(self._deadline)})
        self._to.close()
        if not wait:  # no greenlet can run any more
            deadline = monotonic() + LONGEST_LAST
            while self._process.poll() is None and monotonic() < deadline:
                _sleep(0.005)
            self._process.kill()
            return
        with gevent.Timeout(LONGEST, False):
            self._status()
        self._process.kill()
        self._status()
        self._listening.kill()
        self._back.close()

    def _status(self) -> int:
        """Its exit status, once it has ended. By looking: to wait as `gevent.subprocess` does would have libev collect
        every child of this process, also those that others wait for."""
        pause = 0.001
        while (status := self._process.poll()) is None:
            gevent.sleep(pause)
            pause = min(2 * pause, 0.05)
        return int(status)

    def abandon(self) -> None:
        """In a forked child: not to hold on to the device when the parent ends."""
        self._ending = True
        nothing = os.open(os.devnull, os.O_RDWR)
        for pipe in (self._to, self._back):
            os.dup2(nothing, pipe.fileno(), inheritable=False)
        os.close(nothing)

    def counts(self) -> DeviceStatistics:
        """What it says; or what it said last, `stale`."""
        if not self._ending and getcurrent() is not get_hub():
            self._answered.clear()
            try:
                self._say("counts")
            except OSError:
                return replace(self._last, stale=True)
            if self._answered.wait(ANSWER):
                return self._last
        return replace(self._last, stale=True)


def _spec(side: Side) -> dict[str, Any]:
    security = side.options.get("security")
    return {
        **side.options,
        "bind": side.bind,
        "connect": side.connect,
        "identity": side.identity.hex(),
        "security": None if security is None else security.spec,
    }


def _error(kind: str, message: str) -> BaseException:
    """What the process said that went wrong, as the error it would have been here."""
    found = getattr(errors, kind, OSError)
    return found(message) if issubclass(found, Exception) else OSError(message)
