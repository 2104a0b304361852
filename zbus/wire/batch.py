"""Many values in one frame: fewer frames, fewer calls, the same messages at the other end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Batch:
    """When a batch is sent: at `messages` values, `seconds` after its first one, or when `max_message_bytes` is near.

    Order is kept within a topic, not across topics. `flush()` and `close()` send what is open.
    """

    messages: int = 512
    seconds: float = 0.001

    def __post_init__(self) -> None:
        if not isinstance(self.messages, int) or self.messages < 1:
            raise ValueError(f"messages is a whole number of 1 or more, not {self.messages!r}")
        if not self.seconds > 0:
            raise ValueError(f"seconds is above 0, not {self.seconds!r}")


class OpenBatch:
    """Values that wait to go out together, all under one topic with one set of headers.

    While `left` is above 0 and `room` not below a value's size, it may simply be appended to `values`, and both counted
    down: that does not close the batch.
    """

    __slots__ = ("headers", "left", "room", "topic", "values")

    def __init__(self, topic: bytes, headers: bytes | None, *, left: int, room: int) -> None:
        self.topic = topic
        self.headers = headers
        self.values: list[bytes] = []
        self.left = left
        self.room = room

    def body(self) -> bytes:
        """The values one after the other: the body of one frame."""
        return b"".join(self.values)


class Batches:
    """The open batches of one endpoint, one a topic, in the order of their first values.

    `plain` is the one for values with neither topic nor headers: senders append to it themselves, which is the common
    case. Where none is open it is `NONE`, which has no room.
    """

    NONE = OpenBatch(b"", None, left=0, room=0)

    def __init__(self, batch: Batch, *, max_bytes: int) -> None:
        self._messages, self._max_bytes = batch.messages, max_bytes
        self._open: dict[bytes, OpenBatch] = {}
        self.closed: list[OpenBatch] = []
        self.plain = self.NONE

    def __bool__(self) -> bool:
        return bool(self._open or self.closed)

    def __len__(self) -> int:
        return sum(len(batch.values) for batch in (*self._open.values(), *self.closed))

    def add(self, value: bytes, headers: bytes | None = None, topic: bytes = b"") -> bool:
        """Put a value in its topic's batch; True when `closed` now has something to send at once."""
        batch = self._open.get(topic)
        size = len(value)
        if batch is not None and (batch.room < size or batch.headers != headers):
            self._close(batch)
            batch = None
        if batch is None:
            batch = self._begin(topic, headers)
        batch.values.append(value)
        batch.room -= size
        batch.left -= 1
        if batch.left < 0:
            self._close(batch)
        return bool(self.closed)

    def _begin(self, topic: bytes, headers: bytes | None) -> OpenBatch:
        batch = self._open[topic] = OpenBatch(topic, headers, left=self._messages - 1, room=self._max_bytes)
        if not topic and headers is None:
            self.plain = batch
        return batch

    def _close(self, batch: OpenBatch) -> None:
        self.closed.append(self._open.pop(batch.topic))
        if batch is self.plain:
            self.plain = self.NONE

    def close_all(self) -> None:
        """Close every open batch, in the order of their first values."""
        self.closed.extend(self._open.values())
        self._open.clear()
        self.plain = self.NONE

    def drain(self) -> Iterator[OpenBatch]:
        """Hand out the closed batches; each leaves the list once the caller comes back for the next."""
        while self.closed:
            yield self.closed[0]
            del self.closed[0]
