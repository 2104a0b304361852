"""A thread that sees when a callback holds up the loop, and says which.

While one callback computes, or waits in a way that gevent knows nothing of, nothing else runs: no reply is read, no
deadline kept. Peers do not see it: libzmq's own thread goes on answering their heartbeats. So a thread looks five times
a second whether the loop has turned, and if it has not for a while, at what runs. That costs the loop nothing.
gevent's own monitor thread needs to be told of every switch of greenlets, and knows of no callbacks.

Of code that keeps the interpreter's lock to itself for all that time (a regular expression, say) it tells afterwards.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from time import monotonic
from types import FrameType
from typing import Any

from gevent.monkey import get_original

log = logging.getLogger("zbus")

_start: Callable[..., int] = get_original("_thread", "start_new_thread")
_lock: Callable[[], Any] = get_original("_thread", "allocate_lock")
_sleep: Callable[[float], None] = get_original("time", "sleep")

#: Seconds between two looks.
PERIOD = 0.2
#: Seconds for which the loop stands still before it is said.
BLOCKED = 0.8


class Watched:
    """The loop of one OS thread, and for how long it has stood still."""

    def __init__(self, loop: Any, now: float) -> None:
        self._loop = loop
        self._iteration = -1
        self._looked = self._since = now
        self._culprit = ""

    def look(self, frame: FrameType | None, now: float) -> None:
        """`frame` is what its thread runs now."""
        iteration = self._loop.iteration
        callback = None if frame is None else callback_of(frame)
        stopped = now - self._looked > 2 * BLOCKED  # the whole process was, and its loop did not hold it up
        self._looked = now
        if iteration != self._iteration or callback is None or stopped:
            if self._culprit:
                log.warning("%s held up the loop for %.1f s", self._culprit, now - self._since)
            self._iteration, self._since, self._culprit = iteration, now, ""
        elif now - self._since >= BLOCKED and not self._culprit:
            assert frame is not None
            self._culprit = f"{_module(callback)}.{_name(callback)}"
            log.warning(
                "%s has held up the loop for %.1f s, and is at %s:%d: nothing else runs in this thread meanwhile. "
                "Let it wait with gevent, or give its work to gevent.get_hub().threadpool",
                self._culprit,
                now - self._since,
                frame.f_code.co_filename,
                frame.f_lineno,
            )


def callback_of(frame: FrameType) -> FrameType | None:
    """Of a stack whose innermost frame this is: the function that zbus has called and that runs; None: none."""
    outer = frame.f_back
    while outer is not None:
        if _is_ours(outer) and not _is_ours(frame):
            return frame
        frame, outer = outer, outer.f_back
    return None


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "?"))


def _is_ours(frame: FrameType) -> bool:
    return _module(frame).startswith("zbus.")


def _name(frame: FrameType) -> str:
    return str(getattr(frame.f_code, "co_qualname", frame.f_code.co_name))  # from Python 3.11 on


class Watch:
    """The thread, which runs while `wanted` says so."""

    def __init__(self) -> None:
        self._changing = _lock()
        self._running = False
        self._loops: dict[int, Watched] = {}

    def begin(self, ident: int, loop: Any, wanted: Callable[[], object]) -> None:
        """Watch the loop of the OS thread `ident`, too. Twice is fine."""
        with self._changing:
            if ident not in self._loops:
                self._loops[ident] = Watched(loop, monotonic())
            if not self._running:
                try:
                    _start(self._main, (wanted,))
                except RuntimeError:  # the interpreter exits, and nothing is begun any more
                    return
                self._running = True

    def _main(self, wanted: Callable[[], object]) -> None:
        while True:
            _sleep(PERIOD)
            with self._changing:
                if not wanted():
                    self._running = False
                    self._loops.clear()
                    return
                self._look(sys._current_frames(), monotonic())

    def _look(self, frames: dict[int, FrameType], now: float) -> None:
        for ident, watched in list(self._loops.items()):
            try:
                watched.look(frames.get(ident), now)
            except ValueError:  # its loop is destroyed: the thread has ended
                del self._loops[ident]


watch = Watch()
os.register_at_fork(after_in_child=watch.__init__)  # type: ignore[misc]  # the thread did not come along
