"""The green socket: a `zmq.green` socket, every verb of it, with the waiting replaced.

`messages` moves whole messages, which is what zbus itself uses; here are pyzmq's own verbs, frame by frame if need be,
for programs that bring their own. `readiness` says how greenlets wait, `turn` how they leave room for others.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from time import monotonic
from typing import Any, NoReturn

import zmq

from ..errors import TimeoutExpired, Unsupported
from .messages import NOBLOCK, SNDMORE, MessageSocket, SocketError, receive_frame, send_frame
from .readiness import Readiness

_RCVMORE = int(zmq.RCVMORE)
_get = zmq.backend.Socket.get

#: Where a socket stands between two frames that it is given one by one.
_WHOLE, _INSIDE, _LOST = 0, 1, 2


def _noticed(verb: Callable[..., Any]) -> Callable[..., Any]:
    """pyzmq's verb; whoever is parked is told, for it may have taken his signal."""

    @wraps(verb)
    def call(self: Socket, addr: str | bytes) -> Any:
        try:
            return verb(self, addr)
        except SocketError as error:
            self._raise(error)
        finally:
            self._ready.nudge()

    return call


class Socket(MessageSocket):
    """A ZeroMQ socket that waits as a greenlet does: alone.

    The verbs are pyzmq's, with one more keyword: ``timeout`` in seconds (None for ever, 0 or less tries once), after
    which `TimeoutExpired` is raised. Any number of greenlets may use it, each message whole. A closed socket raises
    `Closed`, also to those who were waiting. In another OS thread than the one it was made in waiting raises
    `WrongThread`.
    """

    _sending = _WHOLE
    _pid = 0

    def __init__(self, *args: Any, **keywords: Any) -> None:
        # zmq.green's own __init__ would start a watcher that never stops
        zmq.Socket.__init__(self, *args, **keywords)
        self._pid = os.getpid()
        self._router = self.headed = self.type == zmq.ROUTER
        self._ready = Readiness(self, int(_get(self, zmq.FD)))
        if self._router:
            self.set(zmq.ROUTER_MANDATORY, 1)

    def _wait_read(self) -> None:
        self._ready.wait_read(None)

    def _wait_write(self) -> None:
        if not self._ready.writable():
            self._ready.wait_write(None)

    # -- pyzmq's verbs -------------------------------------------------------------------------------

    def recv(
        self,
        flags: int = 0,
        copy: bool = True,
        track: bool = False,
        *,
        timeout: float | None = None,
    ) -> Any:
        """One frame, as pyzmq; waits only for the first of a message."""
        ready = self._ready
        if ready.left <= 0 and not flags & NOBLOCK and not self.get(_RCVMORE):
            ready.left = ready.burst.look()
        ready.left -= 1
        flags = int(flags)
        try:
            return receive_frame(self, flags | NOBLOCK, copy, track)
        except SocketError as error:
            if flags & NOBLOCK and error.errno == zmq.EAGAIN:
                raise
            return self.wait(error, lambda: receive_frame(self, flags | NOBLOCK, copy, track), timeout)
        finally:
            ready.nudge()

    def recv_multipart(
        self,
        flags: int = 0,
        copy: bool = True,
        track: bool = False,
        *,
        timeout: float | None = None,
    ) -> Any:
        """All frames of one message."""
        frames = [self.recv(flags, copy=copy, track=track, timeout=timeout)]
        while self.get(_RCVMORE):
            frames.append(receive_frame(self, NOBLOCK, copy, track))
        return frames

    def recv_into(self, buffer: Any, /, *, nbytes: int = 0, flags: int = 0, timeout: float | None = None) -> Any:
        """One frame into a buffer that is there already; the number of bytes."""

        def attempt() -> Any:
            return zmq.backend.Socket.recv_into(self, buffer, nbytes=nbytes, flags=int(flags) | NOBLOCK)

        try:
            return attempt()
        except SocketError as error:
            if flags & NOBLOCK and error.errno == zmq.EAGAIN:
                raise
            return self.wait(error, attempt, timeout)
        finally:
            self._ready.nudge()

    def send(  # type: ignore[override]  # one signature for pyzmq's overloads, and a timeout
        self,
        data: Any,
        flags: int = 0,
        copy: bool = True,
        track: bool = False,
        *,
        timeout: float | None = None,
        **draft: Any,
    ) -> Any:
        """One frame, as pyzmq; waits only for the first of a message.

        If the peer goes away inside a message the rest of it is swallowed and the last frame raises `zmq.Again`: the
        message is lost whole, and the next one is not touched.
        """
        if draft and any(value is not None for value in draft.values()):
            raise Unsupported(f"{', '.join(draft)}: draft sockets are beyond zbus")
        more = int(flags) & SNDMORE
        if not copy or track:
            data = data if isinstance(data, zmq.Frame) else zmq.Frame(data, track=track, copy=copy or None)
        try:
            if self._sending == _WHOLE:
                began = self._begin(data, more, bool(flags & NOBLOCK), timeout)
                self._sending = (_INSIDE if began else _LOST) if more else _WHOLE
            else:
                self._continue(data, more)
        finally:
            self._ready.nudge()
        return data.tracker if isinstance(data, zmq.Frame) else None

    def _begin(self, data: Any, more: int, once: bool, timeout: float | None) -> bool:
        """Send a first frame. False: a ROUTER dropped it."""
        ready = self._ready
        if not once and ready.left <= 0:
            ready.left = ready.burst.look()
        ready.left -= 1
        deadline = None if timeout is None else monotonic() + timeout
        ahead = False
        if ready.writers and not once and (timeout is None or timeout > 0):  # others were first
            ahead = ready.wait_write(timeout)
        looked = False
        while True:
            try:
                send_frame(self, data, NOBLOCK | more)
                return True
            except SocketError as error:
                if once or error.errno != zmq.EAGAIN:
                    if self._router and not once and error.errno == zmq.EHOSTUNREACH:
                        break
                    self._raise(error)
            if self._router:
                if looked or not ready.writable():
                    break
                looked = True
                continue
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left <= 0:
                raise TimeoutExpired(
                    f"no room to send within {timeout} s: every peer's queue is full, or there is no peer"
                )
            if not ready.writable():
                ahead = ready.wait_write(left, ahead)
        self.lost += 1
        return False

    def _continue(self, data: Any, more: int) -> None:
        dropped = self._router and self._sending == _LOST  # it took no first frame, so it must see no other
        try:
            if not dropped:
                send_frame(self, data, NOBLOCK | more)
        except zmq.Again:
            self._sending = _LOST
        except SocketError as error:
            self._raise(error)
        if not more:
            lost, self._sending = self._sending == _LOST, _WHOLE
            if lost and not dropped:
                self.lost += 1
                raise zmq.Again

    def send_multipart(
        self,
        msg_parts: Any,
        flags: int = 0,
        copy: bool = True,
        track: bool = False,
        *,
        timeout: float | None = None,
        **draft: Any,
    ) -> Any:
        """A message whole. If its peer goes away midway it is sent again, whole, to the next."""
        if draft:
            raise Unsupported(f"{', '.join(draft)}: draft sockets are beyond zbus")
        frames = list(msg_parts)
        for frame in frames:  # before the first is handed over: a TypeError after it would leave half a message
            if not isinstance(frame, bytes | zmq.Frame):
                memoryview(frame)
        if not copy or track:
            frames = [f if isinstance(f, zmq.Frame) else zmq.Frame(f, track=track, copy=copy or None) for f in frames]
        if flags & SNDMORE:
            for frame in frames:
                self.send(frame, flags, timeout=timeout)
        elif flags & NOBLOCK:
            try:
                self.transmit(frames, 0)
            except TimeoutExpired:
                raise zmq.Again from None
        else:
            self.transmit(frames, timeout)
        return frames[-1].tracker if isinstance(frames[-1], zmq.Frame) else None

    def poll(self, timeout: float | None = None, flags: int = zmq.POLLIN) -> int:
        """What of `flags` is possible, waiting up to `timeout` milliseconds, as pyzmq's own."""
        deadline = None if timeout is None or timeout < 0 else monotonic() + timeout / 1000
        while True:
            found = self.get(zmq.EVENTS) & flags
            left = None if deadline is None else deadline - monotonic()
            if found or (left is not None and left <= 0):
                return int(found)
            if flags & zmq.POLLIN:
                self._ready.wait_read(left)
            else:
                self._ready.wait_write(left)

    def send_pyobj(self, *args: Any, **keywords: Any) -> NoReturn:
        """Never: unpickling runs code that the sender chose."""
        raise Unsupported("pickle is not spoken here: it lets a sender run code; send msgpack")

    recv_pyobj = send_pyobj

    # -- calls that may take the signal ----------------------------------------------------------------

    def get(self, option: int) -> Any:
        """A socket option. Reading EVENTS takes the signal, so those who are parked are told."""
        try:
            value = _get(self, option)
        except SocketError as error:
            self._raise(error)
        if option == zmq.EVENTS:
            self._ready.nudge()
        return value

    getsockopt = get

    def set(self, option: int, optval: Any) -> None:
        """As pyzmq."""
        try:
            super().set(option, optval)
        except SocketError as error:
            self._raise(error)

    setsockopt = set

    bind = _noticed(zmq.Socket.bind)
    connect = _noticed(zmq.Socket.connect)
    unbind = _noticed(zmq.Socket.unbind)
    disconnect = _noticed(zmq.Socket.disconnect)

    # -- the end -------------------------------------------------------------------------------------

    def close(self, linger: int | None = None) -> None:
        """Stop watching, wake every waiter with `Closed`, and close. Twice is fine. `linger` is in milliseconds."""
        ready = getattr(self, "_ready", None)
        if ready is not None:
            ready.close()
        zmq.Socket.close(self, linger)

    def __del__(self) -> None:
        if self._pid == os.getpid():
            zmq.Socket.__del__(self)
