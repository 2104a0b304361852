"""What every filter is: it wraps an iterable or a callback, decides on each message, and counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import wraps
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .times import microseconds

if TYPE_CHECKING:
    from ..wire.message import Message

#: The most keys that a filter remembers; past it the one that was silent longest is forgotten.
MAX_KEYS = 65_536

#: What a callable of the user's raises over a message that lacks what it looks for.
MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)

#: A message on its way, and the named words that it came with.
Arrival = tuple["Message", Mapping[str, Any]]
Reader = Callable[["Message"], Any]
S = TypeVar("S")


class Filter(ABC):
    """What every filter is: call it with an iterable of messages or with a callback, and read its counts.

    An iterable gives an iterator over the messages that pass. A callback gives a callback (it may be used as a
    decorator) that runs for the messages that pass, and returns what it returned for the last of them. Each message is
    counted once.
    """

    def __init__(self, key: str | Callable[[Message], Hashable] | None) -> None:
        self.passed = 0  #: let through
        self.dropped = 0  #: left out, as the filter is there to do
        self.late = 0  #: left out: older than one that came before it
        self.malformed = 0  #: left out: its time or key is missing, or is none
        self._key = _reader(key, "key")
        self._callback: Callable[..., Any] | None = None

    @overload
    def __call__(self, wrapped: Callable[..., Any]) -> Callable[..., Any]: ...
    @overload
    def __call__(self, wrapped: Iterable[Message]) -> Iterator[Message]: ...
    def __call__(self, wrapped: Any) -> Any:
        """The iterable or callback, filtered; `TypeError` for what is neither."""
        if callable(wrapped):
            return self._around(wrapped)
        if isinstance(wrapped, Iterable):
            return self._over(wrapped)
        raise TypeError(f"a filter wraps an iterable of messages or a callback, not {type(wrapped).__qualname__}")

    def _around(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        self._callback = callback

        @wraps(callback)
        def filtered(message: Message, /, **words: Any) -> Any:
            result = None
            for passed, its in self._decide((message, words)):
                result = callback(passed, **its)
            return result

        return filtered

    def _over(self, messages: Iterable[Message]) -> Iterator[Message]:
        for message in messages:
            for passed, _ in self._decide((message, {})):
                yield passed
        for passed, _ in self._held():
            yield passed

    def flush(self) -> None:
        """Call the callback with what is held back, as if its time had come; an iterable's rest comes at its end.

        If the callback raises, it is still called with the others; the first error is raised then.
        """
        if self._callback is None:
            return
        failed: Exception | None = None
        for message, words in self._held():
            try:
                self._callback(message, **words)
            except Exception as error:
                failed = failed or error
        if failed is not None:
            raise failed

    @abstractmethod
    def _decide(self, arrival: Arrival) -> Iterable[Arrival]:
        """What passes now that this came, and count it."""

    def _held(self) -> list[Arrival]:
        """What is held back, to be let through; nothing is held any more."""
        return []

    def _key_of(self, message: Message) -> Hashable:
        """What it is filtered under; raises one of `MALFORMED` for what has none that can be."""
        key = None if self._key is None else self._key(message)
        hash(key)
        return key

    def _remember(self, seen: OrderedDict[Hashable, S], key: Hashable, state: S) -> S | None:
        """Keep a key's state, the key as the one heard last; the state that had to be forgotten for it."""
        seen[key] = state
        seen.move_to_end(key)
        return seen.popitem(last=False)[1] if len(seen) > MAX_KEYS else None

    def __repr__(self) -> str:
        name = type(self).__name__.lstrip("_").lower()
        counts = " ".join(f"{count}={getattr(self, count)}" for count in ("passed", "dropped", "late", "malformed"))
        return f"<{name} {counts}>"


class Timed(Filter):
    """A filter that goes by time, of the messages or of their arrival, in whole microseconds."""

    def __init__(
        self,
        interval: float,
        time: str | Callable[[Message], Any] | None,
        key: str | Callable[[Message], Hashable] | None,
        clock: Callable[[], float],
    ) -> None:
        if isinstance(interval, bool) or not isinstance(interval, int | float):
            raise TypeError(f"interval is a number of seconds, not {type(interval).__qualname__}")
        if not (isfinite(interval) and interval > 0):
            raise ValueError(f"interval is a number of seconds above 0, not {interval!r}")
        super().__init__(key)
        self._interval = round(interval * 1_000_000)
        self._time = _reader(time, "time")
        self._clock = clock

    def _read(self, message: Message) -> tuple[int, Hashable] | None:
        """Its time and its key; None for one that is malformed, and counted."""
        try:
            now = round(self._clock() * 1_000_000) if self._time is None else microseconds(self._time(message))
            return now, self._key_of(message)
        except MALFORMED:
            self.malformed += 1
            return None


def _reader(choice: str | Callable[[Message], Any] | None, keyword: str) -> Reader | None:
    """What reads a message's time or key: the callable itself, or one that looks up a field of the body."""
    if choice is None or callable(choice):
        return choice
    if isinstance(choice, str):
        return lambda message: message.body[choice]
    raise TypeError(f"{keyword} is a field of the body, a callable, or None, not {type(choice).__qualname__}")
