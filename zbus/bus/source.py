"""The endpoints of a dispatcher: which have something to be read, whose turn it is, and how a slice of it is read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from gevent import get_hub, getcurrent
from gevent.hub import Waiter

from ..green.readiness import Readiness
from ..green.service import OPEN, STOPPING
from ..patterns.stream import Receives
from ..wire.message import Message


class Source:
    """Reads an endpoint a slice at a time, without waiting for a message.

    `came` is called on the hub when there may be more; `more` when a slice is used up: how much longer may it be?
    """

    __slots__ = (
        "_came",
        "_left",
        "_more",
        "_waiting",
        "by_topic",
        "dry",
        "endpoint",
        "handler",
        "is_control",
        "wanted",
    )

    def __init__(
        self,
        endpoint: Receives,
        handler: Callable[..., Any] | None,
        by_topic: bool,
        came: Callable[[Source], object],
        more: Callable[[Source], int],
    ) -> None:
        self.endpoint = endpoint
        self.handler = handler
        self.by_topic = by_topic  #: its messages go by their topic
        self.is_control = handler is None and not by_topic  #: they are commands
        self.wanted = True  #: False: it was removed, or the dispatcher ends
        self.dry = False  #: the last slice ended because nothing more was there
        self._came = came
        self._more = more
        self._left = 0
        self._waiting: Readiness | None = None

    @property
    def is_open(self) -> bool:
        """May anything come?"""
        return self.endpoint.state in (OPEN, STOPPING)

    def take(self, count: int) -> Iterator[Message]:
        """Some messages that are there now: `count`, and as many as `more` allows."""
        self._left = count
        self.dry = False
        return self.endpoint._messages(self)

    def look(self) -> int:
        """How many may be taken."""
        left, self._left = self._left, 0
        return left or self._more(self)

    def none_left(self) -> None:
        """To be told when more comes."""
        self.dry = True
        if self.is_open:
            self._waiting = self.endpoint._readiness
            self._waiting.call_once(self)

    def switch(self, _: object) -> None:
        """On the hub: something came, or the endpoint was closed."""
        if self._waiting is not None:
            self._waiting.release()
            self._waiting = None
            self._came(self)

    throw = switch

    def abandon(self) -> None:
        """In a forked child: the parent's endpoint tells nothing here."""
        self.wanted = False
        self._waiting = None

    def close(self) -> None:
        """To be told no more."""
        self.wanted = False
        if self._waiting is not None:
            self._waiting.forget(self)
            self._waiting = None


class Ready:
    """The sources that have something to be read, control first, and the greenlet that waits for one."""

    def __init__(self) -> None:
        self._control: deque[Source] = deque()
        self._others: deque[Source] = deque()
        self._owed = False  # a control endpoint had its slice, and has more: the next one is another's
        self._parked: Waiter | None = None

    def __len__(self) -> int:
        return len(self._control) + len(self._others)

    def put(self, source: Source) -> None:
        """It may have something; it comes after those of its kind that are here already."""
        (self._control if source.is_control else self._others).append(source)
        self.wake()

    def put_back(self, source: Source) -> None:
        """Its slice is used up, and it has more."""
        self._owed = source.is_control
        self.put(source)

    def next(self, free: int) -> Source | None:
        """Whose turn it is; with nobody `free` to take more than control messages, one of those. None: nobody's."""
        others = self._others if free else None
        if self._control and not (self._owed and others):
            return self._control.popleft()
        self._owed = False
        return others.popleft() if others else None

    def wait(self) -> None:
        """Park until one comes, or `wake` is called."""
        self._parked = Waiter()
        try:
            self._parked.get()
        finally:
            self._parked = None

    def wake(self) -> None:
        """Have the one who waits look again."""
        parked, self._parked = self._parked, None
        if parked is None:
            return
        if getcurrent() is get_hub():
            parked.switch(None)
        else:
            get_hub().loop.run_callback(parked.switch, None)

    def fail(self, error: BaseException) -> None:
        """Have the one who waits raise `error`, and forget who was ready."""
        if self._parked is not None:
            get_hub().loop.run_callback(self._parked.throw, error)
        self._parked = None
        self._control.clear()
        self._others.clear()
