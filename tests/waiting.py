"""Waiting for what no event tells of."""

from __future__ import annotations

from collections.abc import Callable

import gevent

#: Seconds that nothing here takes, however slow the machine: a bound on a failure, not a measure.
LONG = 5.0


def until(holds: Callable[[], object], seconds: float = LONG) -> None:
    """Let the loop turn until `holds()`; fail if it does not within `seconds`.

    Not by `gevent.idle`, whose turn never comes while others are busy.
    """
    with gevent.Timeout(seconds, AssertionError(f"it did not come to hold within {seconds} s")):
        while not holds():
            gevent.sleep(0.001)
