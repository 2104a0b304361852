"""The messages that one socket sends in one turn of the loop.

A send wakes libzmq's thread if it sleeps, and between two messages that each cost some Python it always does. So the
first message of a turn goes out at once, and the others go out together as soon as the loop gets control: one wake-up
for all of them. Who sends one message a turn never waits; a crowd's last one waits for a burst, a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import Closed
from .messages import MessageSocket


class Outbox:
    """For sockets that never wait for room: a ROUTER's replies, a DEALER's requests.

    `wanted(owner)` is asked before a message that waited is sent; `refused(owner)` is told if there was no room.
    """

    __slots__ = ("_full", "_iteration", "_loop", "_refused", "_socket", "_waiting", "_wanted")

    def __init__(
        self,
        socket: MessageSocket,
        *,
        wanted: Callable[[Any], bool] | None = None,
        refused: Callable[[Any], object] = lambda owner: None,
    ) -> None:
        self._socket = socket
        self._loop = socket.readiness.hub.loop
        self._wanted = wanted
        self._refused = refused
        self._iteration = self._full = -1
        self._waiting: list[tuple[Sequence[bytes], Any]] = []

    def send(self, frames: Sequence[bytes], owner: Any = None) -> bool:
        """Send, now or within this turn. False: there is no room now."""
        iteration = self._loop.iteration
        if iteration != self._iteration:
            self._iteration = iteration
            return self._socket.offer(frames)
        if iteration == self._full:
            return False
        if not self._waiting:
            self._loop.run_callback(self.flush)
        self._waiting.append((frames, owner))
        return True

    def close_for_this_turn(self) -> None:
        """There was no room: take nothing more until the next turn."""
        self._full = self._loop.iteration

    def closed(self) -> bool:
        """Does it take nothing more in this turn?"""
        return bool(self._loop.iteration == self._full)

    def tell(self, room: Callable[[], object]) -> None:
        """There may be room: call `room`. If this turn is closed, in the next one: whoever is told now would be turned
        away, and libzmq does not say it twice."""
        if not self.closed():
            room()
        else:
            ready = self._socket.readiness
            ready.turn.call(ready.burst, lambda _: self.tell(room))

    def flush(self) -> None:
        """Send what waits."""
        waiting, self._waiting = self._waiting, []
        try:  # in a forked child the parent's socket has no verb at all
            offer, wanted = self._socket.offer, self._wanted
            for frames, owner in waiting:
                if (wanted is None or wanted(owner)) and not offer(frames):
                    self._refused(owner)
        except Closed:
            return
