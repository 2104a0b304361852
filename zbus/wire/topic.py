"""Topics, patterns, and which patterns match a topic.

A topic is words joined by dots. In a pattern the word ``*`` (or a name, ``<region>``) stands for one word and ``#``
for any number of them, none included: AMQP's rules. ZeroMQ itself only knows byte prefixes, so a subscriber asks it
for the literal start of each pattern and matches the rest here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Generic, TypeVar

from ..errors import ProtocolError

#: The longest topic, in bytes of UTF-8.
MAX_TOPIC_BYTES = 255

V = TypeVar("V")


def encode_topic(topic: str) -> bytes:
    """The bytes of a topic to publish under; `TypeError` or `ValueError` if it cannot be one."""
    if not isinstance(topic, str):
        raise TypeError(f"a topic is a str, not {type(topic).__qualname__}")
    return _encoded(topic)


@lru_cache(maxsize=4096)
def _encoded(topic: str) -> bytes:
    if not topic:
        raise ValueError("the topic is empty; name what the message is about, such as 'orders.eu'")
    if any(_is_wild(word) for word in topic.split(".")):
        raise ValueError(f"{topic!r} has a wildcard; publish names one topic, only subscribers use patterns")
    data = topic.encode()
    if len(data) > MAX_TOPIC_BYTES or b"\0" in data:
        raise ValueError(f"a topic has at most {MAX_TOPIC_BYTES} bytes and no NUL; this one has {len(data)} bytes")
    return data


def decode_topic(data: bytes) -> str:
    """The topic of a frame that came in; `ProtocolError` if it is none."""
    if len(data) > MAX_TOPIC_BYTES:
        raise ProtocolError(f"a topic of {len(data)} bytes; {MAX_TOPIC_BYTES} is the limit")
    if b"\0" in data:
        raise ProtocolError("a topic with a NUL byte")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ProtocolError(f"a topic that is not UTF-8, of {len(data)} bytes") from None


def _is_wild(word: str) -> bool:
    return word in ("*", "#") or _is_named(word)


def _is_named(word: str) -> bool:
    return len(word) > 2 and word[0] == "<" and word[-1] == ">"


class Pattern:
    """A topic pattern, taken apart once.

    `prefix` is what to ask ZeroMQ for: the literal start, without the dot before a ``#``. `names` are the named
    words in order. Raises `TypeError` or `ValueError` for what is no pattern.
    """

    __slots__ = ("_named", "names", "prefix", "text", "words")

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"a pattern is a str, not {type(text).__qualname__}")
        if not text:
            raise ValueError("the pattern is empty; '#' matches every topic")
        if len(text.encode()) > MAX_TOPIC_BYTES or "\0" in text:
            raise ValueError(f"a pattern has at most {MAX_TOPIC_BYTES} bytes and no NUL")
        self.text = text
        words = text.split(".")  # of several '#' in a row one is enough
        written = [word for word, before in zip(words, ["", *words], strict=False) if word != "#" or before != "#"]
        self._named = tuple(word[1:-1] if _is_named(word) else "" for word in written)
        self.names = tuple(filter(None, self._named))
        for name in self.names:
            if not name.isidentifier() or self.names.count(name) > 1:
                raise ValueError(f"<{name}> in {text!r} has to be a Python name, used once: it becomes an argument")
        self.words = tuple("*" if name else word for name, word in zip(self._named, written, strict=True))
        self.prefix = self._literal_start().encode()

    def words_in(self, topic: str) -> dict[str, str]:
        """The word that each name stands for in a topic that matches; every ``#`` takes as few words as it can."""
        if not self.names:
            return {}
        found: dict[str, str] = {}
        words = topic.split(".")
        here = at = 0  # in the pattern and in the topic
        many, tried = -1, 0  # the last '#', and where its words end for now
        while at < len(words):
            wanted = self.words[here] if here < len(self.words) else None
            if wanted == "#":
                many, tried = here, at
                here += 1
            elif wanted is not None and wanted in ("*", words[at]):
                if self._named[here]:
                    found[self._named[here]] = words[at]
                here += 1
                at += 1
            elif many >= 0:
                tried += 1
                here, at = many + 1, tried
            else:
                break
        return found

    def _literal_start(self) -> str:
        for index, word in enumerate(self.words):
            if word == "#":
                return ".".join(self.words[:index])
            if word == "*":
                return "".join(f"{literal}." for literal in self.words[:index])
        return self.text

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"


class _Node(Generic[V]):
    __slots__ = ("children", "rest", "values")

    def __init__(self, rest: bool = False) -> None:
        self.children: dict[str, _Node[V]] = {}
        self.values: list[V] = []
        self.rest = rest  # a '#': stays active whatever word comes


class PatternTree(Generic[V]):
    """Patterns and what is registered under each; all that match a topic are found in one walk over its words.

    The walk follows every branch at once, so its cost is bounded by words times active branches however many ``#``
    a pattern has.
    """

    def __init__(self) -> None:
        self._root: _Node[V] = _Node()

    def add(self, pattern: Pattern, value: V) -> None:
        """Register `value` under `pattern`; the same pair may stand more than once."""
        node = self._root
        for word in pattern.words:
            child = node.children.get(word)
            if child is None:
                child = node.children[word] = _Node(rest=word == "#")
            node = child
        node.values.append(value)

    def remove(self, pattern: Pattern, value: V) -> None:
        """Take one registration back; `KeyError` if there is none."""
        path = [self._root]
        for word in pattern.words:
            path.append(path[-1].children[word])
        if value not in path[-1].values:
            raise KeyError(pattern.text)
        path[-1].values.remove(value)
        for parent, child, word in reversed(list(zip(path, path[1:], pattern.words, strict=False))):
            if child.children or child.values:
                break
            del parent.children[word]

    def match(self, topic: str) -> list[V]:
        """Everything registered under a pattern that `topic` matches."""
        active = _closure([self._root])
        for word in topic.split("."):
            following: list[_Node[V]] = []
            for node in active:
                if node.rest:
                    following.append(node)
                child = node.children.get(word)
                if child is not None and word not in ("*", "#"):
                    following.append(child)
                child = node.children.get("*")
                if child is not None:
                    following.append(child)
            active = _closure(following)
            if not active:
                return []
        return [value for node in active for value in node.values]


def _closure(nodes: list[_Node[V]]) -> list[_Node[V]]:
    """These nodes and every '#' that can follow them with no word between, each once."""
    found = dict.fromkeys(nodes)
    waiting = list(found)
    for node in waiting:
        child = node.children.get("#")
        if child is not None and child not in found:
            found[child] = None
            waiting.append(child)
    return waiting
