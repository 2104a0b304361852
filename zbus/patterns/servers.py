"""The servers that one requester knows: which of them may take a call, and which holds which."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..errors import TimeoutExpired, Unavailable
from ..green.outbox import Outbox
from ..green.port import Port
from ..wire.request import Call

#: Seconds for which a server that refused a call is not asked again, unless it comes back sooner. Longer than a server
#: that stops stays to refuse: at the end of that a call would be lost with the connection.
SHUN = 1.0
#: Seconds without an answer after which a server that is connected counts as silent.
SILENT = 6.0


class Server:
    """One DEALER and the calls that are out over it."""

    __slots__ = ("calls", "left", "outbox", "owes", "port", "shunned_until", "since", "turn")

    def __init__(self, port: Port, refused: Callable[[Any], object]) -> None:
        self.port = port
        self.outbox = Outbox(port.socket, wanted=self._has, refused=refused)
        self.calls: dict[bytes, Call] = {}
        self.shunned_until = 0.0
        self.left = False
        self.turn = 0
        self.owes = False  # it was given a call, and nothing has come from it since
        self.since = 0.0  # when it was given the first of those

    def silence(self, now: float) -> float:
        """Seconds for which it is connected, was given calls, and has answered nobody."""
        return now - self.since if self.owes and self.port.peers else 0.0

    def _has(self, owner: tuple[Call, int]) -> bool:
        """Is the call still out over this server, on that attempt?"""
        call, attempt = owner
        return call.server is self and call.taken == attempt

    def shun(self, now: float) -> None:
        """It refused a call: ask others for a while."""
        self.shunned_until = now + SHUN

    def leave(self) -> None:
        """Nothing is out over a server that refused: go, so that it need not wait for us, and connect anew."""
        if self.port.connected and self.port.peers:
            self.left = True
            self.port.rejoin()

    def came(self) -> None:
        """It is connected: to be asked again at once, unless it is the one that we left a moment ago."""
        if not self.left:
            self.shunned_until = 0.0
        self.left = False


class Servers:
    """All of them, by the port each is reached over."""

    def __init__(self) -> None:
        self._by_port: dict[Port, Server] = {}
        self._only: Server | None = None  # nearly always there is one
        self._turns = 0

    def __iter__(self) -> Iterator[Server]:
        return iter(self._by_port.values())

    def __getitem__(self, port: Port) -> Server:
        return self._by_port[port]

    def add(self, port: Port, refused: Callable[[Any], object]) -> Server:
        """One more server. `refused` is told of a call, and which attempt it was, that found no room after all."""
        server = self._by_port[port] = Server(port, refused)
        self._only = server if len(self._by_port) == 1 else None
        return server

    def usable(self, before: Server | None, now: float) -> Sequence[Server]:
        """Those that may be asked, best first: fewest calls out, then whose turn it is; `before` only if need be."""
        only = self._only
        if only is not None:
            return (only,) if only.shunned_until <= now and only.port.peers else ()
        usable = [s for s in self._by_port.values() if s.shunned_until <= now and s.port.peers]
        if len(usable) > 1:
            usable.sort(key=lambda server: (server is before, len(server.calls), server.turn))
        return usable

    def silent(self, now: float) -> int:
        """How many are connected and silent: each is slow with all of its calls, or its loop stands still. libzmq's
        heartbeats cannot tell, for a thread of its own answers them."""
        return sum(server.silence(now) >= SILENT for server in self)

    def denied(self) -> str:
        """Why none of them will have us; empty if one might."""
        reasons = [server.port.socket.readiness.denied for server in self]
        return "; ".join(reasons) if all(reasons) else ""

    def patience(self, now: float) -> float | None:
        """Seconds until a server that is shunned may be asked again; None when there is none."""
        return min((server.shunned_until - now for server in self if server.shunned_until > now), default=None)

    def took(self, server: Server, call: Call, now: float) -> None:
        """`server` has the call now."""
        call.take(server, now)
        if not server.owes:
            server.owes, server.since = True, now
        server.calls[call.key] = call
        self._turns = server.turn = self._turns + 1

    def recall(self, call: Call) -> Server | None:
        """The call is no longer out: answered, lost, refused, or given up. The server that had it."""
        server: Server | None = call.server
        if server is not None:
            call.server = None
            server.calls.pop(call.key, None)
            if server.shunned_until and not server.calls:
                server.leave()
        return server


def too_late(call: Call, who: object, now: float) -> TimeoutExpired:
    """The error of a call of `who` whose time is over: what is known of where it was."""
    waited = f"{now - call.began:.3g} s"
    if not call.taken:
        return Unavailable(f"{who!r}: no server took the call in {waited}, so it did not run")
    text = f"{who!r}: no reply in {waited}, after attempt {call.taken} of {call.attempts}"
    silence = call.server.silence(now) if call.server is not None else 0.0
    if silence:
        text += f"; the server is connected and has answered nobody for {silence:.3g} s"
    return TimeoutExpired(text)
