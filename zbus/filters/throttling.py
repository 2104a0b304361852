"""One message an interval: the first of it, the last of it, or the last before a silence."""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Any

from .filter import Arrival, Timed


class Throttle(Timed):
    """The first of each interval."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._seen: OrderedDict[Hashable, tuple[int, int]] = OrderedDict()  # when one passed last, the newest time

    def _decide(self, arrival: Arrival) -> Iterable[Arrival]:
        read = self._read(arrival[0])
        if read is None:
            return ()
        now, key = read
        passed, newest = self._seen.get(key) or (now - self._interval, now)
        verdict = now >= newest and now - passed >= self._interval
        if verdict:
            self.passed += 1
            passed = now
        elif now < newest:
            self.late += 1
        else:
            self.dropped += 1
        self._remember(self._seen, key, (passed, max(now, newest)))
        return (arrival,) if verdict else ()


class Holding(Timed):
    """Filters that hold the newest message of each key back until a later one shows that its time has come."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._kept: OrderedDict[Hashable, tuple[int, int, Arrival | None]] = OrderedDict()  # begin, newest, if held

    @abstractmethod
    def _is_over(self, begin: int, newest: int, now: int) -> bool:
        """Does what comes `now` let the newest before it through?"""

    def _begins(self, begin: int, now: int) -> int:
        """When the stretch of time begins that one which comes `now` belongs to."""
        return now

    def _decide(self, arrival: Arrival) -> Iterable[Arrival]:
        read = self._read(arrival[0])
        if read is None:
            return ()
        now, key = read
        before = self._kept.get(key)
        passed: list[Arrival] = []
        begin = now
        if before is not None:
            begin, newest, held = before
            if now < newest:
                self.late += 1
                self._kept.move_to_end(key)
                return ()
            over = self._is_over(begin, newest, now)
            if over:
                begin = self._begins(begin, now)
            if held is not None and over:
                passed.append(held)
            elif held is not None:
                self.dropped += 1
        forgotten = self._remember(self._kept, key, (begin, now, arrival))
        if forgotten is not None and forgotten[2] is not None:
            passed.append(forgotten[2])
        self.passed += len(passed)
        return passed

    def _held(self) -> list[Arrival]:
        held = [arrival for _, _, arrival in self._kept.values() if arrival is not None]
        for key, (begin, newest, _) in self._kept.items():
            self._kept[key] = begin, newest, None
        self.passed += len(held)
        return held


class Sample(Holding):
    """The last of each interval, counted from a key's first message."""

    def _is_over(self, begin: int, newest: int, now: int) -> bool:
        return now - begin >= self._interval

    def _begins(self, begin: int, now: int) -> int:
        return now - (now - begin) % self._interval


class Debounce(Holding):
    """The last one before a silence of the interval."""

    def _is_over(self, begin: int, newest: int, now: int) -> bool:
        return now - newest >= self._interval
