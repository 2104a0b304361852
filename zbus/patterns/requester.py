"""The asking end of request and reply: many greenlets share one client, and none of them hangs.

There is one DEALER for each address, so it is known which server holds which call. A call goes through this loop:

    try      give it to the connected server with the fewest calls out; none takes it: wait for room
    wait     for the reply, the end of this attempt, the loss of the connection, or a refusal
    then     return, raise, or try again elsewhere

The reply is read in a callback on the hub, which switches straight to the greenlet that waits for it.
"""

from __future__ import annotations

import itertools
import os
import struct
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from gevent import get_hub, getcurrent

from ..errors import Closed, Denied, ProtocolError, TimeoutExpired
from ..green.messages import SocketError
from ..green.options import DEALER, RCVHWM, Options, Timeout, pings
from ..green.port import Port
from ..green.service import OPEN, _thread, left, weakly
from ..wire.message import encode_headers
from ..wire.request import CORRELATION_BYTES, KEY_BYTES, LEAST, Call, failure, read_error, read_reply
from .endpoint import Addresses, Endpoint, Headers
from .parking import Parking
from .servers import Server, Servers, too_late
from .statistics import Statistics

if TYPE_CHECKING:
    from typing_extensions import Unpack

_serial = struct.Struct(">Q").pack

_LOST, _REFUSED, _REFUSED_BEHIND, _FULL, _DUE, _ROOM, _CLOSED = (object() for _ in range(7))


