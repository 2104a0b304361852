"""A device in an OS thread: libzmq's proxy, which does all but counting what a device is asked to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gevent import get_hub, getcurrent

from ..errors import Unsupported
from ..green.context import Context
from ..green.proxy import Proxy
from .side import OpenSide
from .statistics import DeviceStatistics


class Thread(Proxy):
    """The proxy between sides that were opened in `context`."""

    def __init__(self, sides: dict[str, OpenSide], context: Context, broke: Callable[[BaseException], object]) -> None:
        super().__init__(sides["frontend"].socket, sides["backend"].socket, context, broke)
        self._last = DeviceStatistics()

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

    def counts(self) -> DeviceStatistics:
        """What the proxy says; what it said last, `stale`, while it waits for room, has ended, or is asked on the hub,
        where nobody can wait for its answer."""
        numbers = None if getcurrent() is get_hub() else self.statistics()
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
