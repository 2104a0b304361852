"""The two directions of a stream of messages: what sends one, what receives one. PAIR has both."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from time import monotonic
from typing import Any, Protocol

from ..errors import Closed, ProtocolError, TimeoutExpired
from ..green.messages import NOBLOCK, SocketError, receive_frame, send_frame
from ..green.options import Timeout
from ..green.service import OPEN, STOPPING, _thread
from ..wire.codec import Msgpack
from ..wire.message import NO_HEADERS, Message, command_of, decode_headers
from .batching import Batcher
from .endpoint import Endpoint, Headers
from .statistics import Statistics


class Some(Protocol):
    """How many messages somebody takes who does not wait for more."""

    def look(self) -> int:
        """How many more may be taken now."""

    def none_left(self) -> None:
        """A receive found nothing: no more may be there. Nothing has run since that could have taken a signal."""


class Sends(Endpoint):
    """The sending direction."""

    _sent = 0

    _batcher: Batcher | None = None

    def send(self, body: Any, *, headers: Headers = None, timeout: Timeout = None) -> None:
        """Send one message, waiting up to `timeout` seconds while every peer's queue is full or there is no peer.

        It returns when libzmq has it (or the open batch), not when the peer has. Raises `TimeoutExpired` (it was not
        sent), `MessageTooLarge`, `Closed`, and `TypeError` with the path to what the codec cannot express.
        """
        if self._state is not OPEN or _thread() != self._owner:
            self._ready()
        if not self._packs:
            self._port.socket.transmit(self._frames(body, headers), timeout)
        elif self._batcher is not None:
            data = self._encode(body)
            batch = self._batcher.batches.plain
            size = len(data)
            if batch.left > 0 and batch.room >= size and headers is None:
                batch.left -= 1
                batch.room -= size
                batch.values.append(data)
            else:
                self._batcher.add(data, self._encode_headers(headers), b"", timeout)
        elif headers is not None or self._readiness.writers:
            self._port.socket.transmit(self._frames(body, headers), timeout)
        else:
            data = self._encode(body)
            ready = self._readiness
            if ready.left <= 0:
                ready.left = ready.burst.look()
            ready.left -= 1
            try:
                send_frame(self._port.socket, data, NOBLOCK)
            except SocketError:
                self._port.socket.transmit([data], timeout)
            if ready.holds:
                ready.nudge()
        self._sent += 1


class Receives(Endpoint):
    """The receiving direction."""

    _read_in = 0  # messages that came in, delivered or not

    def _open(self) -> None:
        self._read_in = self._received()
        self._pending: deque[Message] = deque()  # came in one frame with others, not yet delivered
        self._bodies: deque[Any] = deque()  # the same, of messages that are nothing but a body
        super()._open()
        pending, bodies = self._pending, self._bodies
        self._readiness.backlog = lambda: pending or bodies

    def recv(self, *, timeout: Timeout = None) -> Message:
        """The next message, waiting up to `timeout` seconds (None: for ever; 0: what is there now).

        Any number of greenlets may wait; they are served in order. Raises `TimeoutExpired`, and `Closed` when the
        endpoint is or gets closed. What breaks the wire's rules is counted and passed over.
        """
        self._use()
        deadline = None if timeout is None else monotonic() + timeout
        pending, bodies = self._pending, self._bodies
        while not (pending or bodies):
            left = None if deadline is None else deadline - monotonic()
            try:
                frames = self._port.socket.receive(left)
                if frames:
                    self._read(frames)
            except ProtocolError as error:
                self._refuse(error)
            except TimeoutExpired:
                raise TimeoutExpired(f"{self!r}: nothing to receive within {timeout} s") from None
        return pending.popleft() if pending else Message(bodies.popleft())

    def __iter__(self) -> Iterator[Message]:
        """Every message as it comes; waits in between, ends quietly when the endpoint is closed."""
        self._use()
        return self._messages()

    def _messages(self, some: Some | None = None) -> Iterator[Message]:
        """Every message as it comes; or `some` of those that are there now."""
        # the hottest loop: bound names, no calls that can be done without, and a message built in place
        pending, bodies, socket, new = self._pending, self._bodies, self._port.socket, object.__new__
        ready = socket.readiness
        look = ready.burst.look if some is None else some.look
        plain = self._packs and type(self)._parse is Receives._parse and not socket.named
        decode_single = Msgpack.decode_single
        left = 0
        while self._state is OPEN or self._state is STOPPING:  # in a forked child it is neither
            if left <= 0:
                left = look()
                if left <= 0:
                    return
            left -= 1
            if bodies:
                body = bodies.popleft()
            elif pending:
                yield pending.popleft()
                continue
            else:
                try:
                    frame: Any = receive_frame(socket, NOBLOCK, False)
                except SocketError as error:
                    if some is not None:
                        some.none_left()
                        return
                    try:
                        frame = socket.wait_for_frame(error)
                    except Closed:
                        return
                    if frame is None:
                        continue
                if frame.more or not plain:
                    frames = socket.rest(frame)
                    if ready.holds:
                        ready.nudge()
                    try:
                        self._read(frames)
                    except ProtocolError as error:
                        self._refuse(error)
                    continue
                if ready.holds:
                    ready.nudge()
                try:
                    body = decode_single(frame)
                    self._read_in += 1
                except ProtocolError as error:
                    self._refuse(error)
                    continue
                except Exception:  # several values, or none that can be read
                    try:
                        values = self._codec.decode_many(frame)
                        self._read_in += len(values)
                        bodies.extend(values)
                    except ProtocolError as error:
                        self._refuse(error)
                    continue
            message = new(Message)
            message.body, message.topic, message.headers, message.user = body, "", NO_HEADERS, ""
            yield message

    def _read(self, frames: list[bytes]) -> None:
        """Have the messages in these frames delivered. Raises `ProtocolError`, and then none is."""
        messages = self._parse(frames)
        if self._port.socket.named:
            messages = self._permitted(messages, self._port.socket.user)
        self._read_in += len(messages)
        self._pending.extend(messages)

    def _permitted(self, messages: list[Message], user: str) -> list[Message]:
        """Those that this user may send, in his name."""
        for message in messages:
            message.user = user.partition(" ")[0]
        return [message for message in messages if self._may(user, *self._deed(message))]

    def _deed(self, message: Message) -> tuple[str, str]:
        """What a sender does, in the words of the rules."""
        return "send", command_of(message.body)

    def _parse(self, frames: list[bytes]) -> list[Message]:
        """The messages in these frames: ``body [headers]``. Raises `ProtocolError`, and then none is delivered."""
        if self._options["codec"] == "frames":
            return [Message(frames)]
        if len(frames) > 2:
            raise ProtocolError(f"{len(frames)} frames where body and headers belong")
        headers = decode_headers(frames[1]) if len(frames) == 2 else None
        values = self._values(frames[0])
        if headers is None:
            return list(map(Message, values))
        return [Message(value, headers=headers) for value in values]

    def _values(self, body: bytes) -> list[Any]:
        if not self._packs:
            return [self._decode(body)]
        try:
            return [Msgpack.decode_single(body)]
        except ProtocolError:
            raise
        except Exception:  # several values, or none that can be read
            many: list[Any] = self._codec.decode_many(body)
            return many

    def statistics(self) -> Statistics:
        """Counts and gauges, frozen; see `Statistics`."""
        return Statistics(received=self._received(), waiting=self._undelivered(), **self._gauges())

    def _received(self) -> int:
        return self._read_in - self._undelivered()

    def _undelivered(self) -> int:
        return len(self._pending) + len(self._bodies) if self._opened() else 0
