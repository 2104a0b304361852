"""A requester on a loop that stands, and what must be true of each thing that it does."""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import Any
from unittest import mock

from models.standing import Loop, Port, Waiter

import zbus
from zbus.green.lateness import LONGEST
from zbus.green.service import DECLARED, OPEN, _thread
from zbus.patterns import requester
from zbus.patterns.parking import Parking
from zbus.patterns.servers import Servers
from zbus.wire.codec import Msgpack
from zbus.wire.request import read_correlation

#: Seconds that a float, or the shortest timer, may be off.
NEARLY = 1e-5

msgpack = Msgpack()


class HandOut:
    """One message that went to a server: it may be answered once, until the connection is lost."""

    def __init__(self, call: Asked, port: Port, frames: list[bytes], at: float) -> None:
        self.call, self.port, self.frames, self.at = call, port, frames, at
        self.lost = self.answered = self.refused = False


class Asked:
    """One call: where it was handed out, which replies came for it, and how and when it ended."""

    def __init__(self, body: int, timeout: float | None, attempts: int, now: float) -> None:
        self.body, self.timeout, self.attempts, self.began = body, timeout, attempts, now
        self.deadline = None if timeout is None else now + max(timeout, 0)
        self.out: list[HandOut] = []
        self.again = False  # refused, or its connection was lost, since it was handed out last
        self.was_full = False
        self.pauses: list[float] = []  # when one behind a device refused
        self.replies: list[object] = []
        self.ended: float | None = None
        self.outcome: object = None

    @property
    def taken(self) -> int:
        return sum(not one.refused for one in self.out)


class Asking:
    """One requester and its servers. Whatever it does is held against what may be done with the call."""

    def open(self, servers: int, early: float) -> None:
        self.loop = Loop(early)
        self.patches = [
            mock.patch.object(requester, "monotonic", self.loop.clock),
            mock.patch("zbus.patterns.parking.monotonic", self.loop.clock),
            mock.patch("zbus.patterns.parking.Waiter", Waiter),
        ]
        for patch in self.patches:
            patch.start()
        self.requester: Any = zbus.Requester(connect="inproc://nobody")
        self.requester.__dict__.update(
            _state=OPEN,
            _owner=_thread(),
            _client=b"client--",
            _serials=count(1),
            _calls={},
            _parking=(parking := Parking(self.loop.hub)),
            _room=partial(parking.room, requester._ROOM),
            _servers=Servers(),
            _changed=mock.Mock(),
        )
        self.ports = [Port(self.loop, self.handed_out, self.left) for _ in range(servers)]
        for port in self.ports:
            self.requester._servers.add(port, self.requester._found_full)
        self.leaving: set[Port] = set()
        self.shunned: dict[Port, float] = {}
        self.calls: list[Asked] = []
        self.stalled = self.sent = 0

    def end(self) -> None:
        """Whoever waits is told that it is closed."""
        self.loop.run(self.closes)
        self.requester._state = DECLARED
        for patch in self.patches:
            patch.stop()

    def closes(self) -> None:
        for call in list(self.requester._calls.values()):
            self.requester._parking.settle(call, requester._CLOSED)

    def pending(self) -> list[Asked]:
        return [call for call in self.calls if call.ended is None]

    # -- what the requester does -----------------------------------------------------------------------

    def handed_out(self, port: Port, frames: list[bytes], there: bool) -> None:
        """In time, to a server that may be asked, no oftener than it may be, and elsewhere if that is possible."""
        call = self.calls[msgpack.decode(frames[2])]
        if not there:
            call.was_full = True
            return
        now, before = self.loop.now, call.out[-1] if call.out else None
        key, left, repeatable = read_correlation(frames[0])
        assert call.ended is None
        assert port.peers
        assert self.shunned.get(port, now) <= now
        assert repeatable == (call.attempts > 1)
        assert (
            left is None
            if call.deadline is None
            else call.deadline - now - 0.001 - NEARLY <= left <= call.deadline - now
        )
        assert left is None or left > 0 or call.timeout <= 0
        if before is not None:
            assert key == read_correlation(before.frames[0])[0]
            due = (
                call.attempts > 1 and call.timeout and now >= before.at + call.timeout / call.attempts - self.loop.early
            )
            assert call.again or due
            assert (
                len(call.pauses) < 2 or now >= call.pauses[-1] + 0.01 - self.loop.early or before.at > call.pauses[-1]
            )
            others = [one for one in self.ports if one is not port and self.usable(one) and not self.closed(one)]
            assert call.again or call.was_full or port is not before.port or not others
        call.out.append(HandOut(call, port, frames, now))
        call.again = call.was_full = False
        self.sent += 1
        assert call.taken <= call.attempts

    def usable(self, port: Port) -> bool:
        return bool(port.peers and port.room > 0 and self.shunned.get(port, 0.0) <= self.loop.now - NEARLY)

    def closed(self, port: Port) -> bool:
        """Was it full in this turn? It may have room by now."""
        return bool(self.requester._servers[port].outbox.closed())

    def left(self, port: Port) -> None:
        """The requester leaves a server that refused, and connects anew when the loop has time."""
        assert port in self.shunned
        assert not [call for call in self.requester._calls.values() if call.server and call.server.port is port]
        self.leaving.add(port)
        self.is_lost(port)

    def is_lost(self, port: Port) -> None:
        port.peers = 0
        for one in self.outs(port):
            one.lost = True
            one.call.again |= one is one.call.out[-1]
        self.requester._report(port, "disconnected", "", "")

    def outs(self, *ports: Port) -> list[HandOut]:
        """What the servers still have, and may answer."""
        return [
            one for call in self.calls for one in call.out if one.port in ports and not one.lost and not one.answered
        ]

    def holds(self, one: HandOut) -> bool:
        """Is the call out, for the requester, over the connection that it was handed out to there?"""
        call = self.requester._calls.get(read_correlation(one.frames[0])[0])
        return call is not None and call.server is self.requester._servers[one.port]

    def grace(self) -> float:
        """Who was told late waits on a little: once the loop has been held up it is not known who was."""
        return LONGEST if self.stalled else 0.0

    def ends(self, call: Asked) -> None:
        """In a greenlet of its own: once, in time, and as it went."""
        assert call.ended is None
        try:
            call.outcome = self.requester.request(call.body, timeout=call.timeout, attempts=call.attempts)
        except zbus.ZbusError as error:
            call.outcome = error
        call.ended = now = self.loop.now
        kind = type(call.outcome)
        if kind is zbus.Closed:
            return
        limit = None if call.deadline is None else max(call.deadline, self.stalled) + self.grace() + NEARLY
        assert limit is None or now <= limit
        if kind is zbus.Unavailable:
            assert not call.taken
            assert now >= call.deadline - 0.001 - NEARLY
        elif kind is zbus.TimeoutExpired:
            assert call.taken
            lost = call.out[-1].lost and call.taken == call.attempts
            assert lost or now >= call.deadline - 0.001 - NEARLY
        else:
            told = call.outcome if kind is list else str(call.outcome) if kind is zbus.RemoteError else None
            assert (kind, told) in call.replies
