"""Server-sent events as bytes, and the queue of one client (WHATWG HTML, 9.2)."""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Iterator
from typing import Any

from gevent.event import Event

from ..wire.subscription import Subscriptions

#: Said first: a client that loses the connection waits this long, in milliseconds, before it comes back.
HELLO = b"retry: 1000\n\n"
#: Said after a silence, so that a client that has gone is noticed.
KEEP_ALIVE = b": keep-alive\n\n"

_one_line = {ord("\r"): " ", ord("\n"): " "}


def event(kind: str, body: Any, number: str = "") -> bytes:
    """One event: its type, its data as JSON, its id. What JSON has no word for is text: bytes in base64."""
    data = json.dumps(body, default=_text, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    start = f"id: {number}\n" if number else ""
    return f"{start}event: {kind.translate(_one_line)}\ndata: {data}\n\n".encode("utf-8", "replace")


def _text(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes | bytearray) else str(value)


class Client:
    """What waits for one client: at most `limit` events; past it the oldest are dropped, and the client is told."""

    def __init__(self, topics: Subscriptions, limit: int) -> None:
        self._topics = topics
        self.dropped = 0
        self._untold = 0
        self._waiting: deque[bytes] = deque()
        self._limit = limit
        self._changed = Event()
        self._open = True

    def wants(self, topic: bytes) -> bool:
        """Did it ask for this topic?"""
        return self._topics.match(topic) is not None

    def put(self, chunk: bytes) -> None:
        """One more event; it does not wait."""
        if len(self._waiting) >= self._limit:
            self._waiting.popleft()
            self._untold += 1
            self.dropped += 1
        self._waiting.append(chunk)
        self._changed.set()

    def close(self) -> None:
        """No more events; what waits is still sent."""
        self._open = False
        self._changed.set()

    def chunks(self, keepalive: float) -> Iterator[bytes]:
        """Everything that comes, in as few pieces as there is time for."""
        yield HELLO
        while True:
            if self._waiting:
                chunks = list(self._waiting)
                self._waiting.clear()
                if self._untold:
                    chunks.insert(0, event("dropped", self._untold))
                    self._untold = 0
                yield b"".join(chunks)
            elif not self._open:
                return
            else:
                self._changed.clear()
                if not self._changed.wait(keepalive):
                    yield KEEP_ALIVE
