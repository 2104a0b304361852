"""A device in an OS thread: libzmq's proxy, which does all but counting what a device is asked to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from gevent import get_hub, getcurrent

from ..errors import Unsupported
from ..green.context import Context
from ..green.proxy import Proxy
from .engine import Engine
from .kinds import Kind
from .side import Side, close_sides, open_sides
from .statistics import DeviceStatistics


class Thread(Engine):
    """The proxy between sides of a libzmq context of their own. `broke` is called on the hub if it ends by itself."""

    def __init__(self, kind: Kind, declared: Mapping[str, Side], broke: Callable[[BaseException], object]) -> None:
        context = Context()
        try:
            self.sides = self._sides = open_sides(kind, declared, context)
        except BaseException:
            get_hub().threadpool.apply(context.term)
            raise
        self._proxy = Proxy(self._sides["frontend"].socket, self._sides["backend"].socket, context, broke)
        self._last = DeviceStatistics()
        self._proxy.start()

    def pause(self) -> None:
        """Not here: libzmq 4.3.5's proxy takes PAUSE for RESUME."""
        raise Unsupported(
            "a device in a thread cannot be paused: libzmq's proxy takes PAUSE for RESUME; use runs_in='greenlet'"
        )

    def resume(self) -> None:
        """It was never paused."""

    def finish(self, deadline: float | None) -> None:
        """What the proxy has in hand crosses as soon as there is room; its figures are asked for a last time."""
        self.counts()

    def close(self, wait: bool) -> None:
        """Have the proxy return, close the sides, and end their context once what they sent has left."""
        try:
            self._proxy.end(wait)
        finally:  # also where a kill or a timeout comes: nobody could close them later
            close_sides(self._sides.values(), wait)
        self._proxy.over(wait)

    def abandon(self) -> None:
        """The thread did not come along."""

    def counts(self) -> DeviceStatistics:
        """What the proxy says; what it said last, `stale`, while it waits for room, has ended, or is asked on the hub,
        where nobody can wait for its answer."""
        numbers = None if getcurrent() is get_hub() else self._proxy.statistics()
        if numbers is None:
            return replace(self._last, stale=True)
        (came, _, messages_out, bytes_out), (_, _, messages_in, bytes_in) = numbers[:4], numbers[4:]
        self._last = DeviceStatistics(
            messages_in=messages_in,
            messages_out=messages_out,
            bytes_in=bytes_in,
            bytes_out=bytes_out,
            waiting=max(came - messages_in, 0),
        )
        return self._last
