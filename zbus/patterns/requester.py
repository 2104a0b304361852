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
from collections import deque
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from gevent import get_hub, getcurrent
from gevent.hub import Waiter

from ..errors import Closed, ProtocolError, RemoteError, TimeoutExpired, Unavailable
from ..green.messages import SocketError
from ..green.options import DEALER, IMMEDIATE, RCVHWM, Options, Timeout, pings
from ..green.port import Port
from ..green.service import OPEN, weakly
from ..wire.message import decode_headers
from ..wire.request import Call, read_reply
from .endpoint import Addresses, Endpoint, Headers
from .parking import park, settle
from .servers import Server, Servers
from .statistics import Statistics

if TYPE_CHECKING:
    from typing_extensions import Unpack

_LOST, _REFUSED, _FULL, _DUE, _ROOM, _CLOSED = (object() for _ in range(6))


class Requester(Endpoint):
    """Asks servers and waits for the reply. Any number of greenlets may share one.

    A call goes to the connected server with the fewest calls out; equal ones take turns. It is never queued for a
    server that is not there, nor for one whose queue (``high_water_mark``) is full: until one takes it, it waits here,
    and `Unavailable` says that none did. A server that dies costs an error or, with ``attempts`` above 1, another
    attempt; never a hang.
    """

    _kind = DEALER

    def __init__(self, *, bind: Addresses = (), connect: Addresses = (), **options: Unpack[Options]) -> None:
        super().__init__(bind=bind, connect=connect, **options)
        if self._options["codec"] == "frames":
            raise ValueError("codec='frames' cannot say where a request's envelope ends; use 'raw' for bytes")
        # replies are no more than the calls that are out, and a full queue would leave pings unanswered
        self._flags = (*IMMEDIATE, (RCVHWM, 0), *pings(self._options["heartbeat"]))
        self._sent = self._received = self._retried = self._refused = self._expired = self._late = 0

    # -- one call ------------------------------------------------------------------------------------

    def request(self, body: Any, *, timeout: Timeout = 10.0, attempts: int = 1, headers: Headers = None) -> Any:
        """Ask, and return the reply's body.

        `timeout` seconds are the whole deadline. The call is handed out at most `attempts` times: again when its
        connection is lost or ``timeout / attempts`` have passed, to another server if there is one. With more than
        one attempt the handler may run more than once, on different servers. A server that is stopping refuses; that
        is no attempt.

        Raises `Unavailable` if no server took it (it did not run), `TimeoutExpired` if one did and no reply came (it
        may have run), `RemoteError` if the handler raised, `ProtocolError` for a reply that cannot be read, `Closed`,
        and `TypeError` or `MessageTooLarge` for a body that cannot be sent.
        """
        self._use()
        if self._state is not OPEN:
            raise Closed(f"{self!r} is stopping")
        if not isinstance(attempts, int) or attempts < 1:
            raise ValueError(f"attempts is a whole number of 1 or more, not {attempts!r}")
        frames = [b"", *self._frames(body, headers)]
        key = self._client + next(self._serial).to_bytes(8, "big")
        now = monotonic()
        call = self._calls[key] = Call(key, now=now, timeout=timeout, attempts=attempts)
        try:
            return self._see_through(call, frames, now)
        except TimeoutExpired:
            self._expired += 1
            raise
        finally:
            del self._calls[key]
            self._servers.recall(call)
            if self._state is not OPEN:
                self._changed.set()

    def _see_through(self, call: Call, frames: list[bytes], now: float) -> Any:
        while True:
            if self._try(call, frames, now):
                if self._queue:
                    get_hub().loop.run_callback(self._room)  # there may be room for the next one too
                outcome = self._park(call, call.patience(now))
            elif call.expired(now):
                raise self._too_late(call)
            else:
                outcome = self._wait_for_room(call, now)
            if outcome is _FULL:
                outcome = self._wait_for_room(call, monotonic())
            if type(outcome) is tuple:
                return self._result(*outcome)
            if outcome is _CLOSED:
                raise Closed(f"{self!r} was closed")
            if outcome is _LOST and call.spent:
                raise TimeoutExpired(
                    f"{self!r}: the connection was lost after attempt {call.taken} of {call.attempts}; "
                    "whether the call ran is not known"
                )
            if outcome is _DUE and call.server is not None and (call.spent or call.expired(monotonic())):
                raise self._too_late(call)  # once spent the deadline alone is due, and a timer may come a little early
            now = monotonic()

    def _too_late(self, call: Call) -> TimeoutExpired:
        waited = f"{monotonic() - call.began:.3g} s"
        if call.taken:
            return TimeoutExpired(f"{self!r}: no reply in {waited}, after attempt {call.taken} of {call.attempts}")
        return Unavailable(f"{self!r}: no server took the call in {waited}, so it did not run")

    def _try(self, call: Call, frames: list[bytes], now: float) -> bool:
        """Hand the call to a server, if one takes it now; not to the one that had it, if there is another."""
        before = self._servers.recall(call)
        for server in self._servers.usable(before, now):
            if server.outbox.send([call.correlation(now), *frames], (call, call.taken + 1)):
                self._sent += 1
                self._retried += call.taken > 0
                self._servers.took(server, call, now)
                return True
        return False

    def _found_full(self, owner: tuple[Call, int]) -> None:
        """On the hub: a request that waited for the end of this turn found no room after all."""
        call, _ = owner
        self._servers.recall(call)
        call.give_back()
        self._sent -= 1
        self._retried -= call.taken > 0
        settle(call, _FULL)

    # -- waiting -------------------------------------------------------------------------------------

    def _wait_for_room(self, call: Call, now: float) -> Any:
        """Park until some server may take the call, or its time is over."""
        left = None if call.deadline is None else call.deadline - now
        shunned = self._servers.patience(now)
        seconds = shunned if left is None else min(left, left if shunned is None else shunned)
        waiter = Waiter(get_hub())
        self._queue.append(waiter)
        try:
            return self._park(call, seconds, waiter)
        finally:
            if waiter in self._queue:
                self._queue.remove(waiter)

    def _park(self, call: Call, seconds: float | None, waiter: Waiter | None = None) -> Any:
        return park(call, seconds, holder=self._holder(), due=_DUE, waiter=waiter)

    def _room(self) -> None:
        """Something changed; let the call that waits longest try. If one took it, the next one tries too."""
        if getcurrent() is not get_hub():
            get_hub().loop.run_callback(self._room)
        elif self._queue:
            self._queue.popleft().switch(_ROOM)

    # -- replies -------------------------------------------------------------------------------------

    def _replies(self, server: Server) -> None:
        """On the hub: read what one server sent."""
        socket = server.port.socket
        ready = socket.readiness
        count = 0
        while True:
            count += 1
            if not count & 15 and ready.burst.over():
                ready.resume_next_turn()
                break
            try:
                frames = socket.take()
            except SocketError:
                ready.drained = True
                break
            try:
                self._reply(server, *read_reply(frames))
            except ProtocolError as error:
                self._refuse(error)
        if self._queue:
            self._room()

    def _reply(self, server: Server, key: bytes, body: bytes, headers: bytes | None) -> None:
        call = self._calls.get(key)
        if call is None or call.outcome is not None:
            self._late += 1
            return
        error: Any = None
        if headers is not None:
            try:
                error = decode_headers(headers).get("error")
            except ProtocolError as unreadable:
                error = unreadable
        if isinstance(error, dict) and error.get("type") == "Unavailable":
            self._refused_by(server, call)
        else:
            self._received += 1
            settle(call, (body, error))

    def _refused_by(self, server: Server, call: Call) -> None:
        self._refused += 1
        server.shun(monotonic())
        call.give_back()
        if call.server is server:  # it may be out elsewhere by now, on its next attempt
            settle(call, _REFUSED)

    def _result(self, body: bytes, error: Any) -> Any:
        if isinstance(error, dict):
            raise RemoteError(str(error.get("type", "Exception")), str(error.get("message", "")))
        if not isinstance(error, ProtocolError):
            try:
                return self._codec.decode(body)
            except ProtocolError as unreadable:
                error = unreadable
            except Exception as cause:
                error = ProtocolError(f"the reply cannot be decoded: {type(cause).__name__}")
        self._refuse(error)
        raise error

    # -- servers -------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._client = os.urandom(8)
        self._serial = itertools.count(1)
        self._calls: dict[bytes, Call] = {}
        self._queue: deque[Waiter] = deque()
        self._servers = Servers()
        super()._open()

    def _layout(self) -> list[tuple[list[str], list[str]]]:
        return ([(self._bind, [])] if self._bind else []) + [([], [address]) for address in self._connect]

    def _connect_to(self, address: str) -> None:
        self._add_port([], [address])

    def _prepare(self, port: Port) -> None:
        server = self._servers.add(port, weakly(self._found_full))
        port.socket.readiness.listen(partial(weakly(self._replies), server))

    def _report(self, port: Port, kind: str, address: str, reason: str) -> None:
        server = self._servers[port]
        if kind == "connected":
            server.came()
            self._room()
        elif kind == "disconnected" and not port.peers:
            self._replies(server)  # what it sent before it went
            for call in list(server.calls.values()):
                settle(call, _LOST)
        super()._report(port, kind, address, reason)

    # -- the end -------------------------------------------------------------------------------------

    def _finish(self, deadline: float | None) -> None:
        left = None if deadline is None else max(deadline - monotonic(), 0.0)
        try:
            self._wait_until(lambda: not self._calls, left, lambda: "its last replies")
        except TimeoutExpired:
            return

    def _shut(self, wait: bool) -> None:
        for call in list(self._calls.values()):
            settle(call, _CLOSED)
        super()._shut(wait)

    def _abandon(self) -> None:
        for call in list(self._calls.values()):
            settle(call, _CLOSED)
        super()._abandon()

    def statistics(self) -> Statistics:
        """Counts and gauges, frozen; see `Statistics`. `sent` counts attempts, `waiting` the calls without a reply."""
        return Statistics(
            sent=self._sent,
            received=self._received,
            retried=self._retried,
            refused=self._refused,
            expired=self._expired,
            late=self._late,
            waiting=len(self._calls) if self._opened() else 0,
            **self._gauges(),
        )
