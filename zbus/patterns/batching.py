"""When open batches go out: a batch that is full at once, the others by one timer, all of them at close."""

from __future__ import annotations

import logging
from time import monotonic
from typing import Any, Protocol

import gevent
from gevent import get_hub
from gevent.lock import BoundedSemaphore

from ..errors import Closed, TimeoutExpired
from ..green.options import Timeout
from ..wire.batch import Batch, Batches, OpenBatch

log = logging.getLogger("zbus")


class Emitter(Protocol):
    """An endpoint that batches."""

    _options: dict[str, Any]

    def _emit(self, batch: OpenBatch, timeout: Timeout) -> None:
        """Send one batch as one message, waiting up to `timeout` seconds for room."""


def batcher(batch: Batch | None, endpoint: Emitter) -> Batcher | None:
    """A batcher, if the endpoint asked for one; `ValueError` for a codec whose values do not end by themselves."""
    if batch is None:
        return None
    if not isinstance(batch, Batch):
        raise TypeError(f"batch is a Batch, such as Batch(messages=100), not {type(batch).__qualname__}")
    if endpoint._options["codec"] != "msgpack":
        raise ValueError("a batch needs codec='msgpack': of other codecs one cannot tell where a value ends")
    return Batcher(batch, endpoint)


class Batcher:
    """The batches of one endpoint and the timer that closes them.

    What `add` takes will be sent. While a closed batch finds no room, `add` waits before it takes more: backpressure
    reaches the sender.
    """

    def __init__(self, batch: Batch, endpoint: Emitter) -> None:
        self._endpoint = endpoint
        self._seconds = batch.seconds
        self.batches = Batches(batch, max_bytes=endpoint._options["max_message_bytes"])
        self._sending = BoundedSemaphore(1)
        self._timer: Any = None
        self._closing = False

    def __len__(self) -> int:
        return len(self.batches)

    def add(self, value: bytes, headers: bytes | None, topic: bytes, timeout: Timeout) -> None:
        """Put a value in its batch; `TimeoutExpired` if one before it found no room: the value was not taken."""
        batches = self.batches
        if batches.closed:
            self._send(timeout)
            if self._closing:
                raise Closed(f"{self._endpoint!r} is closed")
        if batches.add(value, headers, topic):
            if not self._try_send():
                gevent.spawn(self._send_when_possible)
        elif self._timer is None:
            self._start_timer()

    def flush(self, timeout: Timeout) -> None:
        """Send everything that is open."""
        self.batches.close_all()
        self._send(timeout)

    def _send(self, timeout: Timeout) -> None:
        deadline = None if timeout is None else monotonic() + timeout
        if not self._sending.acquire(timeout=None if timeout is None else max(timeout, 0.0)):
            raise TimeoutExpired(f"no room for a batch within {timeout} s")
        try:
            for batch in self.batches.drain():
                self._endpoint._emit(batch, None if deadline is None else deadline - monotonic())
        except Closed:
            raise
        except BaseException:  # out of time, or killed: what was taken has to go out all the same
            self._start_timer()
            raise
        finally:
            self._sending.release()

    def _try_send(self) -> bool:
        """Send what is closed as far as there is room now."""
        if self._sending.locked():
            return True  # somebody is at it, and will come to these
        try:
            self._send(0)
        except TimeoutExpired:
            return False
        return True

    def _due(self) -> None:
        """The timer: on the hub, so it cannot wait; a greenlet does if there is no room."""
        self._stop_timer()
        self.batches.close_all()
        try:
            if not self._try_send():
                gevent.spawn(self._send_when_possible)
        except Closed:
            return

    def _send_when_possible(self) -> None:
        try:
            self._send(None)
        except Closed:
            return

    def _start_timer(self) -> None:
        if self._timer is None and not self._closing:
            self._timer = get_hub().loop.timer(self._seconds)
            self._timer.start(self._due)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None

    def close(self, timeout: Timeout) -> None:
        """Hand what is open to libzmq, whose linger it then has; what finds no room in time is lost, and said."""
        self._closing = True
        self._stop_timer()
        try:
            self.flush(timeout)
        except (TimeoutExpired, Closed):
            log.warning(
                "%r closed with %d batched messages that no peer had room for; they are lost",
                self._endpoint,
                len(self),
            )
