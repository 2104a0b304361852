"""PAIR: two peers, any number of messages either way, no lock step (RFC 31)."""

from __future__ import annotations

from ..green.options import PAIR
from .statistics import Statistics
from .stream import Receives, Sends


class Pair(Receives, Sends):
    """One of two peers that talk to each other.

    It has one peer at a time. A second one is refused: his connection is cut, `on_event` tells of it, and he comes in
    when the first has left. Up to ``high_water_mark`` messages wait on each side; then `send` waits. A queue is kept
    while the connection is down, but what the lost connection had already taken is gone.
    """

    _kind = PAIR
    _most_peers = 1

    def statistics(self) -> Statistics:
        """Counts and gauges, frozen; see `Statistics`."""
        return Statistics(sent=self._sent, received=self._received(), waiting=self._undelivered(), **self._gauges())
