"""What happens to a socket's connections: libzmq's monitor read into records, and a count of peers."""

from __future__ import annotations

import itertools
import struct
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import zmq
from gevent.event import Event

from .connections import cut, has_greeted
from .context import open_socket
from .socket import Socket

_serial = itertools.count(1)
_head = struct.Struct("=Hi")

_CONNECTED, _LISTENING, _ACCEPTED = (
    int(zmq.Event.CONNECTED),
    int(zmq.Event.LISTENING),
    int(zmq.Event.ACCEPTED),
)
_CLOSED, _DISCONNECTED, _STOPPED = (
    int(zmq.Event.CLOSED),
    int(zmq.Event.DISCONNECTED),
    int(zmq.Event.MONITOR_STOPPED),
)
_READY, _RETRIED = int(zmq.Event.HANDSHAKE_SUCCEEDED), int(zmq.Event.CONNECT_RETRIED)
_FAILED = {
    int(zmq.Event.HANDSHAKE_FAILED_NO_DETAIL): "the handshake was cut short",
    int(zmq.Event.HANDSHAKE_FAILED_PROTOCOL): "the peer does not speak ZMTP as we do",
    int(zmq.Event.HANDSHAKE_FAILED_AUTH): "one of the two refused the other",
}
_WANTED = _CONNECTED | _LISTENING | _ACCEPTED | _CLOSED | _DISCONNECTED | _STOPPED | _READY | _RETRIED | sum(_FAILED)


@dataclass(frozen=True, slots=True)
class EndpointEvent:
    """Something that is not a message.

    `kind` is ``connected``, ``disconnected``, ``refused`` (a second peer of a PAIR), ``denied`` (a peer that we refuse,
    or a server that refuses us), ``gap`` (`missed` publications never came) or ``restarted`` (a publisher began anew).
    `address` is the one it happened at, `reason` is for people.
    """

    kind: str
    address: str
    reason: str = ""
    missed: int = 0


Report = Callable[[str, str, str], None]  # kind, address, reason


