"""One call's life: its correlation on the wire, its deadline, its attempts. No sockets, no clock of its own.

A request travels as ``correlation ∅ body [headers]``; a server returns everything up to and including ``∅`` untouched.
The correlation is 20 bytes: who calls (8, random), which call (8), and four that hold the milliseconds left, with the
top bit set when the call may be repeated. The first sixteen name the call for good: every attempt carries them.
"""

from __future__ import annotations

import struct
from typing import Any

from ..errors import Denied, ProtocolError, RemoteError
from .codec import Msgpack
from .message import decode_headers

#: The most characters of an error's text that cross the wire.
MAX_ERROR_TEXT = 500

CORRELATION_BYTES = 20
KEY_BYTES = 16
_REPEATABLE = 1 << 31
_FOREVER = _REPEATABLE - 1
_MOST_SECONDS = (_FOREVER - 1) / 1000
_tail = struct.Struct(">I")


def correlation(key: bytes, seconds: float | None, repeatable: bool) -> bytes:
    """The twenty bytes for one attempt of the call `key`, with `seconds` left (None: no deadline)."""
    left = _FOREVER
    if seconds is not None:
        left = 0 if seconds < 0 else _FOREVER - 1 if seconds >= _MOST_SECONDS else int(seconds * 1000)
    return key + _tail.pack(left | _REPEATABLE if repeatable else left)


def read_correlation(frame: bytes) -> tuple[bytes, float | None, bool]:
    """Key, seconds left (None: no deadline) and whether the call may be repeated, of a zbus correlation."""
    (word,) = _tail.unpack_from(frame, KEY_BYTES)
    left = word & _FOREVER
    return frame[:KEY_BYTES], None if left == _FOREVER else left / 1000, bool(word & _REPEATABLE)


#: The least time, in seconds, that a call can be handed out with: the wire counts milliseconds.
LEAST = 0.001
#: Seconds that a call which was refused twice behind a device waits, and at most.
_SHORTEST, _LONGEST = 0.01, 0.25


class Call:
    """One call that waits for its reply.

    `timeout` seconds (None: for ever) is the whole deadline. It is handed out at most `attempts` times; an attempt's
    turn is over when its connection is lost, or after ``timeout / attempts`` seconds. A refusal gives the attempt back.
    """

    __slots__ = (
        "attempts",
        "began",
        "deadline",
        "key",
        "outcome",
        "refusals",
        "retry_at",
        "server",
        "share",
        "taken",
        "timeout",
        "waiter",
    )

    def __init__(self, key: bytes, now: float, timeout: float | None, attempts: int) -> None:
        self.key = key
        self.began = now
        self.timeout = timeout if timeout is None or timeout > 0 else 0.0
        self.deadline = None if self.timeout is None else now + self.timeout
        self.share = None if self.timeout is None or attempts == 1 else self.timeout / attempts
        self.attempts = attempts
        self.taken = 0
        self.refusals = 0
        self.retry_at: float | None = None
        self.server: Any = None
        self.outcome: Any = None
        self.waiter: Any = None

    def correlation(self, now: float) -> bytes:
        """The bytes to put on the wire for an attempt made `now`."""
        return correlation(self.key, None if self.deadline is None else self.deadline - now, self.attempts > 1)

    def take(self, server: Any, now: float) -> None:
        """An attempt was handed to `server`."""
        self.taken += 1
        self.server = server
        self.retry_at = None
        if self.share is not None and self.deadline is not None and self.taken < self.attempts:
            self.retry_at = min(now + self.share, self.deadline)

    def give_back(self) -> None:
        """The server refused: it did not run, so it was no attempt."""
        self.taken -= 1

    def refused_behind(self, now: float) -> float:
        """One of the servers behind a device refused: seconds to wait before the next is asked. None at first, longer
        each time that the next one refuses, too, and never past the deadline."""
        self.refusals += 1
        pause = 0.0 if self.refusals == 1 else min(_SHORTEST * 2 ** min(self.refusals - 2, 10), _LONGEST)
        return pause if self.deadline is None else max(min(pause, self.deadline - now), 0.0)

    @property
    def spent(self) -> bool:
        """No attempt is left."""
        return self.taken >= self.attempts

    def expired(self, now: float) -> bool:
        """The whole time is over."""
        return self.deadline is not None and now >= self.deadline

    def patience(self, now: float) -> float | None:
        """Seconds until something is due: the next attempt or the deadline; None when nothing ever is."""
        if now == self.began and self.taken <= 1:
            return self.timeout if self.share is None else self.share  # to the bit, for equal calls
        due = self.deadline if self.retry_at is None else self.retry_at
        return None if due is None else max(due - now, 0.0)


