"""What a message is in memory, and its optional last frame: the headers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgpack

from ..errors import ProtocolError
from .bounds import SMALL, check_whole
from .codec import Msgpack, extension

#: The most frames in one message, envelope included.
MAX_FRAMES = 8
#: The most bytes of encoded headers.
MAX_HEADER_BYTES = 4096

NO_HEADERS: Mapping[str, Any] = MappingProxyType({})


class Message:
    """One message: what was sent, under which topic, with which headers, by whom.

    `topic` is empty but for publications, `headers` but where the sender asked for some, `user` but where the sender
    proved who he is. `repr` tells topic and size, never the body: it is safe to log.
    """

    __slots__ = ("body", "headers", "topic", "user")

    def __init__(
        self,
        body: Any = None,
        *,
        topic: str = "",
        headers: Mapping[str, Any] = NO_HEADERS,
        user: str = "",
    ) -> None:
        self.body = body
        self.topic = topic
        self.headers = headers
        self.user = user

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return (self.body, self.topic, dict(self.headers), self.user) == (
            other.body,
            other.topic,
            dict(other.headers),
            other.user,
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        words = ["Message"]
        if self.topic:
            words.append(f"topic={self.topic!r}")
        if self.user:
            words.append(f"user={self.user!r}")
        words.append(_size(self.body))
        return f"<{' '.join(words)}>"


def command_of(body: Any) -> str:
    """The command that a control message or a request names; empty if it names none."""
    name = body.get("command") if isinstance(body, dict) else body
    return name if isinstance(name, str) else ""


def _size(body: Any) -> str:
    if isinstance(body, bytes | bytearray | memoryview):
        return f"{len(body)} bytes"
    try:
        return f"{len(Msgpack().encode(body))} bytes"
    except TypeError:
        return type(body).__qualname__


# -- headers ---------------------------------------------------------------------------------------


def encode_headers(headers: Mapping[str, Any], codec: Msgpack) -> bytes:
    """Headers as one frame: a msgpack map with string keys.

    Raises `TypeError` for anything else, `ValueError` over `MAX_HEADER_BYTES`.
    """
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers are a mapping, not {type(headers).__qualname__}")
    for key in headers:
        if not isinstance(key, str):
            raise TypeError(f"header names are str, not {type(key).__qualname__}")
    data = codec.encode(dict(headers))
    if len(data) > MAX_HEADER_BYTES:
        raise ValueError(
            f"headers take {len(data)} bytes; {MAX_HEADER_BYTES} is the limit: put large things in the body"
        )
    return data


def decode_headers(data: bytes) -> dict[str, Any]:
    """The headers of one frame; `ProtocolError` unless it is a map with string keys, each there once."""
    if len(data) > MAX_HEADER_BYTES:
        raise ProtocolError(f"headers of {len(data)} bytes; {MAX_HEADER_BYTES} is the limit")
    if len(data) > SMALL:
        check_whole(data)
    try:
        headers = msgpack.unpackb(
            data, timestamp=3, strict_map_key=False, ext_hook=extension, object_pairs_hook=_distinct
        )
    except Exception as error:
        raise ProtocolError(f"headers are not msgpack: {type(error).__name__} in {len(data)} bytes") from None
    if not isinstance(headers, dict) or not all(isinstance(key, str) for key in headers):
        raise ProtocolError("headers are not a map with string keys")
    return headers


def _distinct(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a key stands twice")
    return mapping
