"""What a body may cost, seen to before it is decoded, where it is large enough to cost much.

A few bytes can ask for a lot. msgpack makes room for the items that an array says it has before it reads the first, and
for those of each array inside: 5 kB that end too soon take 76 MB. One byte may stand for an empty map, which takes
seventy. And a `dict` compares a new key with all that have its hash, which of Decimals and UUIDs whoever sends them can
make equal. A small body can do little of that; it is not looked at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID

import msgpack

from ..errors import ProtocolError

#: The most items that one array or map may have, and the most values behind one another in one body.
MAX_ITEMS = 131_072
#: The most values in one body, all its arrays and maps together, each of which counts for one more: what a map of
#: `MAX_ITEMS` has. A body that is longer than so many times `BYTES_A_VALUE` may have more.
MAX_VALUES, BYTES_A_VALUE = 2 * MAX_ITEMS + 1, 4
#: Bytes of a body that is not looked at.
SMALL = 1024
#: An extension costs a call, and two if it is a key: for how many more values it counts.
_EXTENSION, _KEY = 4, 16
#: Entries of a map whose keys are not looked at.
_SMALL_MAP = 8
#: How many Decimals and UUIDs of a body may have the hash of another that is not equal: by chance none ever has.
MAX_TWINS = 8

#: What begins a value in JSON, or stands before one.
_STRUCTURE = b"{[,:"

Extension = Callable[[int, bytes], Any]


def most_values(size: int) -> int:
    """How many values a body of this many bytes may hold, those inside others included."""
    return max(MAX_VALUES, size // BYTES_A_VALUE)


def check(data: bytes, *, many: bool = False) -> None:
    """`ProtocolError` if the msgpack value, or the `many`, in `data` would cost more than they may, or are not there
    whole; `ValueError` if there may be several where one is wanted. What else is wrong is for the decoder to say."""
    dear = len(data) > MAX_ITEMS
    if (dear or b"\xdd" in data or b"\xdc" in data) and not check_whole(data, many=many):
        if many:
            raise ProtocolError(f"not msgpack that is taken: more than {MAX_ITEMS} values in {len(data)} bytes")
        raise ValueError("more than one value")  # before the first is made, and all of them again
    if dear:
        _weigh(data, many)


def check_whole(data: bytes, *, many: bool = False) -> bool:
    """Is the msgpack value, or are the `many`, at the start of `data` all that is there? `ProtocolError` if they end
    too soon. None is made."""
    unpacker = msgpack.Unpacker(read_size=4096, max_buffer_size=2**31 - 1)
    try:
        unpacker.feed(data)
        for _ in range(MAX_ITEMS if many else 1):
            unpacker.skip()
            if unpacker.tell() == len(data):
                return True
    except Exception as error:
        raise _unreadable(error, data) from None
    return False


class Extensions:
    """Makes the extensions of a body, by `make`; `ProtocolError` if too many that differ have one hash."""

    def __init__(self, make: Extension, size: int = 0) -> None:
        self._make = make
        self.begin(size)

    def begin(self, size: int) -> None:
        """The next body has so many bytes."""
        self._size = size
        self._by_hash: dict[int, Any] = {}
        self._twins = 0

    def __call__(self, code: int, content: bytes) -> Any:
        """The value."""
        value = self._make(code, content)
        if isinstance(value, UUID) or (isinstance(value, Decimal) and value.is_finite()):
            self._twins += self._by_hash.setdefault(hash(value), value) != value
            if self._twins > MAX_TWINS:
                raise ProtocolError(
                    f"not msgpack that is taken: more than {MAX_TWINS} values with another's hash in {self._size} bytes"
                )
        return value


def check_json(text: bytes) -> None:
    """`ProtocolError` if the value that the JSON text stands for would cost more than it may."""
    most = most_values(len(text))
    if _structure(text) > most and _structure(_outside_strings(text)) > most:
        raise ProtocolError(f"not JSON that is taken: more than {most} values in {len(text)} bytes")


def _structure(text: bytes) -> int:
    return len(text) - len(text.translate(None, _STRUCTURE))


def _outside_strings(text: bytes) -> bytes:
    return b"".join(text.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2])


def _weigh(data: bytes, many: bool) -> None:
    """Count the values, and let go of each array and map as soon as it is counted."""
    left = most = most_values(len(data))

    def spend(values: int) -> None:
        nonlocal left
        left -= values
        if left < 0:
            raise ProtocolError(f"not msgpack that is taken: more than {most} values in {len(data)} bytes")

    def mapped(pairs: list[tuple[Any, Any]]) -> None:
        spend(1 + 2 * len(pairs))
        if len(pairs) > _SMALL_MAP:
            spend(_KEY * sum(type(key) is tuple for key, _ in pairs))

    def extended(code: int, content: bytes) -> tuple[int, bytes]:
        spend(_EXTENSION)
        return code, content

    unpacker = msgpack.Unpacker(
        read_size=4096,
        max_buffer_size=2**31 - 1,
        timestamp=2,
        strict_map_key=False,
        list_hook=lambda items: spend(1 + len(items)),
        object_pairs_hook=mapped,
        ext_hook=extended,
        max_array_len=MAX_ITEMS,
        max_map_len=MAX_ITEMS,
    )
    try:
        unpacker.feed(data)
        deque(islice(unpacker, MAX_ITEMS if many else 1), maxlen=0)
    except ProtocolError:
        raise
    except Exception as error:
        raise _unreadable(error, data) from None


def _unreadable(error: Exception, data: bytes) -> ProtocolError:
    return ProtocolError(f"not msgpack: {type(error).__name__} in {len(data)} bytes")
