"""A device: two sides and what goes between them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import monotonic

import gevent

from ..green.service import CLOSED, OPEN, Runner
from ..wire.message import Message
from .capture import Capture
from .kinds import IN, Kind
from .pump import Pump
from .side import OpenSide, Side, SideView
from .statistics import DeviceStatistics

#: Seconds for which a device that stops goes on moving what still comes.
DRAIN = 0.5


class Device(Runner):
    """Stands between peers that come and go; made by `queue`, `forwarder`, `streamer` and `monitored_queue`.

    It runs as greenlets beside your other code, one a direction, which move whole messages without looking inside. A
    far side that is full or not there holds up its own direction only: what cannot cross stays with its sender, but
    for the one message in hand. Towards a client of a queue there is no waiting: a reply whose client is gone, or has
    10,000 unread, is dropped and counted.
    """

    def __init__(
        self, kind: Kind, sides: dict[str, Side], capture: Callable[[Message], object] | None, name: str
    ) -> None:
        if capture is not None and not callable(capture):
            raise TypeError(f"capture is called with each message; {type(capture).__qualname__} cannot be")
        self._kind = kind
        self._declared = sides
        self._callback = capture
        self.name = name
        self._sides: dict[str, OpenSide] = {}
        self._pumps: dict[str, Pump] = {}
        self._running: list[gevent.Greenlet] = []
        self._capture: Capture | None = None

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
        opened: dict[str, OpenSide] = {}
        try:
            for name, declared in self._declared.items():
                opened[name] = OpenSide(declared, getattr(self._kind, name))
                opened[name].start()
        except BaseException:
            for side in opened.values():
                side.close()
            raise
        self._sides = opened
        self._capture = None if self._callback is None else Capture(self._callback, repr(self))
        front, back = opened["frontend"].socket, opened["backend"].socket
        self._pumps = {
            way: Pump(*((front, back) if way == IN else (back, front)), self._watch(way)) for way in self._kind.ways
        }
        self._run(Pump.run)

    def _watch(self, way: str) -> Callable[[list[bytes]], object] | None:
        """What is to see the messages that go this way."""
        if "monitor" not in self._sides:
            return None if self._capture is None else partial(self._capture.take, way)
        publish, prefix, capture = self._sides["monitor"].socket.offer, way.encode(), self._capture

        def seen(frames: list[bytes]) -> None:
            publish([prefix, *frames])
            if capture is not None:
                capture.take(way, frames)

        return seen

    def _run(self, what: Callable[[Pump], None]) -> None:
        self._running = [gevent.spawn(what, pump) for pump in self._pumps.values()]

    def _halt(self) -> None:
        gevent.killall(self._running)
        self._running = []

    def pause(self) -> None:
        """Move nothing, until `resume`; senders' queues fill meanwhile. Returns when it is so. Opens. Twice is fine."""
        self._ready()
        self._halt()

    def resume(self) -> None:
        """Move messages again, the one that was in hand first. Twice is fine."""
        self._ready()
        if not self._running:
            self._run(Pump.run)

    def _finish(self, deadline: float | None) -> None:
        """Move what has come, and what is in hand, if the far side takes it in time."""
        self._halt()
        self._run(Pump.drain)
        until = monotonic() + DRAIN
        if any(pump.held for pump in self._pumps.values()) and (deadline is None or deadline > until):
            gevent.joinall(self._running, None if deadline is None else deadline - monotonic())
        gevent.joinall(self._running, max((until if deadline is None else min(until, deadline)) - monotonic(), 0))
        self._halt()
        if self._capture is not None:
            self._capture.finish(DRAIN)

    def _shut(self, wait: bool) -> None:
        gevent.killall(self._running, block=False)
        if self._capture is not None:
            self._capture.close()
        closing = [side for side in self._sides.values() if side.state != CLOSED]
        if wait:  # each has a linger time of its own: side by side
            gevent.joinall([gevent.spawn(side.close) for side in closing])
        else:
            for side in closing:
                side._close(False)

    def _abandon(self) -> None:
        self._running = []

    # -- what it looks like --------------------------------------------------------------------------

    def statistics(self) -> DeviceStatistics:
        """Counts and gauges, frozen; see `DeviceStatistics`. Does not open."""
        counts = {}
        for way, pump in self._pumps.items():
            counts[f"messages_{way}"], counts[f"bytes_{way}"] = pump.messages, pump.bytes
        capture = self._capture
        return DeviceStatistics(
            **counts,
            waiting=sum(bool(pump.held) for pump in self._pumps.values()),
            dropped=sum(side.dropped() for side in self._sides.values()),
            capture_dropped=capture.dropped if capture else 0,
            capture_failed=capture.failed if capture else 0,
            missed_wakeups=sum(side.missed_wakeups() for side in self._sides.values()),
        )

    def __repr__(self) -> str:
        words = [self._kind.name]
        if self.name:
            words.append(repr(self.name))
        for name, declared in self._declared.items():
            found = self._sides[name].addresses if self._state is OPEN and name in self._sides else ()
            words.append(f"{name}={' '.join(found or (*declared.bind, *declared.connect))}")
        return f"<{' '.join(words)} {self._state}>"
