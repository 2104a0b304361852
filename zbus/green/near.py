"""A socket's connections over inproc, of which libzmq tells nothing and which do not come back by themselves."""

from __future__ import annotations

from collections.abc import Callable

import zmq

from . import inproc
from .socket import Socket

#: Seconds before a PAIR's first attempt to connect anew over inproc, doubling up to the longest between two.
_RETURN, _LONGEST_RETURN = 0.002, 0.1


class Near:
    """The part of a port that is a party to inproc connections."""

    socket: Socket
    connected: list[str]
    _most: int | None
    _deaf: bool
    _near: int
    _returning: set[str]

    @property
    def peers(self) -> int:
        """How many peers are connected now."""
        raise AttributeError

    def attend(self) -> int:
        """Have libzmq carry out what is due on the socket; what is possible then."""
        raise AttributeError

    def _heard(self, kind: str, address: str, reason: str) -> None:
        """Something happened to a connection."""

    def _quietly(self, verb: Callable[[str], object], address: str) -> None:
        """Call a verb that may find nothing to undo."""

    def admit(self, address: str) -> bool:
        """A peer came over inproc."""
        if not self.has_room():
            self._later("refused", address, "a PAIR has one peer, and one is connected")
            return False
        self._near += 1
        self._later("connected", address, "")
        return True

    def leave(self, address: str) -> None:
        """A peer over inproc has gone."""
        self._near -= 1
        self._later("disconnected", address, "the peer was closed")

    def reconnect(self, address: str, closing: bool = False) -> bool:
        """The bound side of an inproc name went: wait for the next. What one `closing` sent stays to be read.

        False: not yet; it will report itself to `inproc` as connected.
        """
        ready = self.socket.readiness
        if ready.callback is not None:
            ready.hub.loop.run_callback(self._reconnect_drained, address)
            return False
        if self._most is not None:
            self._return(address)
            return False
        if not closing or self._deaf:
            self._quietly(self.socket.disconnect, address)
        self.socket.connect(address)  # beside the old pipe, which ends by itself once it is read
        return True

    def _reconnect_drained(self, address: str) -> None:
        """On the hub: read all there is, then drop the old pipe, so that nothing more is sent into it."""
        callback = self.socket.readiness.callback
        if callback is not None and address in self.connected:
            callback()
            self._quietly(self.socket.disconnect, address)
            self.socket.connect(address)
            inproc.connected(address, self)

    def _join(self, address: str) -> bool:
        """Tell `inproc` of a connection, unless libzmq has not made it: a PAIR takes no second pipe while the one to
        a peer that went is not read and gone, on either side."""
        if self._most is not None and not inproc.is_full(address):
            inproc.attend(address)
            if not self.attend() & zmq.POLLOUT:
                return False
        inproc.connected(address, self)
        return True

    def has_room(self) -> bool:
        """May one more peer come?"""
        return self._most is None or self.peers < self._most

    def _return(self, address: str, pause: float = _RETURN) -> None:
        """Connect a PAIR anew over inproc, in a while."""
        self._returning.add(address)
        timer = self.socket.readiness.hub.loop.timer(pause, ref=False)
        timer.start(self._try_return, address, min(2 * pause, _LONGEST_RETURN))

    def _try_return(self, address: str, pause: float) -> None:
        if address not in self._returning or self.socket.closed:
            return
        self._returning.discard(address)
        ready = self.socket.readiness
        ready.nudge()
        if not ready.events() & zmq.POLLIN:
            self._quietly(self.socket.disconnect, address)
            self.socket.connect(address)
            if self._join(address):
                return
        self._return(address, pause)

    def _later(self, kind: str, address: str, reason: str) -> None:
        self.socket.readiness.hub.loop.run_callback(self._heard, kind, address, reason)
