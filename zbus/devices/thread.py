"""A device as libzmq's own proxy in an OS thread, with a context of its own so that it can always be stopped."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import gevent
import zmq
from gevent import get_hub
from gevent.event import Event
from gevent.monkey import get_original

from ..errors import Closed, TimeoutExpired, Unsupported
from ..green.context import Context, open_socket
from .kinds import IN, OUT
from .side import OpenSide
from .statistics import DeviceStatistics

log = logging.getLogger("zbus")

_start: Callable[..., int] = get_original("_thread", "start_new_thread")
_lock: Callable[[], Any] = get_original("_thread", "allocate_lock")
_serial = count(1)
_number = struct.Struct("=Q")

#: Seconds to wait at most for a proxy to return, and for its context to end.
LONGEST = 10.0
#: Seconds that the proxy has to answer; it does not while it waits for room on its far side.
ANSWER = 0.25


class Thread:
    """Runs the proxy between sides that were opened in `context`, and ends it.

    The sides' sockets are the thread's from `start` to `end`. `broke` is called on the hub if it ends by itself.
    """

    def __init__(self, sides: dict[str, OpenSide], context: Context, broke: Callable[[BaseException], object]) -> None:
        self._sides = sides
        self._context = context
        self._broke = broke
        self._last = DeviceStatistics()
        self._error: BaseException | None = None
        self._ending = False
        address = f"inproc://zbus.proxy.{next(_serial)}"
        self._control, self._far = (open_socket(zmq.PAIR, context) for _ in range(2))
        for end in (self._control, self._far):
            end.set(zmq.LINGER, 0)
        self._control.bind(address)
        self._far.connect(address)
        sockets = (sides["frontend"].socket, sides["backend"].socket, self._far)
        self._sockets: list[Any] = [zmq.Socket.shadow(socket.underlying) for socket in sockets]
        self._returned, self._terminated = _Signal(self._ended), _Signal(lambda: None)

    def start(self) -> None:
        """Let the thread run."""
        _start(self._main, ())

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

    def pause(self) -> None:
        """Not here: libzmq 4.3.5's proxy takes PAUSE for RESUME."""
        raise Unsupported(
            "a device in a thread cannot be paused: libzmq's proxy takes PAUSE for RESUME; use runs_in='greenlet'"
        )

    def finish(self, deadline: float | None) -> None:
        """Nothing: what the proxy has in hand crosses as soon as there is room."""

    def end(self, wait: bool) -> None:
        """Have the proxy return, wherever it stands: only the end of its context frees it from a send that waits."""
        self._ending = True
        _start(self._terminate, ())
        self._returned.wait(wait)
        self._far.close(0)
        self._control.close(0)

    def over(self, wait: bool) -> None:
        """The sides are closed: wait until what they had sent has left, or their linger time is over."""
        self._terminated.wait(wait)

    def _terminate(self) -> None:
        self._context.term()
        self._terminated.set()

    def statistics(self) -> DeviceStatistics:
        """What the proxy says; or what it said last, `stale`, while it waits for room or when it has ended."""
        if not self._ending and gevent.getcurrent() is not get_hub():
            try:
                while self._control.poll(0):  # an answer that came too late
                    self._control.recv_multipart()
                self._control.send(b"STATISTICS")
                numbers = [_number.unpack(frame)[0] for frame in self._control.receive(ANSWER)]
            except (TimeoutExpired, Closed):
                pass
            else:
                # of each side: messages and bytes received, messages and bytes sent
                front, back = numbers[:4], numbers[4:]
                ways = {IN: back[2:], OUT: front[2:]}
                counts: dict[str, Any] = {}
                for way, (messages, size) in ways.items():
                    counts[f"messages_{way}"], counts[f"bytes_{way}"] = messages, size
                self._last = DeviceStatistics(**counts, waiting=max(front[0] - back[2], 0))
                return self._last
        return replace(self._last, stale=True)


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
