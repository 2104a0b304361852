"""Values to bytes and back. msgpack unless told otherwise; JSON, raw bytes and raw frames for peers that need them."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import msgpack

from ..errors import ProtocolError
from .bounds import MAX_ITEMS, SMALL, Extensions, check, check_json

#: How deep a body is searched for what msgpack will not take; msgpack itself stops about there.
_DEEPEST = 1024
_NIL = b"\xc0"


@runtime_checkable
class Codec(Protocol):
    """How a body becomes bytes. Anything with these two methods will do.

    `encode` raises `TypeError` for a body that it cannot express. Whatever `decode` raises is a `ProtocolError`
    to the endpoint: the message is counted and dropped.
    """

    def encode(self, body: Any, /) -> bytes:
        """The bytes of one body."""

    def decode(self, data: bytes, /) -> Any:
        """The body of these bytes."""


# -- extension types: one row a type, as registered in docs/spec.md --------------------------------

_EXTENSIONS: tuple[tuple[int, type, Callable[[Any], str], Callable[[str], Any]], ...] = (
    (1, decimal.Decimal, str, decimal.Decimal),
    (2, uuid.UUID, str, uuid.UUID),
    (3, datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    (4, datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
)
_ENCODE = {kind: (code, encode) for code, kind, encode, _ in _EXTENSIONS}
_DECODE = {code: decode for code, _, _, decode in _EXTENSIONS}


def _extend(value: Any) -> Any:
    row = _ENCODE.get(type(value))
    if row is None:
        raise TypeError(type(value).__qualname__)
    code, encode = row
    return msgpack.ExtType(code, encode(value).encode())


def extension(code: int, data: bytes) -> Any:
    decode = _DECODE.get(code)
    return msgpack.ExtType(code, data) if decode is None else decode(data.decode())


def _explain(body: Any, path: str = "body") -> str:
    """Which part of a body msgpack will not take: its type and the way to it."""
    stack: list[tuple[Any, str, int]] = [(body, path, 0)]
    while stack:
        value, path, depth = stack.pop()
        if depth > _DEEPEST:
            return f"{path[:60]}… is nested too deeply"
        if isinstance(value, dict):
            stack += [(inner, f"{path}[{_short(key)}]", depth + 1) for key, inner in value.items()]
            stack += [(key, f"{path} key {_short(key)}", depth + 1) for key in value]
        elif isinstance(value, list | tuple):
            stack += [(inner, f"{path}[{index}]", depth + 1) for index, inner in enumerate(value)]
        else:
            try:
                msgpack.packb(value, datetime=True, default=_extend)
            except (ValueError, OverflowError) as error:
                return f"{path} is of type {type(value).__qualname__} that cannot be encoded ({error})"
            except TypeError:
                return f"{path} is of type {type(value).__qualname__}" + _advice(value)
    return "body is nested too deeply"


def _short(key: Any) -> str:
    return repr(key) if isinstance(key, int) else repr(str(key)[:40])


def _advice(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        return " without a time zone; give it one, such as datetime.timezone.utc"
    if isinstance(value, set | frozenset):
        return "; send a list"
    if isinstance(value, int):
        return " beyond 64 bits; send a string or a Decimal"
    return ""


class Msgpack:
    """msgpack with aware datetimes, Decimal, UUID, date and time; never pickle.

    Keep one for each endpoint: it reuses its buffers. `encode` raises `TypeError` with the offending type and the
    path to it; `decode` and `decode_many` raise `ProtocolError`. `pack` is `encode` the fast way: it raises whatever
    msgpack raises.
    """

    def __init__(self) -> None:
        self.pack: Callable[[Any], bytes] = msgpack.Packer(datetime=True, default=_extend).pack
        self._renew()

    def _renew(self) -> None:
        self._extensions = Extensions(extension)
        self._unpacker = msgpack.Unpacker(
            read_size=4096,
            max_buffer_size=2**31 - 1,
            timestamp=3,
            strict_map_key=False,
            ext_hook=self._extensions,
            max_array_len=MAX_ITEMS,
            max_map_len=MAX_ITEMS,
        )

    def encode(self, body: Any, /) -> bytes:
        """One value as bytes."""
        try:
            return self.pack(body)
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise TypeError(
                f"cannot send this body: {_explain(body)}; zbus sends None, bool, int, float, str, bytes, list, "
                "dict, aware datetime, date, time, Decimal and UUID"
            ) from None

    @staticmethod
    def decode_single(data: Any, /) -> Any:
        """The one value in `data`, the fast way: raises whatever msgpack raises, also if there are several values."""
        if len(data) <= SMALL:
            return msgpack.unpackb(data, timestamp=3, strict_map_key=False, ext_hook=extension)
        data = bytes(data)
        check(data)
        return msgpack.unpackb(
            data,
            timestamp=3,
            strict_map_key=False,
            ext_hook=Extensions(extension, len(data)),
            max_array_len=MAX_ITEMS,
            max_map_len=MAX_ITEMS,
        )

    def decode(self, data: bytes, /) -> Any:
        """The one value in `data`."""
        try:
            return self.decode_single(data)
        except ProtocolError:
            raise
        except Exception:
            pass  # the long way knows what is wrong
        values = self.decode_many(data)
        if len(values) != 1:
            raise ProtocolError(f"{len(values)} msgpack values in {len(data)} bytes where one belongs")
        return values[0]

    def decode_many(self, data: Any, /) -> list[Any]:
        """The values in `data`, one after the other; at least one, and nothing left over."""
        data = bytes(data)
        check(data, many=True)
        self._extensions.begin(len(data))
        unpacker = self._unpacker
        try:
            unpacker.feed(data)
            values = list(islice(unpacker, MAX_ITEMS + 1))
            unpacker.feed(_NIL)  # comes out by itself only if no value is still open: an open one would take it in
            if 0 < len(values) <= MAX_ITEMS and next(unpacker, unpacker) is None:
                return values
        except ProtocolError:
            self._renew()
            raise
        except Exception as error:
            self._renew()
            raise ProtocolError(f"not msgpack: {type(error).__name__} in {len(data)} bytes") from None
        self._renew()
        raise ProtocolError(
            f"not msgpack: {len(data)} bytes end before a value does, or hold more than {MAX_ITEMS} values"
        )


class Json:
    """JSON in UTF-8, for peers that still send it. bytes, datetimes and the like are not JSON: `encode` raises."""

    _encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    def encode(self, body: Any, /) -> bytes:
        """One value as UTF-8 JSON."""
        try:
            return self._encoder.encode(body).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"cannot send this body as JSON: {error}") from None

    def decode(self, data: bytes, /) -> Any:
        """The value that the JSON text stands for."""
        text = bytes(data)
        if len(text) > MAX_ITEMS:
            check_json(text)
        try:
            return json.loads(text.decode("utf-8-sig"))  # of bytes it would also take UTF-16
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"not JSON: {type(error).__name__} in {len(data)} bytes") from None


class Raw:
    """Bytes as they are."""

    def encode(self, body: Any, /) -> bytes:
        """The same bytes; anything that is not bytes-like raises `TypeError`."""
        if not isinstance(body, bytes | bytearray | memoryview):
            raise TypeError(
                f"codec='raw' sends bytes, not {type(body).__qualname__}; encode it, or leave the codec out"
            )
        return bytes(body)

    def decode(self, data: bytes, /) -> bytes:
        """The same bytes."""
        return bytes(data)


class Frames:
    """The raw frames of a message as its body, a list of bytes: for monitors and any multi-frame peer."""

    def encode(self, body: Any, /) -> list[bytes]:
        """The frames themselves; anything that is not a non-empty sequence of bytes raises `TypeError`."""
        if isinstance(body, bytes) or not isinstance(body, Sequence) or not body:
            raise TypeError(f"codec='frames' sends a list of bytes, not {type(body).__qualname__}")
        for index, frame in enumerate(body):
            if not isinstance(frame, bytes | bytearray | memoryview):
                raise TypeError(f"codec='frames' sends bytes; body[{index}] is a {type(frame).__qualname__}")
        return [bytes(frame) for frame in body]

    def decode(self, data: list[bytes], /) -> list[bytes]:
        """The same frames."""
        return data


_BY_NAME: Mapping[str, Callable[[], Any]] = {
    "msgpack": Msgpack,
    "json": Json,
    "raw": Raw,
    "frames": Frames,
}


def codec(choice: str | Codec) -> Any:
    """The codec that `choice` names, or `choice` itself if it is one."""
    if isinstance(choice, str):
        try:
            return _BY_NAME[choice]()
        except KeyError:
            raise ValueError(f"no codec {choice!r}; there are {', '.join(_BY_NAME)}, or give an object") from None
    if not isinstance(choice, Codec) or isinstance(choice, type):
        raise TypeError(f"codec is a name or an object with encode and decode, not {choice!r}")
    return choice
