"""PUB and SUB: one speaks under a topic, everybody who subscribed hears it (RFC 29)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import ProtocolError
from ..green.events import EndpointEvent
from ..green.options import (
    IMMEDIATE,
    SUB,
    SUBSCRIBE,
    SUBSCRIPTIONS,
    UNSUBSCRIBE,
    VERBOSE,
    XPUB,
    Options,
    Timeout,
)
from ..green.port import Port
from ..green.retained import Retained
from ..green.service import DECLARED, OPEN, _thread, weakly
from ..wire.batch import Batch, OpenBatch
from ..wire.message import Message, decode_headers, encode_headers
from ..wire.sequence import Numbering, Tracker
from ..wire.subscription import Subscriptions, Topics, each
from ..wire.topic import encode_topic
from .audience import Audience
from .batching import batcher
from .endpoint import Addresses, Endpoint, Headers
from .grants import Grants
from .statistics import Statistics
from .stream import Receives

if TYPE_CHECKING:
    from typing_extensions import Unpack

#: What numbering adds to headers, at its largest.
_NUMBERED = {"sequence": [bytes(8), 2**64 - 1], "retained": True}


class Publisher(Endpoint):
    """Publishes under topics to whoever subscribed; never waits for them.

    A subscriber that does not keep up loses what does not fit in its queue (``high_water_mark``) here, and ZeroMQ does
    not say so. With ``sequenced=True`` every topic is numbered, and a zbus `Subscriber` knows what it missed. With
    ``last_value=True`` (numbered too) who subscribes late gets the newest value of each topic at once. With `batch`
    many messages of a topic travel in one frame.
    """

    _kind = XPUB
    _flags = (*VERBOSE, *IMMEDIATE)  # else a subscriber that we connect to counts on when he has gone, twice when back
    _sent = 0

    def __init__(
        self,
        *,
        bind: Addresses = (),
        connect: Addresses = (),
        batch: Batch | None = None,
        last_value: bool = False,
        sequenced: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(bind=bind, connect=connect, **options)
        if (last_value or sequenced) and self._options["codec"] == "frames":
            raise ValueError("codec='frames' has no room for the headers that sequenced and last_value need")
        self._batcher = batcher(batch, self)
        self._numbered = sequenced or last_value
        self._keeps = last_value

    def _prepare(self, port: Port) -> None:
        security = self._options["security"]
        has_rules = security is not None and security.rules
        grants = Grants(port, security, weakly(self._deny), weakly(self._refuse)) if has_rules else None
        self._audience = Audience(port.socket, grants)
        self._numbering = Numbering(os.urandom(8))
        self._retained = Retained(port.socket)
        port.socket.readiness.listen(weakly(self._subscribed))

    # -- publishing ----------------------------------------------------------------------------------

    def publish(self, topic: str, body: Any, *, headers: Headers = None) -> None:
        """Publish one message. It does not wait: a subscriber whose queue is full, and one that comes later, miss it.

        Raises `TypeError` or `ValueError` for what is no topic or no body, `MessageTooLarge`, `Closed`.
        """
        if self._state is not OPEN or _thread() != self._owner:
            self._ready()
        name = encode_topic(topic)
        if self._numbered and headers is not None:
            encode_headers({**headers, **_NUMBERED}, self._headers_codec)  # refused here, and takes no number
        if self._batcher is not None:
            self._batcher.add(self._encode(body), self._encode_headers(headers), name, None)
        elif self._numbered:
            self._number(name, [self._encode(body)], headers)
        else:
            self._port.socket.transmit([name, *self._frames(body, headers)])
        self._sent += 1

    def flush(self, timeout: Timeout = None) -> None:
        """Send the open batches now."""
        self._use()
        if self._batcher is not None:
            self._batcher.flush(timeout)

    def _emit(self, batch: OpenBatch, timeout: Timeout) -> None:
        if self._numbered:
            self._number(batch.topic, batch.values, None if batch.headers is None else decode_headers(batch.headers))
            return
        frames = [batch.topic, batch.body()]
        if batch.headers is not None:
            frames.append(batch.headers)
        self._port.socket.transmit(frames)

    def _number(self, name: bytes, values: list[bytes], headers: Headers) -> None:
        sequence = self._numbering.next(name, len(values))
        numbered = {**(headers or {}), "sequence": sequence}
        frames = [name, b"".join(values), encode_headers(numbered, self._headers_codec)]
        if self._keeps:
            self._retained.keep(name, values[-1], self._headers_of_last(frames[2], numbered, len(values)))
        self._port.socket.transmit(frames)

    def _headers_of_last(self, headers: bytes, numbered: dict[str, Any], count: int) -> bytes:
        if count == 1:
            return headers
        publisher, first = numbered["sequence"]
        return encode_headers({**numbered, "sequence": [publisher, first + count - 1]}, self._headers_codec)

    # -- subscribers ---------------------------------------------------------------------------------

    def wait_for_subscribers(self, topic: str, count: int = 1, *, timeout: Timeout = None) -> None:
        """Wait until `count` subscriptions cover `topic`: what is published from now on reaches them.

        Those behind a forwarder count as one together. Raises `TimeoutExpired` after `timeout` seconds (0 asks: is
        anybody listening?), `Denied` where nobody that we connect to will have us, and `Closed`. Opens.
        """
        name = encode_topic(topic)
        self._use()

        self._wait_until(
            lambda: self._audience.count(name) >= count or self._is_denied(),
            timeout,
            lambda: f"{count} subscriptions to {topic!r}; there are {self._audience.count(name)}",
        )

    def _subscribed(self) -> None:
        """On the hub: subscribers ask for something, or give it up."""
        self._audience.listen(self._retained if self._keeps else None)
        self._changed.set()

    # -- the rest ------------------------------------------------------------------------------------

    def _shut(self, wait: bool) -> None:
        if self._batcher is not None:
            self._batcher.close(self._options["linger"] if wait else 0)
        super()._shut(wait)

    def statistics(self) -> Statistics:
        """Counts and gauges, frozen; see `Statistics`. `waiting` is what the open batches hold."""
        waiting = len(self._batcher) if self._batcher is not None else 0
        return Statistics(sent=self._sent, waiting=waiting, **self._gauges())


class Subscriber(Receives):
    """Receives what is published under the topics it subscribed to.

    A topic given as ``str`` is a pattern: words joined by dots, ``*`` for one word, ``#`` for any number. ``bytes`` are
    a ZeroMQ prefix, for publishers whose topics are no words. What was published before the subscription arrived, and
    what does not fit in the queues (``high_water_mark`` here and at the publisher), is missed; where the publisher is
    sequenced, `on_event` tells of each ``gap`` and of a publisher that ``restarted``, and `statistics` counts them.
    """

    _kind = SUB
    _flags = SUBSCRIPTIONS
    _lingers = False

    def __init__(
        self,
        *,
        bind: Addresses = (),
        connect: Addresses = (),
        topics: Topics = (),
        **options: Unpack[Options],
    ) -> None:
        super().__init__(bind=bind, connect=connect, **options)
        self._subscriptions = Subscriptions(topics)
        self._unmatched = self._missed = self._repeated = 0

    # -- what is subscribed to -------------------------------------------------------------------------

    def subscribe(self, *topics: str | bytes) -> None:
        """Subscribe to more patterns (str) or prefixes (bytes). It takes effect when the publishers have heard of it;
        `Publisher.wait_for_subscribers` tells when."""
        socket = None if self._state is DECLARED else self._use()
        for topic in each(topics):
            prefix = self._subscriptions.add(topic)
            if socket is not None and self._subscriptions.times(prefix) == 1:
                socket.set(SUBSCRIBE, prefix)

    def unsubscribe(self, *topics: str | bytes) -> None:
        """Undo one `subscribe` of each; `ValueError` for one that there is not."""
        socket = None if self._state is DECLARED else self._use()
        for topic in each(topics):
            prefix = self._subscriptions.remove(topic)
            if socket is not None and not self._subscriptions.times(prefix):
                socket.set(UNSUBSCRIBE, prefix)
                self._tracker.forget_unless(lambda known: self._subscriptions.match(known.encode()) is not None)

    def _prepare(self, port: Port) -> None:
        self._tracker = Tracker()
        for prefix in self._subscriptions.prefixes:
            port.socket.set(SUBSCRIBE, prefix)

    # -- receiving -----------------------------------------------------------------------------------

    def recv(self, *, timeout: Timeout = None) -> Message:
        """The next publication that matches; as `Pull.recv`. `ValueError` if nothing was ever subscribed to."""
        self._check_subscribed()
        return super().recv(timeout=timeout)

    def __iter__(self) -> Iterator[Message]:
        """Every publication that matches, as it comes; ends quietly when closed."""
        self._check_subscribed()
        return super().__iter__()

    def _check_subscribed(self) -> None:
        if not self._subscriptions and self._state != "closed":
            raise ValueError(f"{self!r} is not subscribed to anything: subscribe('#') is for every topic")

    def _parse(self, frames: list[bytes]) -> list[Message]:
        if self._options["codec"] == "frames":
            return [Message(frames)]
        topic = self._subscriptions.match(frames[0])
        if topic is None:
            self._unmatched += 1
            return []
        if not 2 <= len(frames) <= 3:
            raise ProtocolError(f"{len(frames)} frames where topic, body and headers belong")
        headers = decode_headers(frames[2]) if len(frames) == 3 else None
        values = self._values(frames[1])
        if headers is None:
            return [Message(value, topic=topic) for value in values]
        if "sequence" in headers and not self._is_new(topic, headers["sequence"], len(values)):
            return []
        return [Message(value, topic=topic, headers=headers) for value in values]

    def _deed(self, message: Message) -> tuple[str, str]:
        return "publish", message.topic

    def _is_new(self, topic: str, sequence: Any, count: int) -> bool:
        match sequence:
            case [bytes(publisher), int(number)] if number >= 1:
                seen = self._tracker.observe(topic, publisher, number, count=count, peers=self._port.count_peers)
            case _:
                raise ProtocolError("a sequence header that is not [publisher, number]")
        if not seen.fresh:
            self._repeated += 1
        elif seen.restarted or seen.missed:
            self._missed += seen.missed
            kind, reason = (
                ("restarted", "the publisher began anew") if seen.restarted else ("gap", "messages never came")
            )
            self._tell(EndpointEvent(kind, " ".join(self._port.addresses), f"{topic}: {reason}", seen.missed))
        return seen.fresh

    def statistics(self) -> Statistics:
        """Counts and gauges, frozen; see `Statistics`."""
        return Statistics(
            received=self._received(),
            unmatched=self._unmatched,
            missed=self._missed,
            repeated=self._repeated,
            waiting=self._undelivered(),
            **self._gauges(),
        )
