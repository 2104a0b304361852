"""The two directions of a stream of messages: what sends one, what receives one. PAIR has both."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from time import monotonic
from typing import Any

from ..errors import Closed, ProtocolError
from ..green.messages import NOBLOCK, SocketError, receive_frame, send_frame
from ..green.options import Timeout
from ..green.service import CLOSED, OPEN, _thread
from ..wire.codec import Msgpack
from ..wire.message import Message, decode_headers
from .endpoint import Endpoint, Headers, Statistics


class Sends(Endpoint):
    """The sending direction."""

    _sent = 0

    def send(self, body: Any, *, headers: Headers = None, timeout: Timeout = None) -> None:
        """Send one message, waiting up to `timeout` seconds while every peer's queue is full or there is no peer.

        It returns when libzmq has it, not when the peer has. Raises `TimeoutExpired` (nothing was sent),
        `MessageTooLarge`, `Closed`, and `TypeError` with the path to what the codec cannot express.
        """
        if self._state is not OPEN or _thread() != self._owner:
            self._ready()
        if headers is not None or self._codec.__class__ is not Msgpack:
            frames = self._frames(body, headers)
        else:
            frames = [self._encode(body)]
        self._transmit(frames, timeout)

    def _transmit(self, frames: list[bytes], timeout: Timeout) -> None:
        socket = self._port.socket
        ready = socket.readiness
        if ready.left <= 0:
            ready.left = ready.burst.look()
        ready.left -= 1
        if len(frames) == 1 and not ready.writers:
            try:
                send_frame(socket, frames[0], NOBLOCK)
            except SocketError:
                socket.transmit(frames, timeout)
            if ready.holds:
                ready.nudge()
        else:
            socket.transmit(frames, timeout)
        self._sent += 1


class Receives(Endpoint):
    """The receiving direction."""

    _received = 0

    def _open(self) -> None:
        self._pending: deque[Message] = deque()
        super()._open()

    def recv(self, *, timeout: Timeout = None) -> Message:
        """The next message, waiting up to `timeout` seconds (None: for ever; 0: what is there now).

        Any number of greenlets may wait; they are served in order. Raises `TimeoutExpired`, and `Closed` when the
        endpoint is or gets closed. What breaks the wire's rules is counted and passed over.
        """
        self._use()
        deadline = None if timeout is None else monotonic() + timeout
        pending = self._pending
        while not pending:
            left = None if deadline is None else deadline - monotonic()
            frames = self._port.socket.receive(left)
            try:
                pending.extend(self._decode(frames))
            except ProtocolError as error:
                self._refuse(error)
        self._received += 1
        return pending.popleft()

    def __iter__(self) -> Iterator[Message]:
        """Every message as it comes; waits in between, ends quietly when the endpoint is closed."""
        self._use()
        return self._messages()

    def _messages(self) -> Iterator[Message]:
        pending = self._pending
        socket = self._port.socket
        ready = socket.readiness
        look = ready.burst.look
        decode_many = self._codec.decode_many if self._decodes_singly() else None
        while self._state is not CLOSED:
            if ready.left <= 0:
                ready.left = look()
            ready.left -= 1
            if pending:
                self._received += 1
                yield pending.popleft()
                continue
            try:
                frame = receive_frame(socket, NOBLOCK, False)
                if decode_many is not None and not frame.more:
                    values = decode_many(frame)
                    if len(values) > 1:
                        pending.extend(map(Message, values))
                        continue
                    if ready.holds:
                        ready.nudge()
                    self._received += 1
                    yield Message(values[0])
                    continue
                frames = socket.rest(frame)
            except SocketError:
                try:
                    frames = socket.receive()
                except Closed:
                    return
            except ProtocolError as error:
                self._refuse(error)
                continue
            try:
                pending.extend(self._decode(frames))
            except ProtocolError as error:
                self._refuse(error)

    def _decodes_singly(self) -> bool:
        """May a message of one frame skip `_decode`?"""
        return type(self._codec) is Msgpack and type(self)._decode is Receives._decode

    def _decode(self, frames: list[bytes]) -> list[Message]:
        """The messages in these frames: ``body [headers]``. Raises `ProtocolError`, and then none is delivered."""
        codec = self._codec
        if self._options["codec"] == "frames":
            return [Message(frames)]
        if len(frames) > 2:
            raise ProtocolError(f"{len(frames)} frames where body and headers belong")
        headers = decode_headers(frames[1]) if len(frames) == 2 else None
        values = self._values(frames[0], codec)
        if headers is None:
            return [Message(value) for value in values]
        return [Message(value, headers=headers) for value in values]

    def _values(self, body: bytes, codec: Any) -> list[Any]:
        if type(codec) is Msgpack:
            return codec.decode_many(body)
        try:
            return [codec.decode(body)]
        except ProtocolError:
            raise
        except Exception as error:
            raise ProtocolError(f"{type(codec).__name__} cannot decode it: {type(error).__name__}") from None

    def statistics(self) -> Statistics:
        """Counts and gauges, frozen; see `Statistics`."""
        waiting = len(self._pending) if hasattr(self, "_pending") else 0
        return Statistics(received=self._received, waiting=waiting, **self._gauges())
