"""Who waits on one socket, and what wakes them.

libzmq gives a socket one descriptor. It says *something happened*, not *there is a message*: it becomes readable when a
command reaches the socket's mailbox, and whichever call next empties the mailbox takes the signal away. So:

* A reader parks after ``EAGAIN`` from a receive and nothing else: libzmq has just emptied the mailbox, so whatever
  comes next signals. A sender's ``EAGAIN`` promises no such thing; he reads ``EVENTS`` once before he parks.
* Any other call on the socket may have taken the signal from those who are parked. It ends with `nudge`: one callback
  on the hub that reads ``EVENTS`` and hands out what it says, both bits of it, for the read took the signal too.
* Waiters are served in order. A waiter is switched to straight from the hub's callback, so nothing can come between
  being woken and trying again. One that does not take the message (it was killed) leaves it to the next: `settle`
  asks libzmq again after every wake-up until nobody can be served.

There is no safety timer. `missed_wakeups` counts waiters whose time ran out beside a message nobody had been told of.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

import zmq
from gevent import get_hub, getcurrent
from gevent.hub import Waiter

from ..errors import Closed, Denied, WrongThread
from .lateness import grace
from .turn import Burst, turn

_EVENTS, _IN, _OUT = int(zmq.EVENTS), int(zmq.POLLIN), int(zmq.POLLOUT)
_get = zmq.backend.Socket.get

_EXPIRED = object()

#: What is said in a forked child to those who use what its parent opened.
FORKED = "the socket was opened before the fork; open one in each process"


def _none() -> None: ...


class Readiness:
    """The waiting of one socket: a watcher on its descriptor, a queue of readers, a queue of writers."""

    __slots__ = (
        "__weakref__",
        "_socket",
        "_watcher",
        "backlog",
        "burst",
        "callback",
        "denied",
        "drained",
        "fd",
        "holds",
        "hub",
        "later",
        "left",
        "looked",
        "missed_wakeups",
        "nudged",
        "readers",
        "room",
        "turn",
        "writers",
    )

    def __init__(self, socket: Any, fd: int) -> None:
        self._socket: Callable[[], Any] = weakref.ref(socket)
        self.fd = fd
        self.turn = turn()
        self.hub = self.turn.hub
        self.burst = Burst(self.turn)
        self.left = 0  # messages that may be taken before `burst.look` is due
        self.readers: deque[Waiter] = deque()
        self.writers: deque[Waiter] = deque()
        self.backlog: Callable[[], object] = _none  # what was received, is not yet delivered, and readers may have
        self.callback: Callable[[], object] | None = None
        self.room: Callable[[], object] = _none
        self.drained = False  # a receive said EAGAIN, and no call since can have taken a signal
        self.missed_wakeups = 0
        self.denied = ""  # why no server will have us: nobody need wait
        self.nudged = False  # `settle` is due in this turn
        self.later = False  # and in the next one
        self.looked = 0.0  # when libzmq last signalled or was asked
        self.holds = 0  # greenlets that depend on this socket
        self._watcher = self.hub.loop.io(fd, 1, ref=False)

    # -- waiting -----------------------------------------------------------------------------------

    def wait_read(self, seconds: float | None, ahead: bool = False) -> bool:
        """Park until there may be something to receive; call after a receive said EAGAIN. False: time is over.

        One who was woken for nothing parks again `ahead` of the others, where he stood.
        """
        self.drained = True
        if self.writers:
            self.nudge()
        return self._park(self.readers, seconds, ahead)

    def wait_write(self, seconds: float | None, ahead: bool = False) -> bool:
        """Park until there may be room to send. False: time is over. `ahead` as in `wait_read`."""
        return self._park(self.writers, seconds, ahead)

    def call_once(self, reader: Any) -> None:
        """Have `reader.switch` called on the hub, once, when there may be something to receive; call after a receive
        said EAGAIN. It stands in line with those who wait, and keeps the loop alive, until then or until `forget`."""
        self.drained = True
        if self.writers:
            self.nudge()
        self.readers.append(reader)
        self.hold()

    def forget(self, reader: Any) -> None:
        """Undo `call_once`, unless it has come to that."""
        if reader in self.readers:
            self.readers.remove(reader)
            self.release()

    def writable(self) -> bool:
        """Is there room after all? Call after a send said EAGAIN, which does not mean that libzmq looked."""
        events = self.events()
        if events & _IN:
            self.nudge()
        return bool(events & _OUT)

    def _park(self, queue: deque[Waiter], seconds: float | None, ahead: bool, again: bool = False) -> bool:
        hub = self.hub
        if get_hub() is not hub:
            raise WrongThread("this socket was opened in another OS thread; open one in each thread that needs it")
        if getcurrent() is hub:
            raise RuntimeError("cannot wait on the hub; call this from a greenlet, or with timeout=0")
        if self.denied:
            raise Denied(self.denied)
        waiter = Waiter(hub)
        if ahead:
            queue.appendleft(waiter)
        else:
            queue.append(waiter)
        self.hold()
        timer, due = None, 0.0
        if seconds is not None:
            due = monotonic() + seconds
            timer = hub.loop.timer(seconds)
            timer.start(waiter.switch, _EXPIRED)
        woken = None
        try:
            woken = waiter.get()
        finally:
            if woken is not True and waiter in queue:
                queue.remove(waiter)
            if timer is not None:
                timer.stop()
                timer.close()
            self.release()
        if woken is not _EXPIRED:
            return True
        more = 0.0 if again else grace(monotonic() - due)
        return more > 0 and self._park(queue, more, True, again=True)

    # -- the watcher runs while somebody waits; it keeps the loop alive only for greenlets ------------

    def hold(self) -> None:
        """Watch, and keep the loop alive: a greenlet depends on this socket."""
        self.holds += 1
        if self.holds == 1 and self._watcher is not None:
            self._watcher.ref = True
            if self.callback is None:
                self._watcher.start(self._signalled)

    def release(self) -> None:
        """Undo one `hold`."""
        self.holds -= 1
        if self.holds == 0 and self._watcher is not None:
            if self.callback is None:
                self._watcher.stop()
            self._watcher.ref = False

    def listen(self, callback: Callable[[], object], room: Callable[[], object] = _none) -> None:
        """Call `callback` on the hub whenever there may be something to receive, for as long as the socket is open.

        It drains the socket, or calls `resume_next_turn` and returns. It does not keep the loop alive. `room` is called
        when there is room to send and the signal of it was taken; when it was not, `callback` hears of it.
        """
        self.callback, self.room = callback, room
        self._watcher.start(self._signalled)
        self.nudge()

    def resume_next_turn(self) -> None:
        """Come back to what was left once the loop has made a turn."""
        if not self.later:
            self.later = True
            self.turn.call(self.burst, self._resume)

    def _resume(self, _: None) -> None:
        self.later = False
        self.settle(due=True)

    # -- waking --------------------------------------------------------------------------------------

    def nudge(self) -> None:
        """A call on this socket may have taken the signal that somebody parked here waits for."""
        self.drained = False
        if not self.nudged and (self.readers or self.writers or self.callback is not None):
            self.nudged = True
            self.hub.loop.run_callback(self.settle)

    def events(self) -> int:
        """What libzmq says is possible now. Reading takes the signal: act on every bit."""
        socket = self._socket()
        if socket is None:
            return 0
        try:
            events = int(_get(socket, _EVENTS))
        except zmq.ZMQError:
            self.wake_all()
            return 0
        return events

    def _signalled(self) -> None:
        self.drained = False
        self.looked = monotonic()
        if not self.writers and not self.later:  # the common case: let the reader's own receive find out what it meant
            if self.callback is not None:
                self.callback()
                return
            if self.readers and not self.burst.over():
                self.readers.popleft().switch(True)
        self.settle()

    def settle(self, due: bool = False) -> None:
        """Ask libzmq what is possible and serve waiters until nothing more is. Runs on the hub.

        With `due` they were put off a turn already: they are served once, even if others have used this turn up again.
        """
        self.nudged = False
        while not self.later:
            backlog = self.readers and self.backlog()
            armed = self.drained or not (self.readers or self.callback is not None)
            if armed and not backlog and not self.writers:
                return
            if not due and self.burst.over():
                self.resume_next_turn()
                return
            due = False
            if backlog:
                self.readers.popleft().switch(True)
                continue
            events = self.events()
            self.looked = monotonic()
            served = False
            if not events & _IN:
                self.drained = True
            elif self.callback is not None:
                self.callback()
            elif self.readers:
                self.readers.popleft().switch(True)
                served = True
            if events & _OUT and self.writers:
                self.writers.popleft().switch(True)
                served = True
            elif events & _OUT:
                self.room()
            if not served:
                return

    def wake_all(self, error: BaseException | None = None) -> None:
        """Have everybody raise `error`, or find out for himself, by trying again, that the socket is closed."""
        for queue in (self.readers, self.writers):
            while queue:
                waiter = queue.popleft()
                self.hub.loop.run_callback(*((waiter.throw, error) if error else (waiter.switch, True)))

    def deny(self, reason: str) -> None:
        """No server will have us: who waits, or would, raises `Denied`. With no `reason` that is over."""
        if reason and not self.denied:
            self.wake_all(Denied(reason))
        self.denied = reason

    # -- the end -------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop watching, before the descriptor goes; wake whoever waits. Twice is fine."""
        self.callback, self.room = None, _none
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
        self.wake_all()

    def abandon(self) -> None:
        """In a forked child: close, and wake whoever waits without a try, for here libzmq must not be touched."""
        self._socket = _none
        self.wake_all(Closed(FORKED))
        self.close()
