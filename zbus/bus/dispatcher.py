"""One loop over many endpoints, whose messages go to registered callbacks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextvars import copy_context
from typing import Any, TypeVar

import gevent
from gevent import getcurrent

from ..green.options import check_concurrency
from ..green.service import CLOSED, OPEN, left
from ..patterns.pubsub import Subscriber
from ..patterns.statistics import Statistics
from ..patterns.stream import Receives
from ..wire.message import Message
from .poller import UNBOUNDED, Poller
from .routes import Callback, Routes, _checked, _named
from .source import Source

log = logging.getLogger("zbus")

E = TypeVar("E", bound=Receives)


class Dispatcher(Routes, Poller):
    """Reads any number of endpoints and calls the callbacks that are registered for their messages.

    The messages of a `Pull` or `Pair` are control messages, those of a `Subscriber` go by topic; registering a topic
    subscribes. One greenlet reads them all, each that has something in turn, control first, and gives way to other
    greenlets after a millisecond of messages. It runs the callbacks itself, one after the other: one that waits holds
    up the rest. With `concurrency` above 1 up to so many run at once, each in a greenlet with the loop's context
    variables, in no certain order, and while all are busy nothing more is read, so that senders have to wait; commands
    are still called at once, by the loop.

    A callback that raises is logged and counted, `on_error` hears of it, and the loop goes on. The endpoints are not
    the dispatcher's: it opens them, and leaves them open when it stops.
    """

    def __init__(self, *, concurrency: int = 1, name: str = "") -> None:
        check_concurrency(concurrency)
        Routes.__init__(self)
        Poller.__init__(self, name)
        self._concurrency = concurrency
        self._on_error: Callback | None = None
        self._loop: gevent.Greenlet | None = None
        self._pool: set[gevent.Greenlet] = set()
        self._failed = 0

    # -- endpoints -----------------------------------------------------------------------------------

    def add(self, endpoint: E, handler: Callback | None = None) -> E:
        """Read this endpoint, too, from now on; with a `handler`, all of its messages go there. Returns the endpoint.

        Raises `TypeError` for what receives nothing, `ValueError` for one that is there already, `Closed`.
        """
        if not isinstance(endpoint, Receives):
            raise TypeError(f"a dispatcher reads a Pull, a Pair or a Subscriber; {_cannot(endpoint)}")
        if handler is not None:
            _checked(handler, f"of {endpoint!r}", {})
        if self._add(endpoint, handler, by_topic=handler is None and isinstance(endpoint, Subscriber)).by_topic:
            endpoint.subscribe(*self._patterns())  # type: ignore[attr-defined]
        return endpoint

    def remove(self, endpoint: Receives | Callback) -> None:
        """Read an endpoint no more, which stays open; or undo every registration of a callback. `ValueError` if it is
        not here. It may be the one whose callback runs."""
        if self._state is OPEN:
            self._check_thread()
        source = self._sources.pop(endpoint, None) if isinstance(endpoint, Receives) else None
        if source is None:
            super().remove(endpoint)
            return
        source.close()
        if source.by_topic and source.endpoint.state != CLOSED:
            source.endpoint.unsubscribe(*self._patterns())  # type: ignore[attr-defined]

    def _patterns(self) -> list[str]:
        return [pattern.text for _, pattern, _ in self._topics.values()]

    def _subscribers(self) -> list[Any]:
        found = (source for source in self._sources.values() if source.by_topic)
        return [source.endpoint for source in found if source.endpoint.state != CLOSED]

    def _add_topic(self, text: str, callback: Callback) -> None:
        super()._add_topic(text, callback)
        for endpoint in self._subscribers():
            endpoint.subscribe(text)

    def _remove(self, callback: Callback) -> bool:
        gone = [pattern.text for _, pattern, known in self._topics.values() if known == callback]
        found = super()._remove(callback)
        for endpoint in self._subscribers():
            endpoint.unsubscribe(*gone)
        return found

    def on_error(self, callback: Callback) -> Callback:
        """Register what hears of callbacks that raise: called with the message, and the exception as ``error``."""
        self._on_error = _checked(callback, "of on_error", {"error": ""})
        return callback

    def _free(self) -> int:
        return self._concurrency - len(self._pool) if self._concurrency > 1 else UNBOUNDED

    # -- callbacks -----------------------------------------------------------------------------------

    def _serve(self) -> None:
        """The loop: each message to its callbacks."""
        for source, messages in self._slices(ends=False):
            if self._concurrency > 1 and not source.is_control:
                self._spawn(source, messages)
            elif source.by_topic:
                self._publish(source, messages)
            else:
                for message in messages:
                    self._received += 1
                    self._handle(source, message)
                    if not source.wanted:
                        break

    def _publish(self, source: Source, messages: Iterator[Message]) -> None:
        # the hottest loop: `_handle` with no calls that can be done without
        known = self._matches.get
        for message in messages:
            self._received += 1
            for callback, words in known(message.topic) or self._for_topic(message.topic):
                try:
                    callback(message, **words) if words else callback(message)
                except BaseException as error:
                    self._raised(callback, message, error)
            if not source.wanted:
                break

    def _spawn(self, source: Source, messages: Iterator[Message]) -> None:
        for message in messages:
            self._received += 1
            greenlet = gevent.Greenlet(copy_context().run, self._handle, source, message)
            self._pool.add(greenlet)
            greenlet.link(self._done)
            greenlet.start()

    def _done(self, greenlet: gevent.Greenlet) -> None:
        self._pool.discard(greenlet)
        self._queue.wake()

    def _handle(self, source: Source, message: Message) -> None:
        if source.by_topic:
            found = self._for_topic(message.topic)
        else:
            callback = source.handler or self._for_command(message.body)
            found = () if callback is None else ((callback, {}),)
        for callback, words in found:
            try:
                callback(message, **words)
            except BaseException as error:
                self._raised(callback, message, error)

    def _raised(self, callback: Callback, message: Message, error: BaseException) -> None:
        """Called where it was caught: what ends the dispatcher itself is raised again."""
        if self._state == CLOSED:
            raise error
        self._failed += 1
        who, about = _named(callback), f" on topic {message.topic!r}" if message.topic else ""
        log.error("%r: %s raised %s%s", self, who, type(error).__qualname__, about, exc_info=error)
        if self._on_error is not None:
            try:
                self._on_error(message, error=error)
            except BaseException:
                if self._state == CLOSED:
                    raise
                log.exception("%r: %s, which hears of errors, raised", self, _named(self._on_error))

    # -- the lifecycle -------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the endpoints and dispatch in the background, until `stop`. Twice is fine."""
        self._ready()
        if self._loop is None:
            if self._reader is not None:
                raise RuntimeError(f"{self!r} is iterated by a greenlet; start it instead, not beside it")
            self._reader = self._loop = gevent.Greenlet(copy_context().run, self._serve)
            self._loop.link_exception(lambda loop: self._broke(loop.exception))
            self._loop.start()

    def _inside(self) -> bool:
        return super()._inside() or getcurrent() in self._pool

    def _greenlets(self) -> list[gevent.Greenlet]:
        return [*self._pool] if self._loop is None else [self._loop, *self._pool]

    def _finish(self, deadline: float | None) -> None:
        super()._finish(deadline)
        gevent.joinall(self._greenlets(), left(deadline))

    def _open(self) -> None:
        self._loop, self._pool = None, set()
        super()._open()

    def _shut(self, wait: bool) -> None:
        super()._shut(wait)
        self._end_greenlets()

    def _abandon(self) -> None:
        self._end_greenlets()
        super()._abandon()

    def _end_greenlets(self) -> None:
        gevent.killall([one for one in self._greenlets() if one is not getcurrent()], block=False)

    # -- what it looks like --------------------------------------------------------------------------

    def statistics(self) -> Statistics:
        """Counts and gauges, frozen; see `Statistics`. `received` counts messages, `failed` callbacks that raised,
        `unmatched` messages that nobody is registered for; `waiting` are the endpoints that have something to read."""
        return Statistics(
            received=self._received,
            failed=self._failed,
            unmatched=self._unmatched,
            running=len(self._pool),
            waiting=len(self._queue),
        )

    def __repr__(self) -> str:
        words = ["Dispatcher", *([repr(self.name)] if self.name else []), self._state]
        return f"<{' '.join(words)} endpoints={len(self._sources)}>"


def _cannot(given: object) -> str:
    what = type(given).__qualname__
    why = {
        "Push": "only sends",
        "Publisher": "only publishes",
        "Requester": "is asked by calling request",
        "Replier": "calls a handler of its own: Replier(routes.dispatch, …)",
    }
    return f"a {what} {why.get(what, 'is none')}"
