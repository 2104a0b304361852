"""A server's memory of recent calls: a repeat gets the first one's reply, the handler does not run twice."""

from __future__ import annotations

from collections import OrderedDict

Envelope = list[bytes]

#: How many repeats may wait for a call that runs; of more, the oldest go without a reply.
MAX_JOINED = 16
Reply = list[bytes]


class _Remembered:
    __slots__ = ("reply", "since", "size", "waiting")

    def __init__(self, since: float) -> None:
        self.since = since
        self.reply: Reply | None = None
        self.size = 0
        self.waiting: list[Envelope] = []


class Memory:
    """Calls that may be repeated, by caller and key: at most `calls`, for `seconds`, in `size` bytes of replies.

    What still runs is never forgotten. Past a bound the oldest reply goes first.
    """

    def __init__(self, *, calls: int = 10_000, seconds: float = 120.0, size: int = 64 * 2**20) -> None:
        self._calls, self._seconds, self._size = calls, seconds, size
        self._running: dict[tuple[str, bytes], _Remembered] = {}
        self._done: OrderedDict[tuple[str, bytes], _Remembered] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._running) + len(self._done)

    def begin(self, user: str, key: bytes, envelope: Envelope, now: float) -> Reply | bool:
        """A call has come: its reply if it was answered before, True if it runs already (the reply will go to this
        envelope too), False if it is new and now counts as running."""
        self._forget(now)
        done = self._done.get((user, key))
        if done is not None and done.reply is not None:
            return done.reply
        running = self._running.get((user, key))
        if running is not None:
            running.waiting.append(envelope)
            del running.waiting[:-MAX_JOINED]
            return True
        self._running[user, key] = _Remembered(now)
        return False

    def finish(self, user: str, key: bytes, reply: Reply, now: float) -> list[Envelope]:
        """The call is answered: remember the reply; the envelopes that joined meanwhile want it too."""
        entry = self._running.pop((user, key))
        waiting, entry.waiting = entry.waiting, []
        entry.reply, entry.since = reply, now
        entry.size = sum(map(len, reply))
        self._done[user, key] = entry
        self._bytes += entry.size
        self._forget(now)
        return waiting

    def drop(self, user: str, key: bytes) -> list[Envelope]:
        """The call ended without a reply worth keeping; the envelopes that joined it."""
        return self._running.pop((user, key)).waiting

    def _forget(self, now: float) -> None:
        done = self._done
        while done:
            key, oldest = next(iter(done.items()))
            fits = len(done) <= self._calls and self._bytes <= self._size
            if fits and now - oldest.since < self._seconds:
                break
            del done[key]
            self._bytes -= oldest.size
