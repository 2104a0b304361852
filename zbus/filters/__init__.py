"""Fewer messages: filters that stand between an endpoint and the program, and count what they leave out.

    recent = throttle(0.1, time="timestamp")
    for message in recent(pull):  # an iterable of messages, such as an endpoint ...
        store(message)

    @throttle(1.0, key=lambda message: message.topic)
    def show(message, **words):  # ... or a callback
        ...

    throttle   the first message of each interval          ( 1 . . . 5 . . )
    sample     the last of each interval                   ( . . 3 . . . 7 )
    debounce   the last before a silence                   ( . . . . . . 7 )
    latest     the newest, when the program is slower than the messages

A filter opens no socket, starts no timer and no greenlet. One filter is for one stream: all that it wraps shares what
it remembers and what it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from time import monotonic
from typing import TYPE_CHECKING, Any

from .conflation import Latest
from .filter import Filter
from .throttling import Debounce, Sample, Throttle

if TYPE_CHECKING:
    from ..wire.message import Message

    Time = str | Callable[[Message], Any] | None
    Key = str | Callable[[Message], Hashable] | None

__all__ = ["Filter", "debounce", "latest", "sample", "throttle"]


def throttle(interval: float, *, time: Time = None, key: Key = None, clock: Callable[[], float] = monotonic) -> Filter:
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
    return Throttle(interval, time, key, clock)


def sample(interval: float, *, time: Time = None, key: Key = None, clock: Callable[[], float] = monotonic) -> Filter:
    """Let the last message of each `interval` seconds through; intervals begin with the first message of a key.

    A message is held back until one of a later interval comes, the iterable ends, or `Filter.flush` is called.
    `time`, `key` and `clock` as for `throttle`; of the keys beyond 65,536 the one that was silent longest lets go.
    """
    return Sample(interval, time, key, clock)


def debounce(interval: float, *, time: Time = None, key: Key = None, clock: Callable[[], float] = monotonic) -> Filter:
    """Let the last message through before a silence of `interval` seconds.

    A message is held back until the next one comes and shows that there was a silence, the iterable ends, or
    `Filter.flush` is called. `time`, `key` and `clock` as for `throttle`.
    """
    return Debounce(interval, time, key, clock)


def latest(*, key: Key = None) -> Filter:
    """Let the newest message (of each `key`) through and drop what it supersedes, for a program that is slower.

    Around an endpoint: what has come by the time that the program asks for the next message is read, and the newest
    passes. Around any other iterable: its last. Around a callback that several greenlets call: while it runs, the
    newest of what they bring waits for it, and they return None at once.
    """
    return Latest(key)
