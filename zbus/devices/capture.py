"""What crosses a device, shown to a callback that can hold up nobody."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

import gevent

from ..wire.message import Message

log = logging.getLogger("zbus")

#: Messages that wait for the callback; of more the newest are dropped, and counted.
WAITING = 1000


class Capture:
    """Calls `callback` with a `Message` for each message: topic ``in`` or ``out``, its frames as the body.

    The callback runs in a greenlet of its own, which lives while there is something to tell.
    """

    def __init__(self, callback: Callable[[Message], object], who: str) -> None:
        self._callback = callback
        self._who = who
        self._waiting: deque[Message] = deque()
        self._running: gevent.Greenlet | None = None
        self.dropped = 0
        self.failed = 0

    def take(self, way: str, frames: list[bytes]) -> None:
        """One message crossed."""
        if len(self._waiting) >= WAITING:
            self.dropped += 1
            return
        self._waiting.append(Message(frames, topic=way))
        if self._running is None:
            self._running = gevent.spawn(self._tell)

    def _tell(self) -> None:
        try:
            while self._waiting:
                try:
                    self._callback(self._waiting.popleft())
                except Exception:
                    self.failed += 1
                    if self.failed == 1:
                        log.exception("capture of %s raised; further times are counted, not logged", self._who)
        finally:
            self._running = None

    def finish(self, timeout: float | None) -> None:
        """Let the callback see what waits, for up to `timeout` seconds."""
        if self._running is not None and self._running is not gevent.getcurrent():
            self._running.join(timeout)

    def close(self) -> None:
        """Tell no more."""
        self._waiting.clear()
        if self._running is not None and self._running is not gevent.getcurrent():
            self._running.kill(block=False)
