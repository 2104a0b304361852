"""Whole messages over one socket: sent, received, waited for.

Every verb tries first and touches the hub only when libzmq says EAGAIN. A greenlet waits, yields or gives up only
before a message's first frame. Once libzmq has taken that, the other frames are handed over whatever it says: it drops
to the end of the message, and stopping short would make it swallow the next one. Where a peer goes away between two
frames the message is lost whole; it is sent again from its first frame, never its tail.

A ROUTER never waits for one peer: what a full or unknown peer cannot take is dropped and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, NoReturn, Protocol, TypeVar

import zmq
import zmq.green
from zmq.error import ZMQError as SocketError

from ..errors import Closed, TimeoutExpired
from .readiness import Readiness

NOBLOCK, SNDMORE = int(zmq.NOBLOCK), int(zmq.SNDMORE)

__all__ = ["NOBLOCK", "SNDMORE", "MessageSocket", "SocketError", "receive_frame", "send_frame", "source"]

#: pyzmq's own calls, for the tightest loops: no waiting, no fairness. Whoever uses them nudges.
receive_frame, send_frame = zmq.backend.Socket.recv, zmq.backend.Socket.send

_AGAIN, _UNREACHABLE, _GONE = zmq.EAGAIN, zmq.EHOSTUNREACH, (zmq.ENOTSOCK, zmq.ETERM)

#: What proves a missed wake-up: a message found though nobody has looked for so many seconds, or else it may have come
#: since, and so few seconds, at most, after a look that saw no signal of it.
_PROOF, _SUDDEN = 0.05, 0.0005

T = TypeVar("T")


class Names(Protocol):
    """Whose the names are that a ROUTER's peers chose; see `names`."""

    def mark(self, name: bytes, frame: Any) -> bytes:
        """The name that came in front of a message, `frame` being another part of it, as it is to be given back."""

    def owner(self, marked: bytes) -> bytes | None:
        """The name to send to; None: he has gone."""


def _is_told(ready: Readiness, waited: float) -> bool:
    """Is a wake-up on its way to one who `waited` in vain? Ask before his last try, which takes the signal."""
    on_its_way = ready.nudged or ready.later or waited < _PROOF or monotonic() - ready.looked < _PROOF
    return on_its_way or bool(zmq.zmq_poll([(ready.fd, zmq.POLLIN)], 0))


def _user(frame: Any) -> str:
    """The User-Id that ZAP gave the sender; empty where nobody asked, as over inproc."""
    try:
        return str(frame.get("User-Id"))
    except SocketError:
        return ""


def source(frame: Any) -> int:
    """The descriptor of the connection that a frame came over, which is libzmq's; -1: over inproc, or from one who has
    gone."""
    try:
        return int(frame.get(zmq.SRCFD))
    except SocketError:
        return -1


