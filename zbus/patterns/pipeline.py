"""PUSH and PULL: work handed round robin to whoever takes it (RFC 30)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..green.options import PULL, PUSH, Options, Timeout
from ..wire.batch import Batch, OpenBatch
from .batching import batcher
from .endpoint import Addresses
from .statistics import Statistics
from .stream import Receives, Sends

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Push(Sends):
    """Hands messages to connected pulls in turn; each goes to one of them.

    `send` waits when every pull's queue (``high_water_mark``) is full, and when there is no pull at all: nothing is
    dropped here. A connecting push keeps its queue over a reconnect; what a *bound* one has queued for a pull that
    goes away is lost with it. With `batch` many messages travel in one frame, up to `Batch.seconds` later.
    """

    _kind = PUSH

    def __init__(
        self,
        *,
        bind: Addresses = (),
        connect: Addresses = (),
        batch: Batch | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(bind=bind, connect=connect, **options)
        self._batcher = batcher(batch, self)

    def flush(self, timeout: Timeout = None) -> None:
        """Send the open batch now; `TimeoutExpired` if no pull had room within `timeout` seconds (it stays open)."""
        self._use()
        if self._batcher is not None:
            self._batcher.flush(timeout)

    def _emit(self, batch: OpenBatch, timeout: Timeout) -> None:
        frames = [batch.body()]
        if batch.headers is not None:
            frames.append(batch.headers)
        self._port.socket.transmit(frames, timeout)

    def _shut(self, wait: bool) -> None:
        if self._batcher is not None:
            self._batcher.close(self._options["linger"] if wait else 0)
        super()._shut(wait)

    def statistics(self) -> Statistics:
        """Counts and gauges, frozen; see `Statistics`. `waiting` is what the open batch holds."""
        waiting = len(self._batcher) if self._batcher is not None else 0
        return Statistics(sent=self._sent, waiting=waiting, **self._gauges())


class Pull(Receives):
    """Takes messages from connected pushes, fairly among them.

    Up to ``high_water_mark`` messages a push wait here unread; beyond that the push waits. Messages that were taken or
    queued are gone with this process. One frame may hold many messages (`Batch`); they arrive as single ones.
    """

    _kind = PULL
    _lingers = False
