"""What one parse may cost: processor time, and memory in proportion to what came in."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from time import thread_time
from typing import Any

#: Seconds of this thread's own processor time, whatever else the machine does.
SECONDS = 0.05
#: The peak, in bytes: so much, or so many times the input.
FLOOR, TIMES = 20 * 2**20, 20
#: How often a parse that took too long is measured again: the shortest time counts.
AGAIN = 6

Refusals = tuple[type[Exception], ...]


@dataclass(frozen=True)
class Cost:
    """Of one parse, and the bytes that it was given."""

    size: int
    seconds: float
    peak: int

    @property
    def dear(self) -> str:
        """What is too much; empty: nothing."""
        words = []
        if self.seconds >= SECONDS:
            words.append(f"{self.seconds * 1000:.1f} ms")
        if self.peak >= max(FLOOR, TIMES * self.size):
            words.append(f"{self.peak / 2**20:.1f} MiB")
        return f"{' and '.join(words)} for {self.size} bytes" if words else ""


def cost(parse: Callable[[], Any], size: int, *, limit: float = SECONDS, refuses: Refusals = (Exception,)) -> Cost:
    """Of a parse of `size` bytes, which may raise what it `refuses` by. Under `limit` seconds one measure is enough."""
    seconds = _seconds(parse, refuses)
    for _ in range(AGAIN):
        if seconds < limit:
            break
        seconds = min(seconds, _seconds(parse, refuses))
    tracemalloc.start()
    try:
        _result(parse, refuses)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return Cost(size, seconds, peak)


def _seconds(parse: Callable[[], Any], refuses: Refusals) -> float:
    collects = gc.isenabled()
    gc.disable()  # what it costs depends on all that the process holds
    try:
        began = thread_time()
        result = _result(parse, refuses)
        taken = thread_time() - began
        del result
        return taken
    finally:
        if collects:
            gc.enable()


def _result(parse: Callable[[], Any], refuses: Refusals) -> Any:
    try:
        return parse()
    except refuses:
        return None
