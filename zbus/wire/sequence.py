"""Numbered publications: what a subscriber missed, when a publisher restarted, and what was said last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

#: How many publishers of one topic a subscriber tells apart.
MAX_PUBLISHERS = 64
#: How many topics a publisher keeps the last value of, and a subscriber the number.
MAX_TOPICS = 65_536


class Numbering:
    """A publisher's numbers: each topic counts from 1 under an id that is new at each start."""

    def __init__(self, publisher: bytes) -> None:
        self.publisher = publisher
        self._last: dict[bytes, int] = {}

    def next(self, topic: bytes, count: int = 1) -> tuple[bytes, int]:
        """The ``sequence`` header of the next frame under `topic`; it numbers the first of its `count` values."""
        last = self._last.get(topic, 0)
        self._last[topic] = last + count
        return self.publisher, last + 1


@dataclass(frozen=True, slots=True)
class Seen:
    """What one numbered publication tells: is it new, how many were missed before it, did its publisher restart."""

    fresh: bool
    missed: int = 0
    restarted: bool = False


_NEXT = Seen(fresh=True)
_KNOWN = Seen(fresh=False)


class Tracker:
    """A subscriber's account of the numbers it saw, by topic and publisher."""

    def __init__(self) -> None:
        self._topics: OrderedDict[str, OrderedDict[bytes, int]] = OrderedDict()

    def observe(
        self, topic: str, publisher: bytes, number: int, *, count: int = 1, peers: Callable[[], int] = lambda: 1
    ) -> Seen:
        """A frame of `count` values came in, the first of them `number`. `peers` tells how many publishers are
        connected; it is asked when one speaks that was not heard before.

        The first of a publisher is never a gap: who joins late has missed nothing that he asked for. A publisher not
        heard before, where as many others are known as there are peers, is one of those started again; its `missed`
        is what it published before we heard it.
        """
        known = self._topics.get(topic)
        if known is None:
            if len(self._topics) >= MAX_TOPICS:
                self._topics.popitem(last=False)
            known = self._topics[topic] = OrderedDict()
        last = known.get(publisher)
        if last is None:
            restarted = bool(known) and len(known) >= peers()
            known[publisher] = number + count - 1
            if len(known) > MAX_PUBLISHERS:
                known.popitem(last=False)
            return Seen(fresh=True, missed=number - 1, restarted=True) if restarted else _NEXT
        if len(known) > 1:
            known.move_to_end(publisher)  # past the bound the one heard longest ago goes, not one that still speaks
        if number <= last:
            return _KNOWN
        known[publisher] = number + count - 1
        if number == last + 1:
            return _NEXT
        return Seen(fresh=True, missed=number - last - 1)

    def forget_unless(self, wanted: Callable[[str], bool]) -> None:
        """Start anew for the topics that are no longer `wanted`: what passes meanwhile is not missed."""
        for topic in [topic for topic in self._topics if not wanted(topic)]:
            del self._topics[topic]


class LastValues:
    """What was published last under each topic: body, headers and number, for those who come late."""

    def __init__(self, *, topics: int = MAX_TOPICS) -> None:
        self._topics = topics
        self._values: OrderedDict[bytes, tuple[bytes, bytes]] = OrderedDict()
        self._wanted: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._values)

    def keep(self, topic: bytes, body: bytes, headers: bytes) -> None:
        """Remember a publication in place of its topic's last; past the bound the topic silent longest goes."""
        self._values[topic] = (body, headers)
        self._values.move_to_end(topic)
        if len(self._values) > self._topics:
            forgotten, _ = self._values.popitem(last=False)
            self._wanted.pop(forgotten, None)

    def want(self, prefix: bytes) -> None:
        """Somebody subscribed to `prefix`: each value under it is due once, however many ask before it is sent."""
        if prefix in self._values:
            self._wanted[prefix] = None
        self._wanted.update((topic, None) for topic in self._values if topic.startswith(prefix))

    def due(self, count: int) -> list[tuple[bytes, bytes, bytes]]:
        """Up to `count` values that are wanted: topic, body, headers; they are wanted no more."""
        topics = list(self._wanted)[:count]
        for topic in topics:
            del self._wanted[topic]
        return [(topic, *self._values[topic]) for topic in topics]

    @property
    def waiting(self) -> int:
        """How many values are wanted and not yet handed out."""
        return len(self._wanted)
