"""Routing ids that a ROUTER's peers chose for themselves.

A ROUTER sends by name to whoever has it now. libzmq's own names (a zero and a number) are nobody else's ever, but one
that a peer chose another may take as soon as that peer has gone, and he would get what is still to be answered to the
first. So such a name is marked with the connection it came over, and what is addressed to one that is over is dropped.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from .events import Monitor
from .messages import source

#: Behind the name: libzmq's descriptor of the connection, and which one of those that had it. The rest makes it longer
#: than a correlation, which a server behind a queue would take it for.
_MARK = struct.Struct("=iQ8x")


class Names:
    """Those of one ROUTER, whose connections its `monitor` tells of. Over inproc, where there are none to tell apart,
    a name is whoever's that has it."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def mark(self, name: bytes, frame: Any) -> bytes:
        """The name in front of a message, `frame` being another part of it, as it is to be given back to `owner`."""
        self._monitor.drain()
        descriptor = source(frame)
        return name + _MARK.pack(descriptor, self._monitor.connections.get(descriptor, 0))

    def owner(self, marked: bytes) -> bytes | None:
        """The name to send to; None: he has gone."""
        if len(marked) <= _MARK.size:
            return None
        self._monitor.drain()
        descriptor, connection = _MARK.unpack_from(marked, len(marked) - _MARK.size)
        if descriptor < 0 or self._monitor.connections.get(descriptor) == connection:
            return marked[: -_MARK.size]
        return None


def shown(frames: Sequence[bytes]) -> list[bytes]:
    """A message to or from a ROUTER with the name in front as its owner chose it."""
    first, *others = frames
    return [first if first[:1] == b"\0" else first[: -_MARK.size], *others]
