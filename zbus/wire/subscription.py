"""What one subscriber asked for, and whether a publication is it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

from .topic import Pattern, PatternTree, decode_topic

Topics = str | bytes | Iterable[str | bytes]

#: How many topics a subscriber keeps the verdict on; past it the cache starts anew.
CACHE = 4096


def each(topics: Topics) -> tuple[str | bytes, ...]:
    """One topic or several; `TypeError` for what is neither text nor bytes."""
    listed = (topics,) if isinstance(topics, str | bytes) else tuple(topics)
    for topic in listed:
        if not isinstance(topic, str | bytes):
            raise TypeError(f"a topic is a str (a pattern) or bytes (a prefix), not {type(topic).__qualname__}")
    return listed


T = TypeVar("T")


def _take(counted: Counter[T], one: T) -> None:
    counted[one] -= 1
    if not counted[one]:
        del counted[one]


class Subscriptions:
    """Patterns (str) and ZeroMQ prefixes (bytes). A topic subscribed to twice has to be given up twice."""

    def __init__(self, topics: Topics = ()) -> None:
        self._asked: Counter[str | bytes] = Counter()
        self._prefixes: Counter[bytes] = Counter()
        self._raw: tuple[bytes, ...] = ()  # those of them that are prefixes
        self._tree: PatternTree[bool] = PatternTree()
        self._known: dict[bytes, str | None] = {}
        for topic in each(topics):
            self.add(topic)

    def __bool__(self) -> bool:
        return bool(self._asked)

    @property
    def prefixes(self) -> Iterable[bytes]:
        """What to ask ZeroMQ for, each once: it would tell publishers of each time, but only of one end when the
        subscriber leaves."""
        return self._prefixes.keys()

    def times(self, prefix: bytes) -> int:
        """How many subscriptions have this prefix."""
        return self._prefixes[prefix]

    def add(self, topic: str | bytes) -> bytes:
        """Subscribe; the prefix to ask ZeroMQ for. `ValueError` for what is no pattern."""
        if isinstance(topic, bytes):
            prefix = topic
        else:
            pattern = Pattern(topic)
            prefix = pattern.prefix
            if topic not in self._asked:
                self._tree.add(pattern, True)
        self._asked[topic] += 1
        self._prefixes[prefix] += 1
        self._changed(topic)
        return prefix

    def remove(self, topic: str | bytes) -> bytes:
        """Undo one `add`; the prefix to take back. `ValueError` if there was none."""
        if topic not in self._asked:
            raise ValueError(f"not subscribed to {topic!r}")
        _take(self._asked, topic)
        if isinstance(topic, bytes):
            prefix = topic
        else:
            pattern = Pattern(topic)
            prefix = pattern.prefix
            if topic not in self._asked:
                self._tree.remove(pattern, True)
        _take(self._prefixes, prefix)
        self._changed(topic)
        return prefix

    def _changed(self, topic: str | bytes) -> None:
        self._known.clear()
        if isinstance(topic, bytes):
            self._raw = tuple(asked for asked in self._asked if isinstance(asked, bytes))

    def match(self, name: bytes) -> str | None:
        """The topic in a publication's first frame if it was asked for, None if not; `ProtocolError` if it is none."""
        try:
            return self._known[name]
        except KeyError:
            pass
        topic = decode_topic(name)
        if len(self._known) >= CACHE:
            self._known.clear()
        self._known[name] = topic if name.startswith(self._raw) or self._tree.match(topic) else None
        return self._known[name]
