"""libzmq's own proxy in an OS thread, with a context of its own: only that context's end frees it from a send that
waits, and in a context that is shared nobody could end it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import count
from typing import Any

import zmq
from gevent import get_hub
from gevent.event import Event
from gevent.monkey import get_original

from ..errors import Closed, TimeoutExpired
from .context import Context, open_socket
from .socket import Socket

_start: Callable[..., int] = get_original("_thread", "start_new_thread")
_lock: Callable[[], Any] = get_original("_thread", "allocate_lock")
_serial = count(1)
_number = struct.Struct("=Q")

#: Seconds to wait at most for a proxy to return, and for its context to end.
LONGEST = 10.0
#: Seconds that the proxy has to answer; it does not while it waits for room on its far side.
ANSWER = 0.25


class Proxy:
    """Moves messages between two sockets of `context`, which are the thread's from `start` to `end`.

    `broke` is called on the hub if it ends by itself.
    """

    def __init__(self, front: Socket, back: Socket, context: Context, broke: Callable[[BaseException], object]) -> None:
        if front.type == zmq.ROUTER:
            front.set(zmq.ROUTER_MANDATORY, 0)  # else the proxy ends at the first reply to a client that has gone
        self._context = context
        self._broke = broke
        self._error: BaseException | None = None
        self._ending = self._asking = self._owed = False
        self._end = _lock()
        self._end.acquire()
        address = f"inproc://zbus.proxy.{next(_serial)}"
        self._control, self._far = (open_socket(zmq.PAIR, context) for _ in range(2))
        for end in (self._control, self._far):
            end.set(zmq.LINGER, 0)
        self._control.bind(address)
        self._far.connect(address)
        self._sockets: list[Any] = [zmq.Socket.shadow(socket.underlying) for socket in (front, back, self._far)]
        self._returned, self._terminated = _Signal(self._ended), _Signal(lambda: None)

    def start(self) -> None:
        """Let the thread run, and one that will end it: when the interpreter exits no new one can be made."""
        _start(self._main, ())
        _start(self._terminate, ())

    def _main(self) -> None:
        front, back, control = self._sockets
        try:
            zmq.proxy_steerable(front, back, None, control)
        except zmq.ContextTerminated:
            pass
        except BaseException as error:
            self._error = error
        finally:
            self._returned.set()

    def _ended(self) -> None:
        if not self._ending:
            self._broke(self._error or RuntimeError("libzmq's proxy returned by itself"))

    def statistics(self) -> list[int] | None:
        """Of the front, then of the back: frames and bytes received, frames and bytes sent; None: no answer."""
        if self._ending or self._asking:  # whoever asks meanwhile would take another's answer
            return None
        self._asking = True
        try:
            if not self._owed:  # one question at a time: a proxy that waits for room would collect them
                self._control.send(b"STATISTICS", timeout=0)
                self._owed = True
            answer = self._control.receive(ANSWER)
            self._owed = False
            return [_number.unpack(frame)[0] for frame in answer]
        except (TimeoutExpired, Closed):
            return None
        finally:
            self._asking = False

    def end(self, wait: bool) -> None:
        """Have the proxy return, wherever it stands; without `wait` others do not go on meanwhile."""
        self._ending = True
        self._end.release()
        try:
            self._returned.wait(wait)
        finally:
            self._far.close(0)
            self._control.close(0)

    def over(self, wait: bool) -> None:
        """Both sockets are closed: wait until what they had sent has left, or their linger time is over."""
        self._terminated.wait(wait)

    def _terminate(self) -> None:
        self._end.acquire()
        self._context.term()
        self._terminated.set()


class _Signal:
    """Set in an OS thread, waited for in a greenlet, or in line where the loop does not turn any more."""

    def __init__(self, heard: Callable[[], object]) -> None:
        self._event = Event()
        self._heard = heard
        self._lock = _lock()
        self._lock.acquire()
        self._wake = get_hub().loop.async_(ref=False)
        self._wake.start(self._came)

    def set(self) -> None:
        """In any thread, once."""
        self._wake.send()
        self._lock.release()

    def _came(self) -> None:
        self._event.set()
        self._heard()

    def wait(self, green: bool) -> None:
        """Up to `LONGEST` seconds, once."""
        if green:
            self._wake.ref = True
            self._event.wait(LONGEST)
        else:
            self._lock.acquire(timeout=LONGEST)
        self._wake.stop()
        self._wake.close()
