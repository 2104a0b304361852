"""The answering end of request and reply: a crew of greenlets on one ROUTER.

A member of the crew takes a call, runs the handler, sends the reply and takes the next; while handlers do not block,
one member does it all without a switch. As soon as nobody is left to read, one more member is hired, up to one more
than may run handlers: that one reads on into a queue, and stops reading when the queue is full. Then callers' queues
fill, and they wait: backpressure.

A ROUTER never waits for one client: what he does not take is dropped and counted.
"""

from __future__ import annotations

import logging
import weakref
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

import gevent
from gevent import getcurrent
from gevent.event import Event

from ..errors import Closed, MessageTooLarge, ProtocolError, TimeoutExpired
from ..green.options import REPLIES, ROUTER, SNDHWM, Options, check_concurrency
from ..green.outbox import Outbox
from ..green.runner import Runner
from ..green.service import CLOSED, DECLARED, OPEN, left
from ..green.socket import Socket
from ..wire.memory import Memory
from ..wire.message import MAX_FRAMES, Message, command_of, decode_headers
from ..wire.request import Arrival, error_reply
from .endpoint import Addresses, Endpoint
from .statistics import Statistics

if TYPE_CHECKING:
    from typing_extensions import Unpack

log = logging.getLogger("zbus")

#: Seconds for which a server that stops stays to refuse what still comes.
REFUSE = 0.5


