"""What is granted of the subscriptions at a publisher that has rules.

libzmq (``XPUB_MANUAL``) hands over each subscription before it does anything about it, and what is granted then is for
the peer whose subscription was read last. Two things it leaves to us:

* Of a peer who has gone it says what he had asked for, not who he was, and others may have asked for the same and been
  granted more, or nothing. So each is kept with its connection, and he whose connection is over has gone.
* A message that is no subscription, which any peer may send this way, puts libzmq 4.3.5 out of step: what is granted
  next would go to a peer further back in its queue (tried: he hears what is another's). Until the queue has been empty
  once nothing is granted. Who sent it is cut off, and so are those behind him, who come back and ask again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..errors import ProtocolError
from ..green.authentication import Security
from ..green.options import MANUAL, SUBSCRIBE, UNSUBSCRIBE
from ..green.port import Port

_BEGIN, _END = b"\1", b"\0"
_UNLIKE = 2


class _Asked(NamedTuple):
    """One subscription: the descriptor it came over (-1: inproc), which of its connections that was (0: one that was
    over already), and what was granted of it (None: nothing)."""

    descriptor: int
    connection: int
    granted: bytes | None


class Grants:
    """The subscriptions at the XPUB of one `port`. `deny` is told of those that the rules do not grant, `refuse` of
    what is no subscription."""

    def __init__(
        self,
        port: Port,
        rules: Security,
        deny: Callable[[str, str, str], object],
        refuse: Callable[[ProtocolError], object],
    ) -> None:
        self._socket, self._monitor = port.socket, port.monitor
        self._rules = rules
        self._deny, self._refuse = deny, refuse
        self._asked: dict[bytes, list[_Asked]] = {}
        self._out_of_step = False
        self._socket.set(MANUAL, 1)

    def drained(self) -> None:
        """libzmq's queue is empty."""
        self._out_of_step = False

    def change(self, frame: bytes, descriptor: int) -> bytes | None:
        """What the subscription, or the end of one, that was read last comes to; None: nothing."""
        self._monitor.drain()
        kind, prefix = frame[:1], frame[1:]
        if kind not in (_BEGIN, _END):
            self._out_of_step = True
            self._refuse(ProtocolError("a subscriber sent a message, and was cut off"))
        if self._out_of_step and descriptor >= 0:
            self._monitor.cut(descriptor)
        if kind == _BEGIN:
            return self._begin(descriptor, prefix)
        return self._end(descriptor, prefix) if kind == _END else None

    def _begin(self, descriptor: int, prefix: bytes) -> bytes | None:
        connection = self._monitor.connections.get(descriptor, 0)
        asked = self._asked.setdefault(prefix, [])
        if connection and any(one.connection == connection for one in asked):
            return None  # again: libzmq tells of one end for both
        granted = None if self._out_of_step else self._rules.grant(self._socket.user, prefix)
        asked.append(_Asked(descriptor, connection, granted))
        if granted is not None:
            self._socket.set(SUBSCRIBE, granted)
        elif not self._out_of_step:
            self._deny(self._socket.user, "subscribe", prefix.decode(errors="replace"))
        return granted

    def _end(self, descriptor: int, prefix: bytes) -> bytes | None:
        asked = self._asked.get(prefix, [])
        ended = min(asked, key=lambda one: self._rank(one, descriptor), default=None)
        if ended is None or self._rank(ended, descriptor) >= _UNLIKE:
            return None
        asked.remove(ended)
        if not asked:
            del self._asked[prefix]
        if ended.granted is not None and not self._out_of_step and not self._is_granted_twice(ended):
            self._socket.set(UNSUBSCRIBE, ended.granted)  # of one who has gone libzmq knows, and does nothing
        return ended.granted

    def _rank(self, one: _Asked, descriptor: int) -> int:
        """How unlike it is that this one ended, as was said over `descriptor` (-1: by who has gone, or over inproc)."""
        if descriptor >= 0:
            return 0 if one.descriptor == descriptor else _UNLIKE
        if one.descriptor < 0:
            return 1
        return _UNLIKE if self._monitor.connections.get(one.descriptor) == one.connection else 0

    def _is_granted_twice(self, ended: _Asked) -> bool:
        """Does the same connection have the same by another subscription? ``a`` and ``a.`` may both come to ``a.``"""
        granted = ended.granted
        assert granted is not None
        others = (*self._asked.get(granted, ()), *self._asked.get(granted[:-1], ()))
        return any(one == ended for one in others)
