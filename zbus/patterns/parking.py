"""Where the greenlets of calls wait, for room and for replies, and how each is told."""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import Any

from gevent import getcurrent
from gevent.hub import Waiter

from ..green.lateness import grace
from ..wire.request import Call

#: Seconds of a wait without a limit: a timer that never comes keeps the loop alive.
FOREVER = 1e9
#: Seconds of the shortest wait: a timer that begins anew has to have a length.
_SHORTEST = 1e-6
#: Idle timers kept for the next calls. A crowd mostly waits equally long, and a new timer costs three old ones.
KEPT = 1000


class Parking:
    """Where the calls of one requester wait. `queue` holds those that no server takes now, in order."""

    def __init__(self, hub: Any) -> None:
        self.hub = hub
        self.queue: deque[Waiter] = deque()
        self._idle: list[Any] = []  # timers, all of the same length
        self._length = 0.0

    def park(
        self,
        call: Call,
        seconds: float | None,
        due: object,
        waiter: Waiter | None = None,
        patient: bool = True,
    ) -> Any:
        """Park until `settle` tells the call an outcome, or `due` after `seconds`; if that comes late and a server has
        the call, one who is `patient` parks a little longer."""
        if call.outcome is not None:
            outcome, call.outcome = call.outcome, None
            return outcome
        hub = self.hub
        if getcurrent() is hub:
            raise RuntimeError("cannot wait for a reply on the hub; call this from a greenlet")
        if seconds is None:
            seconds = FOREVER
        elif seconds < _SHORTEST:
            seconds = _SHORTEST
        call.waiter = waiter = waiter or Waiter(hub)
        # started again one would go on with the time it had left when it was stopped: `again` begins anew
        timer = self._idle.pop() if self._idle and seconds == self._length else hub.loop.timer(seconds, seconds)
        timer.again(waiter.switch, due, update=True)  # the loop may have looked at the clock long ago
        began = monotonic()
        try:
            outcome = waiter.get()
        finally:
            call.waiter = None
            timer.stop()
            if seconds != self._length:
                self.close()
                self._length = seconds
            if len(self._idle) < KEPT:
                self._idle.append(timer)
            else:
                timer.close()
        if outcome is due and patient and call.server is not None:
            more = grace(monotonic() - began - seconds)
            if more:
                return self.park(call, more, due, patient=False)
        return outcome

    def park_for_room(self, call: Call, seconds: float | None, due: object) -> Any:
        """Park in the queue until `room` comes to this call."""
        waiter = Waiter(self.hub)
        self.queue.append(waiter)
        try:
            return self.park(call, seconds, due, waiter)
        finally:
            if waiter in self.queue:
                self.queue.remove(waiter)

    def room(self, outcome: object) -> None:
        """Something changed: tell the call that waits longest to try. If a server takes it, the next one is told."""
        if getcurrent() is not self.hub:
            self.room_later(outcome)
        elif self.queue:
            self.queue.popleft().switch(outcome)

    def room_later(self, outcome: object) -> None:
        """The same, within this turn of the loop."""
        self.hub.loop.run_callback(self.room, outcome)

    def settle(self, call: Call, outcome: Any) -> None:
        """Tell the greenlet of a call how it went: now if it waits, else as soon as it would."""
        if call.waiter is None:
            call.outcome = outcome
        elif getcurrent() is self.hub:
            call.waiter.switch(outcome)
        else:
            self.hub.loop.run_callback(call.waiter.switch, outcome)

    def close(self) -> None:
        """Drop the timers that are kept."""
        while self._idle:
            self._idle.pop().close()
