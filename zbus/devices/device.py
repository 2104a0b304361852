"""A device: two sides and what goes between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from ..errors import Unsupported
from ..green.authentication import Security
from ..green.runner import Runner
from ..green.service import DECLARED, weakly
from ..wire.message import Message
from .capture import Capture
from .engine import Engine, LiveSide
from .greenlets import Greenlets
from .kinds import RETAINING, Kind
from .process import Process
from .side import Side, SideView
from .statistics import DeviceStatistics
from .thread import Thread

RunsIn = Literal["greenlet", "thread", "process"]


class Device(Runner):
    """Stands between peers that come and go; made by `queue`, `forwarder`, `streamer` and `monitored_queue`.

    As greenlets (``runs_in="greenlet"``) it runs beside your other code, one a direction, which move whole messages
    without looking inside. A far side that is full or not there holds up its own direction only: what cannot cross
    stays with its sender, but for the one message in hand. Towards a client of a queue there is no waiting: a reply
    whose client is gone, or has 10,000 unread, is dropped and counted.

    With ``runs_in="thread"`` it is libzmq's own proxy in an OS thread of its own, which also goes on while greenlets
    compute, at about twice the speed. It cannot be paused, has no ``capture`` and no ``inproc://`` sides (its libzmq
    context is its own), and with nobody at its back it keeps a processor busy. While it waits for room on one side it
    may hold up the other direction, too, and what it has to drop it does not count. With ``runs_in="process"`` it is
    the same in a process of its own, which ends with this one.
    """

    def __init__(
        self,
        kind: Kind,
        sides: dict[str, Side],
        *,
        runs_in: RunsIn,
        capture: Callable[[Message], object] | None,
        name: str,
    ) -> None:
        if capture is not None and not callable(capture):
            raise TypeError(f"capture is called with each message; {type(capture).__qualname__} cannot be")
        if runs_in not in ("greenlet", "thread", "process"):
            raise ValueError(f"runs_in={runs_in!r}: a device runs in a 'greenlet', a 'thread' or a 'process'")
        if runs_in != "greenlet":
            if kind is RETAINING:
                raise Unsupported(f"a device in a {runs_in} sees no message to keep for last_value; use 'greenlet'")
            _check_native(sides, capture, runs_in)
        self._kind = kind
        self._declared = sides
        self._runs_in = runs_in
        self._callback = capture
        self.name = name
        self._bound: dict[str, tuple[str, ...]] = {}  # where each side is, for repr
        self._engine: Engine | None = None

    def secure(self, security: Security) -> None:
        """Take this for the ``security=`` of each side that has none and is not `insecure`. `ValueError` once open."""
        for name, side in self._declared.items():
            if side.options.get("security") is None and not side.options.get("insecure"):
                if self._state != DECLARED:
                    raise ValueError(f"{self!r} is open already, without the security that it is to have")
                self._declared[name] = side.secured(security)

    # -- its sides -----------------------------------------------------------------------------------

    @property
    def frontend(self) -> SideView:
        """The side of those who ask, publish or feed: its ``addresses``, ``peers`` and ``wait_for_peers``."""
        return SideView(self, "frontend")

    @property
    def backend(self) -> SideView:
        """The side of those who answer, subscribe or work."""
        return SideView(self, "backend")

    @property
    def monitor(self) -> SideView:
        """Where a monitored queue publishes what crosses; other devices have none and raise `AttributeError`."""
        if "monitor" not in self._declared:
            raise AttributeError(f"a {self._kind.name} has no monitor; a monitored_queue has")
        return SideView(self, "monitor")

    # -- the lifecycle -------------------------------------------------------------------------------

    def _open(self) -> None:
        self._bound = {}
        kind, declared, broke = self._kind, self._declared, weakly(self._broke)
        if self._runs_in == "process":
            self._engine = Process(kind, declared, broke)
        elif self._runs_in == "thread":
            self._engine = Thread(kind, declared, broke)
        else:
            capture = None if self._callback is None else Capture(self._callback, repr(self))
            self._engine = Greenlets(kind, declared, capture, broke)
        self._bound = {name: self._engine.sides[name].addresses for name in declared}

    def _side(self, name: str) -> LiveSide:
        """A side, to ask. Opens."""
        return self._running().sides[name]

    def pause(self) -> None:
        """Move nothing, until `resume`; senders' queues fill meanwhile. Returns when it is so. Opens. Twice is fine.

        Raises `Unsupported` in a thread.
        """
        self._running().pause()

    def resume(self) -> None:
        """Move messages again, the one that was in hand first. Twice is fine."""
        self._running().resume()

    def _running(self) -> Engine:
        self._ready()
        assert self._engine is not None
        return self._engine

    def _finish(self, deadline: float | None) -> None:
        """Move what has come, and what is in hand, if the far side takes it in time."""
        self._running().finish(deadline)

    def _shut(self, wait: bool) -> None:
        if self._engine is not None:
            self._engine.close(wait)

    def _abandon(self) -> None:
        if self._engine is not None:
            self._engine.abandon()
            self._engine = None

    # -- what it looks like --------------------------------------------------------------------------

    def statistics(self) -> DeviceStatistics:
        """Counts and gauges, frozen; see `DeviceStatistics`. Does not open."""
        return DeviceStatistics() if self._engine is None else self._engine.counts()

    def __repr__(self) -> str:
        words = [self._kind.name]
        if self.name:
            words.append(repr(self.name))
        for name, declared in self._declared.items():
            found = self._bound.get(name, ())
            words.append(f"{name}={' '.join(found or (*declared.bind, *declared.connect))}")
        return f"<{' '.join(words)} {self._state}>"


def _check_native(sides: dict[str, Side], capture: object, runs_in: str) -> None:
    """`Unsupported` for what libzmq's own proxy, or a process, cannot do."""
    if capture is not None:
        raise Unsupported(f"a device in a {runs_in} has no capture: its messages do not pass here; use 'greenlet'")
    if runs_in == "process" and any(side.options.get("on_event") for side in sides.values()):
        raise Unsupported("on_event does not reach out of a device's process; use runs_in='greenlet' or 'thread'")
    if runs_in == "thread" and "monitor" in sides:
        raise Unsupported("libzmq's proxy does not tell a monitor which way a message goes; use runs_in='greenlet'")
    for side in sides.values():
        for address in (*side.bind, *side.connect):
            if address.startswith("inproc://"):
                raise Unsupported(
                    f"{address}: a device in a {runs_in} has a libzmq context of its own, which no inproc name of this "
                    "program reaches; use ipc:// or runs_in='greenlet'"
                )
