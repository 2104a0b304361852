"""Reading many endpoints in one greenlet: each that has something in its turn, control first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gevent import getcurrent

from ..errors import Closed
from ..green.authentication import Security
from ..green.options import Timeout
from ..green.readiness import FORKED
from ..green.runner import Runner
from ..green.service import CLOSED, OPEN
from ..green.turn import Burst, turn
from ..patterns.endpoint import Endpoint
from ..patterns.stream import Receives
from ..wire.message import Message
from .source import Ready, Source

#: As many messages at once as there may be.
UNBOUNDED = 2**31


class Poller(Runner):
    """The reading part of a dispatcher. The endpoints are not its own: it opens them, and leaves them open."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._sources: dict[Receives, Source] = {}
        self._queue = Ready()
        self._reader: object = None  # the greenlet that reads
        self._received = 0
        self._security: Security | None = None

    # -- endpoints -----------------------------------------------------------------------------------

    def secure(self, security: Security) -> None:
        """Have each endpoint, now and later, take this for ``security=``, as `Ports.secure` has it."""
        self._security = security
        for endpoint in self._sources:
            endpoint.secure(security)

    def _add(self, endpoint: Receives, handler: Callable[..., Any] | None, by_topic: bool) -> Source:
        if self._state is OPEN:
            self._check_thread()
        for one in (self, endpoint):
            if one.state == CLOSED:
                raise Closed(f"{one!r} is closed")
        if endpoint in self._sources:
            raise ValueError(f"{endpoint!r} is read already")
        if self._security is not None:
            endpoint.secure(self._security)
        source = Source(endpoint, handler, by_topic, self._queue.put, self._more)
        if self._state is OPEN:
            endpoint.start()
            self._queue.put(source)
        self._sources[endpoint] = source
        return source

    # -- reading -------------------------------------------------------------------------------------

    def _free(self) -> int:
        """How many more messages may be taken now, but for control messages."""
        return UNBOUNDED

    def _slices(self, ends: bool) -> Iterator[tuple[Source, Iterator[Message]]]:
        """Some messages of each endpoint that has any, in turn, until the dispatcher stops; if it `ends`, until every
        endpoint is closed. Take them all, unless the source is not `wanted` any more."""
        self._burst = Burst(turn())
        while self._state is OPEN and not self._leaving:
            count = self._burst.look()
            source = self._queue.next(self._free())
            if source is None:
                if ends and self._sources and not any(source.is_open for source in self._sources.values()):
                    return
                if self._state is OPEN and not self._leaving:  # still, for `look` may have let the loop make a turn
                    self._queue.wait()
                continue
            if not source.is_control:
                count = min(count, self._free())
            try:
                if source.wanted:
                    yield source, source.take(count)
            finally:  # who iterates may leave here, and come back
                if source.wanted and source.is_open and not source.dry:
                    self._queue.put_back(source)

    def _more(self, source: Source) -> int:
        """How many more messages the endpoint whose turn it is may be read: none if others wait for theirs."""
        if self._queue or not source.wanted:
            return 0
        count = self._burst.look()  # where the loop may make a turn
        if self._queue or self._state is not OPEN or not source.wanted:
            return 0
        return count if source.is_control else min(count, self._free())

    def __iter__(self) -> Iterator[tuple[Endpoint, Message]]:
        """Each message with the endpoint that it came from, in the manner of a poller; nothing is dispatched but by
        you. Waits in between; ends when the dispatcher stops or every endpoint is closed. Opens.

        Raises `RuntimeError` where another greenlet reads, as after `start`.
        """
        self._ready()
        return self._iterate()

    def _iterate(self) -> Iterator[tuple[Endpoint, Message]]:
        if self._reader is not None:
            raise RuntimeError(f"{self!r} is read by another greenlet; iterate it instead of start, not beside it")
        self._reader = getcurrent()
        try:
            for source, messages in self._slices(ends=True):
                for message in messages:
                    self._received += 1
                    yield source.endpoint, message
                    if not source.wanted:
                        break
        finally:
            self._reader = None

    # -- the lifecycle -------------------------------------------------------------------------------

    def _open(self) -> None:
        self._renew()
        for source in self._sources.values():
            source.endpoint.start()
        for source in self._sources.values():
            self._queue.put(source)

    def stop(self, timeout: Timeout = 10.0) -> None:
        """Read no more, let the callbacks that run finish for up to `timeout` seconds, then `close`.

        From inside a callback, or an iteration: ask for that and return.
        """
        for source in self._sources.values():
            source.close()
        super().stop(timeout)

    def _inside(self) -> bool:
        return getcurrent() is self._reader

    def _finish(self, deadline: float | None) -> None:
        self._queue.wake()

    def _shut(self, wait: bool) -> None:
        for source in self._sources.values():
            source.close()
        self._queue.wake()

    def _abandon(self) -> None:
        self._queue.fail(Closed(FORKED))
        self._renew()

    def _renew(self) -> None:
        """Nobody reads, and nothing is known of any endpoint."""
        self._reader = None
        for endpoint, source in self._sources.items():
            source.abandon()
            self._sources[endpoint] = Source(endpoint, source.handler, source.by_topic, self._queue.put, self._more)
