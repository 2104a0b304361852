"""A device as greenlets: one a direction, beside the rest of the program."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any

import gevent

from .capture import Capture
from .kinds import IN, RETAINING, Kind
from .pump import Pump
from .retain import Retainer
from .side import OpenSide
from .statistics import DeviceStatistics

#: Seconds for which a device that stops goes on moving what still comes.
DRAIN = 0.5


class Greenlets:
    """What moves the messages between open sides, and shows them to a capture and a monitor."""

    def __init__(self, kind: Kind, sides: dict[str, OpenSide], capture: Capture | None) -> None:
        self._sides = sides
        self._capture = capture
        front, back = sides["frontend"].socket, sides["backend"].socket
        self._retainer = Retainer(back) if kind is RETAINING else None
        self._pumps = {
            way: Pump(*((front, back) if way == IN else (back, front)), self._watch(way)) for way in kind.ways
        }
        self._running: list[gevent.Greenlet] = []

    def _watch(self, way: str) -> Callable[[list[bytes]], object] | None:
        """What is to see the messages that go this way."""
        viewers: list[Callable[[list[bytes]], object]] = []
        if "monitor" in self._sides:
            publish, prefix = self._sides["monitor"].socket.offer, way.encode()
            viewers.append(lambda frames: publish([prefix, *frames]))
        if self._capture is not None:
            viewers.append(partial(self._capture.take, way))
        if self._retainer is not None:
            viewers.append(self._retainer.published if way == IN else self._retainer.subscribed)
        if len(viewers) < 2:
            return viewers[0] if viewers else None

        def seen(frames: list[bytes]) -> None:
            for viewer in viewers:
                viewer(frames)

        return seen

    def start(self) -> None:
        """Move messages, the one that was in hand first."""
        if not self._running:
            self._run(Pump.run)

    resume = start

    def pause(self) -> None:
        """Move nothing."""
        gevent.killall(self._running)
        self._running = []

    def _run(self, what: Callable[[Pump], None]) -> None:
        self._running = [gevent.spawn(what, pump) for pump in self._pumps.values()]

    def finish(self, deadline: float | None) -> None:
        """Move what has come, and what is in hand, if the far side takes it in time."""
        self.pause()
        self._run(Pump.drain)
        until = monotonic() + DRAIN
        if any(pump.held for pump in self._pumps.values()) and (deadline is None or deadline > until):
            gevent.joinall(self._running, None if deadline is None else deadline - monotonic())
        gevent.joinall(self._running, max((until if deadline is None else min(until, deadline)) - monotonic(), 0))
        self.pause()
        if self._capture is not None:
            self._capture.finish(DRAIN)

    def end(self, wait: bool) -> None:
        """Stop at once, before the sides are closed."""
        gevent.killall(self._running, block=False)
        if self._capture is not None:
            self._capture.close()

    def over(self, wait: bool) -> None:
        """Nothing is left once the sides are closed."""

    def counts(self) -> DeviceStatistics:
        """Counts and gauges."""
        counts: dict[str, Any] = {}
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