class Monitor:
    """One socket's connections, told by libzmq.

    `report` is called on the hub with ``connected``, ``disconnected`` or ``refused``, `ended` with each address that we
    connect to whose connection is over; until libzmq says that it will try again that one is among `given_up`.
    `failed` is called where a handshake fails: the address, whether we connect to it, and libzmq's event and value;
    `shaking` where one begins: the address, the descriptor, and whether we connected.
    `descriptors` are the sockets that libzmq holds for this one, for a forked child to close; `connections` numbers
    those that are connections, for a descriptor that was closed is soon another one's. `gone` is set when libzmq has
    let go of the socket, which is after everything sent has left or the linger time is over.
    """

    def __init__(
        self,
        watched: Socket,
        report: Report,
        *,
        most: int | None = None,
        attached: Callable[[], bool] = lambda: True,
        ended: Callable[[str], object] = lambda address: None,
        failed: Callable[[str, bool, int, int], object] = lambda address, ours, event, value: None,
        shaking: Callable[[str, int, bool], object] = lambda address, descriptor, ours: None,
    ) -> None:
        self._attached = attached
        self._ended = ended
        self._failed = failed
        self._shaking = shaking
        self.given_up: set[str] = set()
        self.peers = 0
        self.at: Counter[str] = Counter()  # peers by address
        self.descriptors: dict[int, str] = {}
        self.connections: dict[int, int] = {}
        self._expected: dict[str, int] = {}  # how many connections we make to each address
        self.gone = Event()
        self._report = report
        self._most = most
        self._pending: list[int] = []  # accepted or connected, handshake under way
        self._refused: set[int] = set()
        self._accepted: set[int] = set()
        self._came: Counter[str] = Counter()  # connections that were accepted and are not over, by address
        self._failure = ""
        self._news: deque[tuple[int, int, str]] = deque()  # read, and not acted on
        address = f"inproc://zbus.monitor.{next(_serial)}"
        watched.monitor(address, _WANTED)
        self._events = open_socket(zmq.PAIR, watched.context)
        self._events.set(zmq.RCVHWM, 0)  # a full queue would hold up libzmq's own thread
        self._events.set(zmq.LINGER, 0)
        self._events.connect(address)
        self._events.readiness.listen(self.drain)

    @property
    def readiness(self) -> Any:
        """What to hold on to while waiting for an event."""
        return self._events.readiness

    def drain(self) -> None:
        """Read every event that is there. On the hub."""
        ended = self._read()
        while self._news and not self._events.closed:
            self._happened(*self._news.popleft())
        if ended:
            self.close()

    def _read(self) -> bool:
        """Take all there is to take before any of it is acted on. True: there will be no more, for the context ends."""
        while not self._events.closed:
            try:
                head, address = self._events.take()
            except zmq.Again:
                break
            except zmq.ZMQError:
                return True
            event, value = _head.unpack(head)
            self._news.append((event, value, address.decode(errors="replace")))
        return False

    def _happened(self, event: int, value: int, address: str) -> None:
        if event in (_CONNECTED, _ACCEPTED):
            if self._expected.get(address, 1) == 0:
                return  # we have left meanwhile, and the descriptor may be somebody else's by now
            self.given_up.discard(address)
            self.descriptors[value] = address
            self.connections[value] = next(_serial)
            self._pending.append(value)
            if event == _ACCEPTED:
                self._accepted.add(value)
                self._came[address] += 1
            if all(later != value or what not in (_CLOSED, _DISCONNECTED) for what, later, _ in self._news):
                self._shaking(address, value, event == _CONNECTED)  # else the descriptor may be anybody's by now
        elif event == _LISTENING:
            self.descriptors[value] = address
        elif event == _CLOSED:
            self.descriptors.pop(value, None)
            self.connections.pop(value, None)
        elif event == _READY:
            self._ready(address)
        elif event in _FAILED:
            self._failure = _FAILED[event]
            self._failed(address, bool(self._expected.get(address)), event, value)
        elif event == _DISCONNECTED:
            ours = self._expected.get(address) and self.descriptors.get(value) == address
            self._lost(value, address)
            if ours and not self.at[address]:
                self.given_up.add(address)
                self._ended(address)
        elif event == _RETRIED:
            if address in self._expected:
                self.given_up.discard(address)
            else:  # it was a name, and is a number now: of which of them, nobody says
                self.given_up.clear()
        elif event == _STOPPED:
            self.close()

    def _ready(self, address: str) -> None:
        if self._expected.get(address) and any(self.descriptors.get(one) == address for one in self._refused):
            return
        self._settle(address, coming=1)
        accepted = self._pending and self._pending[0] in self._accepted
        if self._most is not None and (self.peers >= self._most or (accepted and not self._attached())):
            self._refuse(address)
            return
        self._shook(address)
        if self.at[address] >= self._expected.get(address, self.at[address] + 1):
            return  # news of a connection that we have left meanwhile
        self.at[address] += 1
        self.peers += 1
        self._report("connected", address, "")

    def _shook(self, address: str) -> None:
        """One of those that shake hands at this address has done so. libzmq does not say which: one that has said
        enough, for strangers who say little may have come before it."""
        there = self._shaking_at(address) or self._pending[:1]
        if there:
            self._pending.remove(there[0] if len(there) == 1 else next(filter(has_greeted, there), there[0]))

    def _shaking_at(self, address: str) -> list[int]:
        return [one for one in self._pending if self.descriptors.get(one) == address]

    def _refuse(self, address: str) -> None:
        """libzmq keeps the connection of a PAIR's second peer and ignores it for ever; cut it, so that he sees it and
        comes back when there is room."""
        refused, self._pending = self._pending, []
        for descriptor in refused:
            self._refused.add(descriptor)
            cut(descriptor)
        reason = "and one is connected" if self.peers else "and the last one left something that is not read yet"
        self._report("refused", address, f"a PAIR has one peer, {reason}")

    def _lost(self, descriptor: int, address: str) -> None:
        self.descriptors.pop(descriptor, None)
        self.connections.pop(descriptor, None)
        failed, self._failure = self._failure, ""
        if descriptor in self._accepted:
            self._accepted.discard(descriptor)
            self._came[address] -= 1
        if descriptor in self._refused:
            self._refused.discard(descriptor)
            return
        if descriptor in self._pending:  # it never shook hands; of bytes that are no ZMTP libzmq says no more
            self._pending.remove(descriptor)
        elif failed:  # of two that shook hands at once the other was taken for ready
            self._shook(address)
        elif not (address.startswith("ipc://") and self._shaking_at(address)):  # there who it was is a guess
            self._gone(address, "the connection was closed")
        self._settle(address)

    def _settle(self, address: str, coming: int = 0) -> None:
        """There are no more peers than connections: where it was a guess who had gone, it was one of them."""
        if address not in self._expected and self.at[address] + coming > self._came[address]:
            self._gone(address, "the connection was closed")

    def _gone(self, address: str, reason: str) -> None:
        if self.at[address] > 0:
            self.at[address] -= 1
            self.peers -= 1
            self._report("disconnected", address, reason)

    def expect(self, address: str) -> None:
        """We are about to connect to this address."""
        self._expected[address] = self._expected.get(address, 0) + 1

    def forget(self, address: str) -> None:
        """We left this address: libzmq does not tell of that."""
        self.drain()
        self._expected[address] = 0
        self.given_up.discard(address)
        left = [descriptor for descriptor, where in self.descriptors.items() if where == address]
        for descriptor in left:
            del self.descriptors[descriptor]
            self.connections.pop(descriptor, None)
        self._pending = [descriptor for descriptor in self._pending if descriptor not in left]
        while self.at[address]:
            self._gone(address, "we left")

    def cut(self, descriptor: int) -> None:
        """Shut a connection, if it is one of these."""
        if descriptor in self.connections:
            cut(descriptor)

    def refuse(self, descriptor: int) -> None:
        """Shut a connection that we made and whose handshake is under way: it is never to count as one."""
        self._pending.remove(descriptor)
        self._refused.add(descriptor)
        cut(descriptor)

    def close(self) -> None:
        """Stop listening."""
        self.gone.set()
        self._events.close()
