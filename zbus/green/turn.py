"""Fairness: how long one socket may go on being read or written before the loop makes a turn.

A socket that always has something ready never blocks, so its greenlet would never let another run. After a burst it
waits here for one whole turn of the loop: timers, other sockets, everybody. (`gevent.sleep(0)` will not do: gevent
runs up to fifty of them before it polls.) A burst is a millisecond, shared by the sockets that used theirs up in the
last turn.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic
from typing import Any

from gevent import get_hub, getcurrent
from gevent.hub import Waiter

from ..errors import Closed, WrongThread

#: Seconds that all busy sockets together may take in one turn of the loop.
BURST = 0.001
#: The most messages taken between two looks at the clock.
LOOK = 32


class Turn:
    """The next turn of one hub's loop, and who waits for it."""

    last = False  #: the interpreter exits: no loop turns again, and nobody else is to run

    def __init__(self, hub: Any) -> None:
        self.hub = hub
        self.loop = hub.loop
        self.share = BURST
        self._timer = hub.loop.timer(0)
        self._next: list[tuple[Burst, Callable[[None], object]]] = []

    def call(self, burst: Burst, callback: Callable[[None], object]) -> None:
        """Have `callback(None)` called on the hub once the loop has made a turn. It raises nothing."""
        if not self._next:
            self._timer.start(self._come)
        self._next.append((burst, callback))

    def wait(self, burst: Burst) -> None:
        """Park this greenlet until the loop has made a turn; on the hub itself, where none can be made, return."""
        if self.last or getcurrent() is self.hub:
            return
        if get_hub() is not self.hub:
            raise WrongThread("this socket was opened in another OS thread; open one in each thread that needs it")
        waiter = Waiter(self.hub)
        self.call(burst, waiter.switch)
        pid = os.getpid()
        waiter.get()
        if os.getpid() != pid:
            raise Closed("the socket was opened before the fork; open one in each process")

    def _come(self) -> None:
        waiting, self._next = self._next, []
        self._timer.stop()
        self.share = BURST / len({id(burst) for burst, _ in waiting})
        for _, callback in waiting:
            callback(None)


class Burst:
    """One socket's use of the turn. Call `look` before a message is taken; it says how many may follow unasked."""

    __slots__ = ("_end", "_iteration", "_looked", "_taken", "_turn")

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._iteration = -1
        self._end = 0.0
        self._looked = 0.0
        self._taken = 1

    def look(self) -> int:
        """Wait for a turn of the loop if this one is used up; then: how many messages to take before asking again."""
        now = monotonic()
        if self._iteration == self._turn.loop.iteration:
            if now < self._end:
                each = (now - self._looked) / self._taken
                self._looked = now
                self._taken = min(LOOK, int((self._end - now) / (4 * each)) + 1) if each > 0 else LOOK
                return self._taken
            self._turn.wait(self)
            now = monotonic()
        self._begin(now)
        return 1

    def over(self) -> bool:
        """Is this turn used up? For callbacks on the hub, which cannot wait and have to come again next turn."""
        if self._iteration == self._turn.loop.iteration:
            return monotonic() >= self._end
        self._begin(monotonic())
        return False

    def _begin(self, now: float) -> None:
        self._iteration = self._turn.loop.iteration
        self._end = now + self._turn.share
        self._looked = now
        self._taken = 1


def turn() -> Turn:
    """The turn of this thread's hub."""
    hub = get_hub()
    found: Turn | None = getattr(hub, "_zbus_turn", None)
    if found is None:
        found = hub._zbus_turn = Turn(hub)
    return found