class MessageSocket(zmq.green.Socket):  # type: ignore[type-arg]  # at run time it takes none
    """A green socket that moves messages whole."""

    _ready: Readiness = None  # type: ignore[assignment]  # pyzmq refuses attributes that the class does not have
    _router = False
    named = False  #: its peers have proved who they are: `user` is whose message was taken last
    user = ""
    names: Names | None = None  #: of a ROUTER: whose the names are that its peers chose
    headed = False  #: every message has a first frame and more behind it; a ROUTER's has, and what a server answers
    lost = 0

    @property
    def readiness(self) -> Readiness:
        """The waiting of this socket."""
        return self._ready

    # -- receiving -----------------------------------------------------------------------------------

    def take(self) -> list[bytes]:
        """The next message if there is one, all its frames; `zmq.Again` if not.

        Asking whether more follows costs as much as three frames. A `headed` socket does not ask behind the first one:
        where a peer breaks that, the next message's frames come with it.
        """
        frames = []
        if self.headed:
            frames.append(receive_frame(self, NOBLOCK))
        try:
            frame = receive_frame(self, NOBLOCK, False)
        except SocketError:
            if frames:
                return frames
            raise
        frames.append(frame.bytes)
        while frame.more:
            frame = receive_frame(self, NOBLOCK, False)
            frames.append(frame.bytes)
        if self.named:
            self.user = _user(frame)
        if self.names is not None and frames[0][:1] != b"\0":
            frames[0] = self.names.mark(frames[0], frame)
        return frames

    def rest(self, frame: Any) -> list[bytes]:
        """The frames of the message whose first is `frame`."""
        frames = [frame.bytes]
        while frame.more:
            frame = receive_frame(self, NOBLOCK, False)
            frames.append(frame.bytes)
        if self.named:
            self.user = _user(frame)
        return frames

    def receive(self, timeout: float | None = None) -> list[bytes]:
        """The next message, all its frames, waiting up to `timeout` seconds for it; none if there is a backlog now."""
        ready = self._ready
        if ready.left <= 0:
            ready.left = ready.burst.look()
        ready.left -= 1
        try:
            frames = self.take()
        except SocketError as error:
            frames = self.wait(error, self._take_or_look, timeout)
        if ready.holds:
            ready.nudge()
        return frames

    def _take_or_look(self) -> list[bytes]:
        return [] if self._ready.backlog() else self.take()

    def wait(self, error: SocketError, attempt: Callable[[], T], timeout: float | None) -> T:
        """`attempt` said EAGAIN: wait and try until it does not; on expiry once more, for timers run before sockets."""
        ready = self._ready
        deadline = None if timeout is None else monotonic() + timeout
        ahead = False
        while True:
            if error.errno != _AGAIN:
                self._raise(error)
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left <= 0:
                raise TimeoutExpired(f"nothing to receive within {timeout} s") from None
            ahead = ready.wait_read(left, ahead)
            looked = monotonic()
            told = ahead or _is_told(ready, left or 0.0)
            try:
                result = attempt()
            except SocketError as again:
                error = again
            else:
                if not told and monotonic() - looked < _SUDDEN:
                    ready.missed_wakeups += 1
                return result

    def wait_for_frame(self, error: SocketError) -> Any:
        """A receive of one frame said EAGAIN: wait for the first frame of the next message, or None for a backlog."""
        return self.wait(error, lambda: None if self._ready.backlog() else receive_frame(self, NOBLOCK, False), None)

    # -- sending -------------------------------------------------------------------------------------

    def offer(self, frames: Sequence[Any]) -> bool:
        """Send a message whole if there is room for it now. False: there is none; a ROUTER has dropped it."""
        ready = self._ready
        if self.names is not None and frames[0][:1] != b"\0":
            owner = self.names.owner(frames[0])
            if owner is None:
                self.lost += 1
                return False
            frames = [owner, *frames[1:]]
        looked = False
        while True:
            try:
                if self._give(frames):
                    break
                self.lost += 1
                looked = False
                if self._router:
                    return False
            except SocketError as error:
                if error.errno == _AGAIN and not looked and ready.writable():
                    looked = True
                    continue
                if error.errno != _AGAIN and not (self._router and error.errno == _UNREACHABLE):
                    self._raise(error)
                if self._router:
                    self.lost += 1
                return False
        if ready.holds or ready.callback is not None:
            ready.drained = False
            if not ready.nudged:
                ready.nudge()
        return True

    def _give(self, frames: Sequence[Any]) -> bool:
        """Hand over every frame. Raises if the first is not taken; False if the peer went away between two."""
        left = len(frames) - 1
        send_frame(self, frames[0], NOBLOCK | SNDMORE if left else NOBLOCK)
        whole = True
        for frame in frames[1:]:
            left -= 1
            try:
                send_frame(self, frame, NOBLOCK | SNDMORE if left else NOBLOCK)
            except zmq.Again:
                whole = False
            except SocketError as error:
                self._raise(error)
        return whole

    def transmit(self, frames: Sequence[Any], timeout: float | None = None) -> bool:
        """Send a message whole, waiting up to `timeout` seconds for room. False: a ROUTER dropped it."""
        ready = self._ready
        if ready.left <= 0:
            ready.left = ready.burst.look()
        ready.left -= 1
        deadline = None if timeout is None else monotonic() + timeout
        queued = bool(ready.writers) and (timeout is None or timeout > 0)  # others were first
        ahead = False
        while queued or not self.offer(frames):
            if self._router:
                return False
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left <= 0 and not queued:
                raise TimeoutExpired(
                    f"no room to send within {timeout} s: every peer's queue is full, or there is no peer"
                )
            queued = False
            ahead = ready.wait_write(left, ahead)
        return True

    def _raise(self, error: SocketError) -> NoReturn:
        if error.errno in _GONE:
            raise Closed("the socket is closed") from None
        raise error