class Replier(Endpoint, Runner):
    """Answers requests: `handler` gets each `Message`, and what it returns is the reply.

    Up to `concurrency` handlers run at once, each in a greenlet; a handler that waits holds up nobody. When all are
    busy, as many calls again are queued, then reading stops. A call whose time ran out is dropped unrun. A handler
    that raises gives its caller a `RemoteError` with type and message, and the server goes on. A call that may be
    repeated (``attempts`` above 1) is remembered for two minutes: its repeat gets the same reply, the handler does not
    run twice here. `stop` answers what is queued and what still comes with a refusal: clients turn to other servers.
    """

    _kind = ROUTER

    def __init__(
        self,
        handler: Callable[[Message], Any],
        *,
        bind: Addresses = (),
        connect: Addresses = (),
        concurrency: int = 64,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(bind=bind, connect=connect, **options)
        if not callable(handler):
            raise TypeError(f"handler is called with each message; {type(handler).__qualname__} cannot be")
        check_concurrency(concurrency)
        if self._options["codec"] == "frames":
            raise ValueError("codec='frames' cannot say where a request's envelope ends; use 'raw' for bytes")
        self._flags = ((SNDHWM, max(self._options["high_water_mark"], REPLIES)),)
        self._handler = handler
        self._concurrency = concurrency
        self._sent = self._received = self._repeated = self._refused = self._expired = self._failed = 0

    # -- the crew ------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._crew: set[gevent.Greenlet] = set()
        self._queue: deque[Arrival] = deque()
        self._memory = Memory()
        self._room = Event()
        self._idle = self._running = 0
        security = self._options["security"]
        self._ruled = security is not None and security.rules
        super()._open()
        self._outbox = Outbox(self._port.socket)
        self._hire()

    def _hire(self) -> None:
        member = gevent.spawn(_work, weakref.ref(self), self._port.socket)
        self._crew.add(member)
        member.link(self._crew.discard)

    def _took(self, frames: list[bytes]) -> None:
        """A message came in: run it, queue it, or refuse it."""
        now = monotonic()
        try:
            arrival = Arrival(frames, now=now)
        except ProtocolError as error:
            self._refuse(error)
            return
        arrival.user = self._port.socket.user
        if self._state is not OPEN or self._leaving:
            self._turn_away(arrival)
        elif self._running >= self._concurrency:
            self._queue.append(arrival)
        else:
            self._serve(arrival, now)

    # -- one call ------------------------------------------------------------------------------------

    def _serve(self, arrival: Arrival, now: float) -> None:
        """Run one call from arrival to reply."""
        if arrival.expires is not None and now >= arrival.expires:
            self._expired += 1
            return
        self._running += 1
        if not self._idle and len(self._crew) <= self._concurrency:
            self._hire()
        try:
            if arrival.repeatable and arrival.key is not None:
                self._answer_once(arrival, arrival.key, now)
            else:
                self._send(arrival.envelope, self._run(arrival))
        finally:
            self._running -= 1
            if self._state is not OPEN:
                self._changed.set()

    def _answer_once(self, arrival: Arrival, key: bytes, now: float) -> None:
        """Run a call that may come again, or answer it as its first time was."""
        known = self._memory.begin(arrival.user, key, arrival.envelope, now)
        if known is False:
            try:
                reply = self._run(arrival)
            except BaseException:
                self._memory.drop(arrival.user, key)
                raise
            joined = self._memory.finish(arrival.user, key, reply, monotonic())
            for envelope in [arrival.envelope, *joined]:
                self._send(envelope, reply)
            return
        self._repeated += 1
        if known is not True:
            self._send(arrival.envelope, known)

    def _run(self, arrival: Arrival) -> list[bytes]:
        """The frames of the reply: what the handler returned, or how it failed."""
        try:
            message = Message(self._decode(arrival.body))
            if arrival.headers is not None:
                message.headers = decode_headers(arrival.headers)
        except ProtocolError as error:
            self._refuse(error)
            return self._error(arrival, error)
        if arrival.user:
            message.user = arrival.user.partition(" ")[0]
        if self._ruled and not self._may(arrival.user, "request", command_of(message.body)):
            text = f"{message.user or 'who has no key'} may not request this"
            return error_reply(arrival, "Denied", text, self._codec)
        self._received += 1
        try:
            return [self._encode(self._handler(message))]
        except (TypeError, MessageTooLarge) as error:
            return self._raised(arrival, error)
        except BaseException as error:
            if self._state == CLOSED:
                raise
            return self._raised(arrival, error)

    def _raised(self, arrival: Arrival, error: BaseException) -> list[bytes]:
        self._failed += 1
        log.error("the handler of %r raised %s", self, type(error).__qualname__, exc_info=error)
        return self._error(arrival, error)

    def _error(self, arrival: Arrival, error: BaseException) -> list[bytes]:
        try:
            text = str(error)
        except Exception:
            text = ""
        kind = type(error).__name__
        if kind in ("Unavailable", "Denied"):  # on the wire those say: it did not run
            kind = f"{type(error).__module__}.{kind}"
        return error_reply(arrival, kind, text, self._codec)

    def _turn_away(self, arrival: Arrival) -> None:
        """Tell a caller that this server is stopping and did not run his call."""
        self._refused += 1
        text = "the server is stopping and did not run this"
        self._send(arrival.envelope, error_reply(arrival, "Unavailable", text, self._codec))

    def _send(self, envelope: list[bytes], reply: list[bytes]) -> None:
        try:
            self._sent += self._outbox.send([*envelope, *reply])
        except Closed:
            return  # while the handler ran

    # -- the end -------------------------------------------------------------------------------------

    def _inside(self) -> bool:
        return getattr(self, "_crew", None) is not None and getcurrent() in self._crew

    def _finish(self, deadline: float | None) -> None:
        """Refuse what is queued and what comes; let what runs finish; stay until the clients have left."""
        began = monotonic()
        while self._queue:
            self._turn_away(self._queue.popleft())
        self._room.set()
        for done, until in (
            (lambda: not self._running, deadline),
            (lambda: not self._port.peers, began + REFUSE),
        ):
            try:
                self._wait_until(done, left(until), lambda: "its calls to end")
            except TimeoutExpired:
                continue

    def _shut(self, wait: bool) -> None:
        self._outbox.flush()
        super()._shut(wait)
        self._room.set()
        gevent.killall([member for member in self._crew if member is not getcurrent()], block=False)

    def statistics(self) -> Statistics:
        """Counts and gauges, frozen; see `Statistics`. `waiting` is the queue behind the handlers that run."""
        opened = bool(self._opened())
        return Statistics(
            sent=self._sent,
            received=self._received,
            repeated=self._repeated,
            refused=self._refused,
            expired=self._expired,
            failed=self._failed,
            running=self._running if opened else 0,
            waiting=len(self._queue) if opened else 0,
            **self._gauges(),
        )


def _work(reference: weakref.ref[Replier], socket: Socket) -> None:
    """One member of the crew. Between calls it holds on to the socket only, so that a replier nobody keeps can go."""
    while True:
        replier = reference()
        if replier is None or replier._state in (CLOSED, DECLARED):
            return
        if replier._queue and replier._running < replier._concurrency and not replier._leaving:
            replier._room.set()
            replier._serve(replier._queue.popleft(), monotonic())
            continue
        if len(replier._queue) >= replier._concurrency:
            room = replier._room
            room.clear()
            del replier
            room.wait()
            continue
        replier._idle += 1
        del replier
        try:
            frames = socket.receive()
        except Closed:
            return
        finally:
            replier = reference()
            if replier is not None:
                replier._idle -= 1
        if replier is not None and replier._state is not CLOSED:
            if len(frames) > MAX_FRAMES:
                replier._refuse(ProtocolError(f"{len(frames)} frames; {MAX_FRAMES} is the limit"))
            else:
                replier._took(frames)
        del replier
