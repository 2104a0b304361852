"""Fewer messages: filters that stand between an endpoint and the program, and count what they leave out.

    recent = throttle(0.1, time="timestamp")
    for message in recent(pull):  # an iterable of messages, such as an endpoint ...
        store(message)

    @throttle(1.0, key=lambda message: message.topic)
    def show(message, **words):  # ... or a callback
        ...

A filter reads no socket and waits for nothing. One filter is for one stream: all that it wraps shares what it
remembers and what it counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import wraps
from math import isfinite
from time import monotonic
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from .wire.message import Message

__all__ = ["Filter", "throttle"]

#: The most keys that a filter remembers; past it the one that was silent longest is forgotten.
MAX_KEYS = 65_536

#: What a callable of the user's raises over a message that lacks what it looks for.
_MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


class Filter:
    """What every filter is: call it with an iterable of messages or with a callback, and read its counts.

    An iterable gives an iterator over the messages that pass. A callback gives a callback (it may be used as a
    decorator) that runs for the messages that pass, and returns None for the others. Each message is counted once.
    """

    def __init__(self) -> None:
        self.passed = 0  #: let through
        self.dropped = 0  #: left out, as the filter is there to do
        self.late = 0  #: left out: older than one that came before it
        self.malformed = 0  #: left out: its time or key is missing, or is none

    @overload
    def __call__(self, wrapped: Callable[..., Any]) -> Callable[..., Any]: ...
    @overload
    def __call__(self, wrapped: Iterable[Message]) -> Iterator[Message]: ...
    def __call__(self, wrapped: Any) -> Any:
        """The iterable or callback, filtered; `TypeError` for what is neither."""
        if callable(wrapped):
            return self._callback(wrapped)
        if isinstance(wrapped, Iterable):
            return (message for message in wrapped if self._passes(message))
        raise TypeError(f"a filter wraps an iterable of messages or a callback, not {type(wrapped).__qualname__}")

    def _callback(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(callback)
        def filtered(message: Message, /, **words: Any) -> Any:
            return callback(message, **words) if self._passes(message) else None

        return filtered

    def _passes(self, message: Message) -> bool:
        """Decide on one message, and count it."""
        raise NotImplementedError

    def __repr__(self) -> str:
        name = type(self).__name__.lstrip("_").lower()
        counts = " ".join(f"{count}={getattr(self, count)}" for count in ("passed", "dropped", "late", "malformed"))
        return f"<{name} {counts}>"


def throttle(
    interval: float,
    *,
    time: str | Callable[[Message], Any] | None = None,
    key: str | Callable[[Message], Hashable] | None = None,
    clock: Callable[[], float] = monotonic,
) -> Filter:
    """Let one message through, then none for `interval` seconds, by the messages' own time or by their arrival.

    `time` is a field of the body, or a callable that is given the message. It holds a datetime, an ISO-8601 str or
    epoch seconds; a datetime or str without an offset is read as UTC. A message whose time is before the newest seen
    is ``late``. One without a time, or with what is none (NaN, infinite, outside the years 1 to 9999, a callable that
    raises), is ``malformed``. With None the time is when the message gets here, as `clock` tells.

    `key`, a field of the body or a callable, throttles each of its values by itself; without a (hashable) one a
    message is malformed. The last 65,536 keys are remembered.

    Times are compared in whole microseconds, so that a message every 0.1 s passes a throttle of 0.1 s. A time far
    ahead makes all that follow late until theirs catch up: a callable can judge it, and raise `ValueError`.
    """
    if isinstance(interval, bool) or not isinstance(interval, int | float):
        raise TypeError(f"interval is a number of seconds, not {type(interval).__qualname__}")
    if not (isfinite(interval) and interval > 0):
        raise ValueError(f"interval is a number of seconds above 0, not {interval!r}")
    return _Throttle(interval, _reader(time, "time"), _reader(key, "key"), clock)


class _Throttle(Filter):
    def __init__(
        self,
        interval: float,
        time: Callable[[Message], Any] | None,
        key: Callable[[Message], Hashable] | None,
        clock: Callable[[], float],
    ) -> None:
        super().__init__()
        self._interval = round(interval * 1_000_000)
        self._time = time
        self._key = key
        self._clock = clock
        self._seen: dict[Hashable, tuple[int, int]] = {}  # by key: when one passed last, and the newest time seen

    def _passes(self, message: Message) -> bool:
        try:
            now = round(self._clock() * 1_000_000) if self._time is None else microseconds(self._time(message))
            key = None if self._key is None else self._key(message)
            before = self._seen.get(key)
        except _MALFORMED:
            self.malformed += 1
            return False
        passed, newest = before or (now - self._interval, now)
        verdict = now >= newest and now - passed >= self._interval
        if verdict:
            self.passed += 1
            passed = now
        elif now < newest:
            self.late += 1
        else:
            self.dropped += 1
        self._seen.pop(key, None)  # to the end of the dict, so that the first is the one silent longest
        self._seen[key] = (passed, max(now, newest))
        if len(self._seen) > MAX_KEYS:
            del self._seen[next(iter(self._seen))]
        return verdict


def _reader(choice: str | Callable[[Message], Any] | None, keyword: str) -> Callable[[Message], Any] | None:
    """What reads a message's time or key: the callable itself, or one that looks up a field of the body."""
    if choice is None or callable(choice):
        return choice
    if isinstance(choice, str):
        return lambda message: message.body[choice]
    raise TypeError(f"{keyword} is a field of the body, a callable, or None, not {type(choice).__qualname__}")


# -- times -----------------------------------------------------------------------------------------

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = (datetime.min.replace(tzinfo=timezone.utc) - _EPOCH) // _MICROSECOND
_LAST = (datetime.max.replace(tzinfo=timezone.utc) - _EPOCH) // _MICROSECOND
_fraction = re.compile(r"[.,](\d+)")


def microseconds(value: Any) -> int:
    """Microseconds from the epoch to a datetime, an ISO-8601 str or epoch seconds; `TypeError`, `ValueError` or
    `ArithmeticError` for what is none of them."""
    if isinstance(value, str):
        value = _parse(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=timezone.utc)
        since: timedelta = value - _EPOCH
        return since // _MICROSECOND
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise TypeError(f"a time is a datetime, an ISO-8601 str or epoch seconds, not {type(value).__qualname__}")
    if not isfinite(value) or not _FIRST <= value * 1_000_000 <= _LAST:
        raise ValueError("epoch seconds are finite, and within the years 1 to 9999")
    return round(value * 1_000_000)


def _parse(text: str) -> datetime:
    """`datetime.fromisoformat` with what Python 3.10 lacks: ``Z``, and a fraction of any number of digits."""
    if text[-1:] in ("Z", "z"):
        text = text[:-1] + "+00:00"
    return datetime.fromisoformat(_fraction.sub(lambda found: "." + found[1][:6].ljust(6, "0"), text, count=1))
