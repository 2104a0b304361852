"""How the greenlet of a call waits, and how it is told."""

from __future__ import annotations

from typing import Any

from gevent import get_hub, getcurrent
from gevent.hub import Waiter

from ..green.readiness import Readiness
from ..wire.request import Call


def park(call: Call, seconds: float | None, *, holder: Readiness, due: object, waiter: Waiter | None = None) -> Any:
    """Park until `settle` tells the call an outcome, or `due` after `seconds`. Without a limit `holder` is held, for
    then nothing else keeps the loop alive."""
    if call.outcome is not None:
        return call.outcome
    hub = get_hub()
    if getcurrent() is hub:
        raise RuntimeError("cannot wait for a reply on the hub; call this from a greenlet")
    call.waiter = waiter = waiter or Waiter(hub)
    timer = None
    if seconds is None:
        holder.hold()
    else:
        timer = hub.loop.timer(seconds)
        timer.start(waiter.switch, due, update=True)  # the loop may have looked at the clock long ago
    try:
        return waiter.get()
    finally:
        call.waiter = None
        if timer is None:
            holder.release()
        else:
            timer.stop()
            timer.close()


def settle(call: Call, outcome: Any) -> None:
    """Tell the greenlet of a call how it went: now if it waits, else as soon as it would."""
    if call.waiter is None:
        call.outcome = outcome
    elif getcurrent() is get_hub():
        call.waiter.switch(outcome)
    else:
        get_hub().loop.run_callback(call.waiter.switch, outcome)
