"""A subscription as server-sent events."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import gevent

from ..errors import Closed
from ..green.service import OPEN, Service, weakly
from ..patterns.pubsub import Subscriber
from ..patterns.statistics import Statistics
from ..wire.message import Message
from ..wire.subscription import Subscriptions
from .sse import Client, event

log = logging.getLogger("zbus")

#: How many topics the last event of is kept, for clients that come back.
KEPT = 4096

Start = Callable[[str, list[tuple[str, str]]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStatistics(Statistics):
    """An endpoint's counts, of the subscriber; `dropped` are events that clients were too slow for."""

    clients: int = 0  #: who is connected now


class EventStream(Service):
    """Sends what `subscriber` receives to any number of browsers: one reader a process, a queue for each client.

    A WSGI application: ``GET /events?topic=orders.%23&topic=stock.*`` gets the publications that match one of the
    patterns, all of them without a pattern. An event's type is the topic, its data the body as JSON. A client that
    comes back says which event it saw last (``Last-Event-ID``) and gets the newest one of each topic that it missed.
    One whose `queue` of that many events is full loses the oldest, and is told by an event ``dropped`` how many. After
    `keepalive` seconds of silence a comment is sent.

    It opens at the first client or at `start`, and owns the subscriber. `stop` ends every client's answer, which a
    server would wait for: a `zbus.Bus` stops it before all else.
    """

    _ends_first = True

    def __init__(self, subscriber: Subscriber, *, queue: int = 100, keepalive: float = 15.0) -> None:
        if not isinstance(subscriber, Subscriber):
            raise TypeError(f"an event stream reads a Subscriber, not {type(subscriber).__qualname__}")
        if isinstance(queue, bool) or not isinstance(queue, int) or queue < 1:
            raise ValueError(f"queue is a whole number of events, 1 or more, not {queue!r}")
        if not isinstance(keepalive, int | float) or not keepalive > 0:
            raise ValueError(f"keepalive is a number of seconds above 0, not {keepalive!r}")
        self._subscriber = subscriber
        self._queue = queue
        self._keepalive = keepalive
        self._clients: set[Client] = set()
        self._last: OrderedDict[bytes, tuple[int, bytes]] = OrderedDict()
        self._sent = self._dropped = self._unsendable = 0

    # -- what is read --------------------------------------------------------------------------------

    def _open(self) -> None:
        self._stream = os.urandom(6).hex()  # numbers of another process mean nothing here
        self._number = 0
        self._last.clear()
        self._subscriber._check_subscribed()
        self._subscriber.start()
        self._reading = gevent.spawn(_read, self._subscriber, weakly(self._publish))

    def _publish(self, message: Message) -> None:
        self._number += 1
        try:
            chunk = event(message.topic, message.body, f"{self._stream}-{self._number}")
        except (TypeError, ValueError, RecursionError) as error:
            self._unsendable += 1
            if self._unsendable == 1:
                log.warning("%r dropped a message on %r that is no JSON: %s", self, message.topic, type(error).__name__)
            return
        name = message.topic.encode("utf-8", "surrogateescape")
        self._last[name] = (self._number, chunk)
        self._last.move_to_end(name)
        if len(self._last) > KEPT:
            self._last.popitem(last=False)
        for client in self._clients:
            if client.wants(name):
                client.put(chunk)
                self._sent += 1

    # -- clients -------------------------------------------------------------------------------------

    def listen(self, *topics: str, last_event_id: str | None = None) -> Iterator[bytes]:
        """The answer to one client, for any framework: pieces of a ``text/event-stream``. Waits in between; close it
        when the client has gone. Ends when the stream is stopped. Opens.

        Raises `ValueError` for what is no pattern, `Closed`.
        """
        wanted = Subscriptions(topics or "#")
        self._ready()
        return self._answer(Client(wanted, self._queue), last_event_id)

    def _answer(self, client: Client, last_event_id: str | None) -> Iterator[bytes]:
        for chunk in self._missed(client, last_event_id):
            client.put(chunk)
        self._clients.add(client)
        if self._state is not OPEN:
            client.close()
        try:
            yield from client.chunks(self._keepalive)
        finally:
            self._clients.discard(client)
            self._dropped += client.dropped

    def _missed(self, client: Client, last_event_id: str | None) -> list[bytes]:
        """The newest event of each topic that came after the one with this id."""
        if not last_event_id:
            return []
        stream, _, number = last_event_id.partition("-")
        ours = stream == self._stream and number.isdecimal() and len(number) < 20
        seen = int(number) if ours else 0
        found = [(at, chunk) for name, (at, chunk) in self._last.items() if at > seen and client.wants(name)]
        return [chunk for _, chunk in sorted(found)[-self._queue :]]

    def __call__(self, environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        """The WSGI application."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _refuse(start_response, "405 Method Not Allowed", "an event stream is got", ("Allow", "GET"))
        topics = parse_qs(environ.get("QUERY_STRING", "")).get("topic", [])
        try:
            chunks = self.listen(*topics, last_event_id=environ.get("HTTP_LAST_EVENT_ID"))
        except ValueError as error:
            return _refuse(start_response, "400 Bad Request", str(error))
        except Closed:
            return _refuse(start_response, "503 Service Unavailable", "stopping", ("Retry-After", "1"))
        headers = [
            ("Content-Type", "text/event-stream; charset=utf-8"),
            ("Cache-Control", "no-cache"),
            ("X-Accel-Buffering", "no"),
        ]
        start_response("200 OK", headers)
        return chunks if environ["REQUEST_METHOD"] == "GET" else []

    # -- the end -------------------------------------------------------------------------------------

    def _finish(self, deadline: float | None) -> None:
        self._subscriber.close()
        self._reading.join()

    def _shut(self, wait: bool) -> None:
        self._reading.kill(block=False)
        if wait:
            self._subscriber.close()
        for client in self._clients:
            client.close()

    def _abandon(self) -> None:
        self._reading.kill(block=False)
        self._clients = set()

    def statistics(self) -> StreamStatistics:
        """Counts and gauges, frozen: `received` publications, `sent` events, `dropped` ones, `clients`."""
        read = self._subscriber.statistics()
        return StreamStatistics(
            received=read.received,
            malformed=read.malformed + self._unsendable,
            missed=read.missed,
            peers=read.peers,
            missed_wakeups=read.missed_wakeups,
            sent=self._sent,
            dropped=self._dropped + sum(client.dropped for client in self._clients),
            clients=len(self._clients),
        )

    def __repr__(self) -> str:
        return f"<EventStream {self._state} clients={len(self._clients)} of {self._subscriber!r}>"


def _read(subscriber: Subscriber, publish: Callable[[Message], object]) -> None:
    for message in subscriber:
        publish(message)


def _refuse(start_response: Start, status: str, why: str, *headers: tuple[str, str]) -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8"), *headers])
    return [why.encode()]