# -- the server's side of the envelope -------------------------------------------------------------


class Arrival:
    """A request as a server sees it: where the reply goes, what the caller said about time, and the body."""

    __slots__ = ("body", "envelope", "expires", "headers", "key", "repeatable", "user")

    def __init__(self, frames: list[bytes], *, now: float) -> None:
        """Take apart what a ROUTER got: ``identity … [correlation] ∅ body [headers]``; `ProtocolError` if not so."""
        try:
            cut = frames.index(b"", 1) + 1
        except ValueError:
            raise ProtocolError(f"a request of {len(frames)} frames without an empty delimiter") from None
        if not cut < len(frames) <= cut + 2:
            raise ProtocolError(
                f"a request with {len(frames) - cut} frames behind its delimiter; body and headers belong"
            )
        self.envelope = frames[:cut]
        self.body = frames[cut]
        self.headers = frames[cut + 1] if len(frames) > cut + 1 else None
        self.key: bytes | None = None
        self.expires: float | None = None
        self.repeatable = False
        self.user = ""  # who proved to be the sender
        if cut > 2 and len(frames[cut - 2]) == CORRELATION_BYTES:
            self.key, left, self.repeatable = read_correlation(frames[cut - 2])
            self.expires = None if left is None else now + left

    @property
    def hops(self) -> int:
        """How many devices a zbus caller's request came through: each put one frame before the correlation."""
        return len(self.envelope) - 3 if self.key is not None else 0


def read_reply(frames: list[bytes]) -> tuple[bytes, bytes, bytes | None]:
    """Key, body and headers of what a DEALER got: ``correlation ∅ body [headers]``; `ProtocolError` if not so."""
    if not 3 <= len(frames) <= 4 or frames[1] or len(frames[0]) != CORRELATION_BYTES:
        raise ProtocolError(f"a reply of {len(frames)} frames that is not correlation, delimiter, body, headers")
    return frames[0][:KEY_BYTES], frames[2], frames[3] if len(frames) == 4 else None


def read_error(headers: bytes) -> Any:
    """What these headers say of an error; None: nothing; a `ProtocolError` if they cannot be read."""
    try:
        return decode_headers(headers).get("error")
    except ProtocolError as unreadable:
        return unreadable


def failure(error: dict[Any, Any]) -> RemoteError | Denied:
    """What a caller raises for the error in a reply. What is no text in it is passed over: it may be nested too deeply
    to be shown."""
    kind, text = (error[key] if isinstance(error.get(key), str) else "" for key in ("type", "message"))
    return Denied(text) if kind == "Denied" else RemoteError(kind or "Exception", text)


def error_reply(arrival: Arrival, kind: str, text: str, codec: Any) -> list[bytes]:
    """The reply that says how a call failed: in the headers for a zbus caller; for any other, who may read one frame
    only, the one frame is the map ``{"error": …}``. A refusal tells how many devices the call came through."""
    error: dict[str, Any] = {"type": _sendable(kind), "message": _sendable(text[:MAX_ERROR_TEXT])}
    if kind == "Unavailable" and arrival.hops:
        error["hops"] = arrival.hops
    if arrival.key is None:
        try:
            return [codec.encode({"error": error})]
        except TypeError:
            return [Msgpack().encode({"error": error})]
    return [Msgpack().encode(None), Msgpack().encode({"error": error})]


def _sendable(text: str) -> str:
    """Text with lone surrogates, as file names have them, replaced: they have no UTF-8."""
    return text.encode("utf-8", "replace").decode()
