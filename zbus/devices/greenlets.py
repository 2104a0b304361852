"""A device as greenlets: one a direction, beside the rest of the program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import Any

import gevent

from ..green.retained import Retained
from ..green.service import left
from .capture import Capture
from .engine import Engine
from .kinds import IN, RETAINING, Kind
from .pump import Pump
from .side import Side, close_sides, open_sides
from .statistics import DeviceStatistics

#: Seconds for which a device that stops goes on moving what still comes.
DRAIN = 0.5


class Greenlets(Engine):
    """What moves the messages between open sides, and shows them to a capture and a monitor.

    `broke` is called if one of the greenlets ends by an error.
    """

    def __init__(
        self,
        kind: Kind,
        declared: Mapping[str, Side],
        capture: Capture | None,
        broke: Callable[[BaseException], object],
    ) -> None:
        self.sides = self._sides = open_sides(kind, declared)
        self._capture = capture
        self._broke = broke
        front, back = self._sides["frontend"].socket, self._sides["backend"].socket
        self._retained = Retained(back) if kind is RETAINING else None
        self._pumps = {
            way: Pump(*((front, back) if way == IN else (back, front)), self._watch(way)) for way in kind.ways
        }
        self._running: list[gevent.Greenlet] = []
        self.resume()

    def _watch(self, way: str) -> Callable[[list[bytes]], object] | None:
        """What is to see the messages that go this way."""
        viewers: list[Callable[[list[bytes]], object]] = []
        if "monitor" in self._sides:
            publish, prefix = self._sides["monitor"].socket.offer, way.encode()
            viewers.append(lambda frames: publish([prefix, *frames]))
        if self._capture is not None:
            viewers.append(partial(self._capture.take, way))
        if self._retained is not None:
            viewers.append(self._published if way == IN else self._subscribed)
        if len(viewers) < 2:
            return viewers[0] if viewers else None

        def seen(frames: list[bytes]) -> None:
            for viewer in viewers:
                viewer(frames)

        return seen

    def _published(self, frames: list[bytes]) -> None:
        if self._retained is not None and 2 <= len(frames) <= 3:  # topic, body and perhaps headers; others are not ours
            topic, body, *headers = frames
            self._retained.keep(topic, body, headers[0] if headers else b"")

    def _subscribed(self, frames: list[bytes]) -> None:
        if self._retained is not None and frames[0][:1] == b"\1":
            self._retained.want(frames[0][1:])

    def resume(self) -> None:
        """Move messages, the one that was in hand first."""
        if not self._running:
            self._run(Pump.run)

    def pause(self) -> None:
        """Move nothing."""
        running, self._running = self._running, []
        gevent.killall(running)

    def _run(self, what: Callable[[Pump], None]) -> None:
        self._running = [gevent.spawn(what, pump) for pump in self._pumps.values()]
        for greenlet in self._running:
            greenlet.link_exception(self._failed)

    def _failed(self, greenlet: gevent.Greenlet) -> None:
        self._broke(greenlet.exception)

    def finish(self, deadline: float | None) -> None:
        """Move what has come, for a short while; then wait for what is in hand, if somebody is there to take it."""
        self.pause()
        until = monotonic() + DRAIN
        if deadline is not None:
            until = min(until, deadline)
        self._run(partial(Pump.drain, until=until))
        gevent.joinall(self._running, left(until))
        if any(pump.held and self._is_taken(way) for way, pump in self._pumps.items()):
            gevent.joinall(self._running, left(deadline))
        self.pause()
        if self._capture is not None:
            self._capture.finish(DRAIN)

    def _is_taken(self, way: str) -> bool:
        """Is anybody there to whom these messages go?"""
        far = self._sides["backend" if way == IN else "frontend"]
        return any(port.peers for port in far._opened())

    def close(self, wait: bool) -> None:
        """Stop at once."""
        gevent.killall(self._running, block=False)
        if self._capture is not None:
            self._capture.close()
        close_sides(self._sides.values(), wait)

    def abandon(self) -> None:
        """The greenlets end with their sockets."""

    def counts(self) -> DeviceStatistics:
        """Counts and gauges."""
        counts: dict[str, Any] = {}
        for way, pump in self._pumps.items():
            counts[f"messages_{way}"], counts[f"bytes_{way}"] = pump.messages, pump.bytes
        capture = self._capture
        return DeviceStatistics(
            **counts,
            waiting=sum(bool(pump.held) for pump in self._pumps.values()),
            dropped=sum(side._dropped() for side in self._sides.values()),
            capture_dropped=capture.dropped if capture else 0,
            capture_failed=capture.failed if capture else 0,
            missed_wakeups=sum(side._missed_wakeups() for side in self._sides.values()),
        )
