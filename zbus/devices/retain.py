"""A forwarder's last values: what crossed last under each topic, for subscribers who come late."""

from __future__ import annotations

import weakref

from ..errors import Closed, ProtocolError
from ..green.socket import Socket
from ..wire.codec import Msgpack
from ..wire.message import decode_headers, encode_headers
from ..wire.sequence import LastValues

#: Publications said again in one turn of the loop.
_RESEND = 32


class Retainer:
    """Sees what crosses a forwarder, and says the last of each topic again when somebody subscribes.

    `subscribers` is the socket they are on. ZeroMQ cannot address one of them: all who hear the topic hear it again,
    with the header ``retained``. Those who know it already drop it by its number, if the publisher numbers.
    """

    def __init__(self, subscribers: Socket) -> None:
        self._socket: weakref.ref[Socket] = weakref.ref(subscribers)
        self._turn = subscribers.readiness.turn
        self._burst = subscribers.readiness.burst
        self._last = LastValues()
        self._resending = False
        self._codec = Msgpack()

    def published(self, frames: list[bytes]) -> None:
        """A publication crossed: topic, body and perhaps headers; what has other frames is not kept."""
        if 2 <= len(frames) <= 3:
            topic, body, *headers = frames
            self._last.keep(topic, body, headers[0] if headers else b"")

    def subscribed(self, frames: list[bytes]) -> None:
        """A subscription crossed, or the end of one."""
        if frames[0][:1] == b"\1":
            self._last.want(frames[0][1:])
            self._resend_next_turn()

    def _resend_next_turn(self) -> None:
        if self._last.waiting and not self._resending:
            self._resending = True
            self._turn.call(self._burst, self._resend)

    def _resend(self, _: None) -> None:
        """On the hub."""
        self._resending = False
        socket = self._socket()
        if socket is None:
            return
        try:
            for topic, body, headers in self._last.due(_RESEND):
                socket.offer([topic, body, self._retained(headers)])
        except Closed:
            return
        self._resend_next_turn()

    def _retained(self, headers: bytes) -> bytes:
        try:
            return encode_headers({**(decode_headers(headers) if headers else {}), "retained": True}, self._codec)
        except (ProtocolError, ValueError):  # not ours, or full: as they are
            return headers
