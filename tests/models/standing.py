"""A loop that stands until it is turned, and a server's connection that does what it is told: for the requester's own
code, with no socket and no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from greenlet import getcurrent, greenlet

from zbus.green.messages import SocketError

#: Callbacks of one moment; more go round in a circle.
MOST = 1000


class Timer:
    """As libev's: `again` starts it anew."""

    def __init__(self, loop: Loop, seconds: float) -> None:
        self.loop, self.seconds = loop, seconds
        self.due: float | None = None

    def again(self, callback: Callable[..., None], *arguments: object, update: bool) -> None:
        self.due = self.loop.now + self.seconds - min(self.loop.early, self.seconds / 2)
        self.callback = lambda: callback(*arguments)
        self.waiter = callback.__self__
        self.loop.timers[self] = None

    def stop(self) -> None:
        self.due = None
        self.loop.timers.pop(self, None)

    def close(self) -> None:
        assert self.due is None


class Loop:
    """Time, timers, and callbacks, which run on the hub; its timers come up to `early` seconds too soon."""

    def __init__(self, early: float) -> None:
        self.now, self.early = 1000.0, early
        self.iteration = 0
        self.timers: dict[Timer, None] = {}  # in the order they were started: a run is to be the same each time
        self.callbacks: deque[Callable[[], object]] = deque()
        self.next_turn: list[Callable[[None], object]] = []
        self.hub = Hub(self)
        self.hub.switch()

    def clock(self) -> float:
        return self.now

    def run_callback(self, callback: Callable[..., object], *arguments: object) -> None:
        self.callbacks.append(lambda: callback(*arguments))

    def timer(self, after: float, repeat: float) -> Timer:
        assert after == repeat > 0
        return Timer(self, after)

    def run(self, *callbacks: Callable[[], object]) -> None:
        """These in one turn, and then whatever is due."""
        self.callbacks.extend(callbacks)
        for _ in range(MOST):
            due = [timer for timer in self.timers if timer.due is not None and timer.due <= self.now]
            if not self.callbacks and not self.next_turn and not due:
                return
            self.iteration += 1
            self.callbacks.extendleft(partial(callback, None) for callback in reversed(self.next_turn))
            self.next_turn.clear()
            for _ in range(MOST):
                if not self.callbacks:
                    break
                self.hub.switch(self.callbacks.popleft())
            for timer in sorted(due, key=lambda timer: timer.due or 0.0):
                if timer.due is not None and timer.due <= self.now:
                    self.hub.switch(timer.callback)
        raise AssertionError("it goes round in a circle")

    def pass_time(self, seconds: float) -> None:
        """Let time pass, stopping at each timer."""
        until = self.now + seconds
        while dues := [timer.due for timer in self.timers if timer.due is not None]:
            if min(dues) > until:
                break
            self.now = max(self.now, min(dues))
            self.run()
        self.now = until
        self.run()


class Hub(greenlet):
    """Where callbacks run; the greenlets that wait switch to it."""

    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self.loop = loop

    def run(self) -> None:
        while True:
            callback = self.parent.switch()
            if callback is not None:
                callback()


class Waiter:
    """gevent's, for this hub."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.greenlet: Any = None

    def switch(self, value: object) -> None:
        assert getcurrent() is self.hub
        self.greenlet.switch(value)

    def get(self) -> object:
        self.greenlet = getcurrent()
        return self.hub.switch()


class Port:
    """One server's connection, and the socket on it: `sent` is called with what goes out, `came` is to be read."""

    connected = ("tcp://a-server",)

    def __init__(self, loop: Loop, sent: Callable[..., None], rejoin: Callable[[Port], None]) -> None:
        self.sent = sent
        self.rejoin = lambda: rejoin(self)
        self.peers = self.room = 0
        self.came: deque[list[bytes]] = deque()
        burst = SimpleNamespace(over=lambda: False)
        turn = SimpleNamespace(call=lambda burst, callback: loop.next_turn.append(callback))
        self.readiness = SimpleNamespace(hub=loop.hub, burst=burst, turn=turn, drained=False, denied="")
        self.socket = self

    def offer(self, frames: list[bytes]) -> bool:
        there = self.room > 0
        self.room -= there
        self.sent(self, frames, there)
        return there

    def take(self) -> list[bytes]:
        if not self.came:
            raise SocketError
        return self.came.popleft()
