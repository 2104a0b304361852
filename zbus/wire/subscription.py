"""What one subscriber asked for, and whether a publication is it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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


class Subscriptions:
    """Patterns (str) and ZeroMQ prefixes (bytes). A topic subscribed to twice has to be given up twice."""

    def __init__(self, topics: Topics = ()) -> None:
        self._asked: list[tuple[str | bytes, bytes]] = []
        self._tree: PatternTree[bool] = PatternTree()
        self._known: dict[bytes, str | None] = {}
        for topic in each(topics):
            self.add(topic)

    def __bool__(self) -> bool:
        return bool(self._asked)

    @property
    def prefixes(self) -> Iterator[bytes]:
        """What to ask ZeroMQ for, once for each subscription."""
        return (prefix for _, prefix in self._asked)

    def times(self, prefix: bytes) -> int:
        """How many subscriptions have this prefix. ZeroMQ is asked for it once: it would tell publishers of each, but
        only of one end when the subscriber leaves."""
        return sum(asked == prefix for asked in self.prefixes)

    def add(self, topic: str | bytes) -> bytes:
        """Subscribe; the prefix to ask ZeroMQ for. `ValueError` for what is no pattern."""
        if isinstance(topic, bytes):
            prefix = topic
        else:
            pattern = Pattern(topic)
            self._tree.add(pattern, True)
            prefix = pattern.prefix
        self._asked.append((topic, prefix))
        self._known.clear()
        return prefix

    def remove(self, topic: str | bytes) -> bytes:
        """Undo one `add`; the prefix to take back. `ValueError` if there was none."""
        found = next((pair for pair in self._asked if pair[0] == topic and type(pair[0]) is type(topic)), None)
        if found is None:
            raise ValueError(f"not subscribed to {topic!r}")
        self._asked.remove(found)
        if isinstance(topic, str):
            self._tree.remove(Pattern(topic), True)
        self._known.clear()
        return found[1]

    def match(self, name: bytes) -> str | None:
        """The topic in a publication's first frame if it was asked for, None if not; `ProtocolError` if it is none."""
        try:
            return self._known[name]
        except KeyError:
            pass
        topic = decode_topic(name)
        by_prefix = any(isinstance(asked, bytes) and name.startswith(asked) for asked, _ in self._asked)
        if len(self._known) >= CACHE:
            self._known.clear()
        self._known[name] = topic if by_prefix or self._tree.match(topic) else None
        return self._known[name]
