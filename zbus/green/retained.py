"""What a publishing socket said last under each topic, said again to those who come late."""

from __future__ import annotations

from ..errors import Closed, ProtocolError
from ..wire.codec import Msgpack
from ..wire.message import decode_headers, encode_headers
from ..wire.sequence import LastValues
from .socket import Socket

#: How many are said again before the loop makes a turn.
_AT_ONCE = 128


class Retained:
    """The last values of one XPUB `socket`.

    ZeroMQ cannot address one subscriber: all who hear a topic hear it again, with the header ``retained``. Those who
    know it already drop it by its number, if its publisher numbers.
    """

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._last = LastValues()
        self._saying = False
        self._codec = Msgpack()
        self.keep = self._last.keep  #: called with topic, body and headers (or none: empty) of each publication

    def want(self, prefix: bytes) -> None:
        """Somebody subscribed to `prefix`: what is under it is said from the next turn of the loop on."""
        self._last.want(prefix)
        self._say_next_turn()

    def _say_next_turn(self) -> None:
        if self._last.waiting and not self._saying:
            self._saying = True
            ready = self._socket.readiness
            ready.turn.call(ready.burst, self._say)

    def _say(self, _: None) -> None:
        """On the hub."""
        self._saying = False
        try:
            for topic, body, headers in self._last.due(_AT_ONCE):
                self._socket.offer([topic, body, self._marked(headers)])
        except Closed:
            return
        self._say_next_turn()

    def _marked(self, headers: bytes) -> bytes:
        try:
            return encode_headers({**(decode_headers(headers) if headers else {}), "retained": True}, self._codec)
        except (ProtocolError, ValueError):  # not ours, or full: as they are
            return headers
