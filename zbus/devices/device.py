"""A device: two sides and what goes between them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal

import gevent
from gevent import get_hub

from ..errors import Unsupported
from ..green.context import Context
from ..green.service import CLOSED, OPEN, Runner, weakly
from ..wire.message import Message
from .capture import Capture
from .greenlets import Greenlets
from .kinds import RETAINING, Kind
from .process import FarSide, Process
from .side import OpenSide, Side, SideView
from .statistics import DeviceStatistics
from .thread import Thread

log = logging.getLogger("zbus")

RunsIn = Literal["greenlet", "thread", "process"]


Engine = Greenlets | Thread | Process


class Device(Runner):
    """Stands between peers that come and go; made by `queue`, `forwarder`, `streamer` and `monitored_queue`.

    As greenlets (``runs_in="greenlet"``) it runs beside your other code, one a direction, which move whole messages
    without looking inside. A far side that is full or not there holds up its own direction only: what cannot cross
    stays with its sender, but for the one message in hand. Towards a client of a queue there is no waiting: a reply
    whose client is gone, or has 10,000 unread, is dropped and counted.

    With ``runs_in="thread"`` it is libzmq's own proxy in an OS thread of its own, which also goes on while greenlets
    compute, at about twice the speed. It cannot be paused, has no ``capture`` and no ``inproc://`` sides (its libzmq
    context is its own), and with nobody at its back it keeps a processor busy. With ``runs_in="process"`` it is the
    same in a process of its own, which ends with this one.
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
        self._sides: dict[str, OpenSide] = {}
        self._engine: Engine | None = None
        self._error: BaseException | None = None

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
        self._error = None
        self._engine = None
        if self._runs_in == "process":
            self._sides = {}
            self._engine = Process(self._kind, self._declared, weakly(self._broke))
        else:
            self._engine = self._open_here()
            self._engine.start()

    def _open_here(self) -> Greenlets | Thread:
        context = Context() if self._runs_in == "thread" else None
        opened: dict[str, OpenSide] = {}
        try:
            for name, declared in self._declared.items():
                opened[name] = OpenSide(declared, getattr(self._kind, name), context)
                opened[name].start()
        except BaseException:
            for side in opened.values():
                side.close()
            if context is not None:
                get_hub().threadpool.apply(context.term)
            raise
        self._sides = opened
        if context is not None:
            return Thread(opened, context, weakly(self._broke))
        return Greenlets(self._kind, opened, self._callback and Capture(self._callback, repr(self)))

    def _side(self, name: str) -> OpenSide | FarSide:
        """A side, to ask. Opens."""
        engine = self._running()
        return engine.sides[name] if isinstance(engine, Process) else self._sides[name]

    def _broke(self, error: BaseException) -> None:
        """On the hub: the thread ended by itself."""
        self._error = error
        log.error("%r ended: %s", self, error)
        gevent.spawn(self.close)

    def run(self) -> None:
        """Start, move messages until `stop`, close, return; raises what ended it otherwise.

        In the main greenlet SIGTERM and SIGINT stop it too; a second one ends the process at once.
        """
        super().run()
        if self._error is not None:
            raise self._error

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
        engine = self._engine
        if engine is not None:
            engine.end(wait)
        closing = [side for side in self._sides.values() if side.state != CLOSED]
        if wait:  # each has a linger time of its own: side by side
            gevent.joinall([gevent.spawn(side.close) for side in closing])
        else:
            for side in closing:
                side._close(False)
        if engine is not None:
            engine.over(wait)

    def _abandon(self) -> None:
        if isinstance(self._engine, Process):
            self._engine.abandon()

    # -- what it looks like --------------------------------------------------------------------------

    def statistics(self) -> DeviceStatistics:
        """Counts and gauges, frozen; see `DeviceStatistics`. Does not open."""
        return DeviceStatistics() if self._engine is None else self._engine.counts()

    def __repr__(self) -> str:
        words = [self._kind.name]
        if self.name:
            words.append(repr(self.name))
        for name, declared in self._declared.items():
            found = self._side(name).addresses if self._state is OPEN and self._engine is not None else ()
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
