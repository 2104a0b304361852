"""Who has subscribed to a publisher, and to what: read from its XPUB, and granted where there are rules."""

from __future__ import annotations

from collections import Counter

from ..green.messages import NOBLOCK, SocketError, receive_frame, source
from ..green.retained import Retained
from ..green.socket import Socket
from .grants import Grants


class Audience:
    """The subscriptions at one XPUB; with `grants` those of them that are granted."""

    def __init__(self, socket: Socket, grants: Grants | None) -> None:
        self._socket = socket
        self._grants = grants
        self._prefixes: Counter[bytes] = Counter()

    def __len__(self) -> int:
        return len(self._prefixes)

    def count(self, topic: bytes) -> int:
        """How many subscriptions cover this topic."""
        return sum(times for prefix, times in self._prefixes.items() if topic.startswith(prefix))

    def listen(self, retained: Retained | None) -> None:
        """On the hub: read what subscribers ask for and give up. Those new get what is `retained`."""
        ready = self._socket.readiness
        count = 1
        while count & 15 or not ready.burst.over():
            count += 1
            try:
                first = receive_frame(self._socket, NOBLOCK, False)
                frame = self._socket.rest(first)[0]
            except SocketError:
                if self._grants is not None:
                    self._grants.drained()
                return
            self.hear(frame, -1 if self._grants is None else source(first), retained)
        ready.resume_next_turn()

    def hear(self, frame: bytes, descriptor: int, retained: Retained | None) -> None:
        """One subscription, or the end of one, that came over the connection with this `descriptor`."""
        prefix = frame[1:] if self._grants is None else self._grants.change(frame, descriptor)
        if prefix is None:
            return
        if frame[:1] == b"\1":
            self._prefixes[prefix] += 1
            if retained is not None:
                retained.want(prefix)
        elif frame[:1] == b"\0":
            self._prefixes[prefix] -= 1
            if self._prefixes[prefix] <= 0:
                del self._prefixes[prefix]