class Requester(Endpoint):
    """Asks servers and waits for the reply. Any number of greenlets may share one.

    A call goes to the connected server with the fewest calls out; equal ones take turns. It is never queued for a
    server that is not there, nor for one whose queue (``high_water_mark``) is full: until one takes it, it waits here,
    and `Unavailable` says that none did. A server that dies costs an error or one of the ``attempts``, never a hang.
    """

    _kind = DEALER

    def __init__(self, *, bind: Addresses = (), connect: Addresses = (), **options: Unpack[Options]) -> None:
        super().__init__(bind=bind, connect=connect, **options)
        if self._options["codec"] == "frames":
            raise ValueError("codec='frames' cannot say where a request's envelope ends; use 'raw' for bytes")
        # no IMMEDIATE: it drops replies that came before a connection was lost, and may abort (see `options`);
        # replies are no more than the calls that are out, and a full queue would leave pings unanswered
        self._flags = ((RCVHWM, 0), *pings(self._options["heartbeat"]))
        self._sent = self._received = self._retried = self._refused = self._expired = self._late = 0

    # -- one call ------------------------------------------------------------------------------------

    def request(self, body: Any, *, timeout: Timeout = 10.0, attempts: int = 1, headers: Headers = None) -> Any:
        """Ask, and return the reply's body.

        `timeout` seconds are the whole deadline. The call is handed out at most `attempts` times: again when its
        connection is lost or ``timeout / attempts`` have passed, to another server if there is one. With more than
        one attempt the handler may run more than once, on different servers. A server that is stopping refuses; that
        is no attempt, and the next is asked: another address, or the next behind the same device.

        Raises `Unavailable` if no server took it (it did not run), `TimeoutExpired` if one did and no reply came (it
        may have run), `RemoteError` if the handler raised, `Denied` if no server will have us or we may not ask that,
        `ProtocolError` for an unreadable reply, `Closed`, and `TypeError` or `MessageTooLarge` for an unsendable body.
        """
        if self._state is not OPEN or _thread() != self._owner:
            self._ready()
            if self._state is not OPEN:
                raise Closed(f"{self!r} is stopping")
        if not isinstance(attempts, int) or attempts < 1:
            raise ValueError(f"attempts is a whole number of 1 or more, not {attempts!r}")
        frames = [b"", self._encode(body)]
        if headers is not None:
            frames.append(encode_headers(headers, self._headers_codec))
        key = self._client + _serial(next(self._serials))
        now = monotonic()
        call = self._calls[key] = Call(key, now, timeout, attempts)
        try:
            return self._see_through(call, frames, now)
        except TimeoutExpired:
            self._expired += 1
            raise
        finally:
            del self._calls[key]
            if call.server is not None:
                self._servers.recall(call)
            if self._state is not OPEN:
                self._changed.set()

    def _see_through(self, call: Call, frames: list[bytes], now: float) -> Any:
        while True:
            if self._try(call, frames, now):
                if self._parking.queue:
                    self._parking.room_later(_ROOM)  # for the next one, too
                outcome = self._parking.park(call, call.patience(now), _DUE)
            elif denied := self._servers.denied():
                self._parking.room_later(_ROOM)  # the next one hears it, too
                raise Denied(f"{self!r}: {denied}")
            elif call.expired(now):
                raise too_late(call, self, monotonic())
            else:
                outcome = self._wait_for_room(call, now)
            if outcome is _REFUSED_BEHIND:
                outcome = self._parking.park(call, call.refused_behind(monotonic()), _DUE, patient=False)
            if type(outcome) is bytes:
                try:
                    return self._unpack(outcome)
                except Exception:
                    return self._result(outcome)
            if type(outcome) is tuple:
                return self._result(*outcome)
            if outcome is _CLOSED:
                raise Closed(f"{self!r} was closed")
            if outcome is _LOST and call.spent:
                raise TimeoutExpired(
                    f"{self!r}: the connection was lost after attempt {call.taken} of {call.attempts}; "
                    "whether the call ran is not known"
                )
            now = monotonic()
            if call.expired(now + LEAST) or (outcome is _DUE and call.server is not None and call.spent):
                if outcome is _ROOM:
                    self._parking.room_later(_ROOM)  # it is the next one's
                # once spent the deadline alone is due, and a timer may come a little early
                raise too_late(call, self, now)

    def _try(self, call: Call, frames: list[bytes], now: float) -> bool:
        """Hand the call to a server, if one takes it now; not to the one that had it, if there is another."""
        before = None if call.server is None else self._servers.recall(call)
        for server in self._servers.usable(before, now):
            if server.outbox.send([call.correlation(now), *frames], (call, call.taken + 1)):
                self._sent += 1
                if call.taken:
                    self._retried += 1
                self._servers.took(server, call, now)
                return True
        return False

    def _found_full(self, owner: tuple[Call, int]) -> None:
        """On the hub: a request that waited for the end of this turn found no room after all."""
        call, _ = owner
        call.server.outbox.close_for_this_turn()  # or else it would be given the call again
        self._servers.recall(call)
        call.give_back()
        self._sent -= 1
        self._retried -= call.taken > 0
        self._parking.settle(call, _FULL)

    def _wait_for_room(self, call: Call, now: float) -> Any:
        """Park until some server may take the call, or its time is over."""
        remaining = None if call.deadline is None else call.deadline - now
        seconds = min((s for s in (remaining, self._servers.patience(now)) if s is not None), default=None)
        return self._parking.park_for_room(call, seconds, _DUE)

    # -- replies -------------------------------------------------------------------------------------

    def _replies(self, server: Server, last: bool = False) -> None:
        """Read what one server sent; its `last` words to the end. On the hub, but where we leave a server."""
        socket = server.port.socket
        ready = socket.readiness
        on_hub = getcurrent() is ready.hub
        for count in itertools.count(1):
            if not count & 15 and not last and ready.burst.over():
                ready.resume_next_turn()
                break
            try:
                frames = socket.take()
            except SocketError:
                ready.drained = True
                break
            server.owes = False
            if on_hub and len(frames) == 3 and not frames[1] and len(frames[0]) == CORRELATION_BYTES:
                call = self._calls.get(frames[0][:KEY_BYTES])
                if call is not None and call.waiter is not None:  # nearly always: who asked waits
                    self._received += 1
                    call.waiter.switch(frames[2])
                    continue
            self._read(server, frames)
        if self._parking.queue or server.outbox.closed():  # one that waits in another outbox may be back at once
            server.outbox.tell(self._room)

    def _read(self, server: Server, frames: list[bytes]) -> None:
        """One message of a server; or a frame that came alone, and behind it the next message."""
        try:
            reply = read_reply(frames)
        except ProtocolError as error:
            self._refuse(error)
            try:
                reply = read_reply(frames[1:])
            except ProtocolError:
                return
        self._reply(server, *reply)

    def _reply(self, server: Server, key: bytes, body: bytes, headers: bytes | None) -> None:
        call = self._calls.get(key)
        if call is None or call.outcome is not None:
            self._late += 1
            return
        error = None if headers is None else read_error(headers)
        if isinstance(error, dict) and error.get("type") == "Unavailable":
            self._refused_by(server, call, behind=bool(error.get("hops")))
        else:
            self._received += 1
            self._parking.settle(call, body if error is None else (body, error))

    def _refused_by(self, server: Server, call: Call, behind: bool) -> None:
        self._refused += 1
        if not behind:
            server.shun(monotonic())
        call.give_back()
        if call.server is server:  # it may be out elsewhere by now, on its next attempt
            self._parking.settle(call, _REFUSED_BEHIND if behind else _REFUSED)

    def _result(self, body: bytes, error: Any = None) -> Any:
        if isinstance(error, dict):
            raise failure(error)
        if not isinstance(error, ProtocolError):
            try:
                return self._decode(body)
            except ProtocolError as unreadable:
                error = unreadable
        self._refuse(error)
        raise error

    # -- servers -------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._client = os.urandom(8)
        self._serials = itertools.count(1)
        self._calls: dict[bytes, Call] = {}
        self._parking = Parking(get_hub())
        self._room = partial(self._parking.room, _ROOM)
        self._servers = Servers()
        super()._open()

    def _layout(self) -> list[tuple[list[str], list[str]]]:
        return ([(self._bind, [])] if self._bind else []) + [([], [address]) for address in self._connect]

    def _connect_to(self, address: str) -> None:
        self._add_port([], [address])

    def _prepare(self, port: Port) -> None:
        server = self._servers.add(port, weakly(self._found_full))
        port.socket.headed = True
        port.socket.readiness.listen(partial(weakly(self._replies), server), partial(server.outbox.tell, self._room))

    def _report(self, port: Port, kind: str, address: str, reason: str) -> None:
        server = self._servers[port]
        if kind == "connected":
            server.came()
        if kind in ("connected", "denied"):
            self._room()
        elif kind == "disconnected" and not port.peers:
            self._replies(server, last=True)
            for call in list(server.calls.values()):
                self._parking.settle(call, _LOST)
        super()._report(port, kind, address, reason)

    # -- the end -------------------------------------------------------------------------------------

    def _finish(self, deadline: float | None) -> None:
        try:
            self._wait_until(lambda: not self._calls, left(deadline), lambda: "its last replies")
        except TimeoutExpired:
            return

    def _shut(self, wait: bool) -> None:
        for call in list(self._calls.values()):
            self._parking.settle(call, _CLOSED)
        self._parking.close()
        super()._shut(wait)

    def _abandon(self) -> None:
        for call in list(self._calls.values()):
            self._parking.settle(call, _CLOSED)
        super()._abandon()

    def statistics(self) -> Statistics:
        """Counts and gauges, frozen; see `Statistics`. `sent` counts attempts, `waiting` the calls without a reply."""
        opened = self._opened()
        return Statistics(
            sent=self._sent,
            received=self._received,
            retried=self._retried,
            refused=self._refused,
            expired=self._expired,
            late=self._late,
            waiting=len(self._calls) if opened else 0,
            silent=self._servers.silent(monotonic()) if opened else 0,
            **self._gauges(),
        )
