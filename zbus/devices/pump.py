"""One direction of a device: messages from one socket to another, whole, undecoded, in order."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from ..errors import Closed
from ..green.messages import NOBLOCK, SocketError, receive_frame, send_frame
from ..green.names import shown
from ..green.socket import Socket

#: Bytes from which handing a frame on costs less than copying what is in it.
_LARGE = 8192


class Pump:
    """Moves messages from `source` to `target` while its greenlet runs.

    It reads on only when the last message has crossed: a full far side leaves the others with the sender, and the other
    direction does not notice. The one in between is `held`: a pump that is killed keeps it, and it crosses first when
    the next greenlet runs. Bursts end as every socket's do (`green.turn`).

    `seen` is called with the frames of each message that crosses.
    """

    def __init__(self, source: Socket, target: Socket, seen: Callable[[list[bytes]], object] | None) -> None:
        self._source = source
        self._target = target
        self._seen = seen
        self.held: list[Any] = []
        self.messages = 0
        self.bytes = 0

    def run(self) -> None:
        """Until killed, or until either socket closes."""
        try:
            if self.held:
                self._cross(self.held)
            if self._source.headed:
                self._flow()
            else:
                self._flow_of_frames()
        except Closed:
            return

    def drain(self, until: float) -> None:
        """Move what is there; end when there is no more, and read none after `until` (monotonic)."""
        try:
            if self.held:
                self._cross(self.held)
            while monotonic() < until and self._source.poll(0):
                self._cross(self._source.receive())
        except Closed:
            return

    def _flow(self) -> None:
        receive, cross = self._source.receive, self._cross
        while True:
            cross(receive())

    def _flow_of_frames(self) -> None:
        # the hottest loop: nearly every message is one frame, and for that no call is made but libzmq's own
        source, target, plain = self._source, self._target, self._seen is None
        ready, far = source.readiness, target.readiness
        look = ready.burst.look
        left = 0
        while True:
            if left <= 0:
                left = look()
            left -= 1
            try:
                frame = receive_frame(source, NOBLOCK, False)
            except SocketError as error:
                frame = source.wait_for_frame(error)
            if ready.holds:
                ready.nudge()
            size = len(frame)
            if frame.more or size >= _LARGE or not plain or far.writers:
                self._cross(self._whole(frame))
                continue
            data = frame.bytes
            try:
                send_frame(target, data, NOBLOCK)
            except SocketError:
                self._cross([data])
                continue
            self.messages += 1
            self.bytes += size
            if far.holds:
                far.nudge()

    def _whole(self, frame: Any) -> list[Any]:
        """The frames of the message that begins with `frame`; large ones are not copied here."""
        frames = []
        while True:
            frames.append(frame.bytes if len(frame) < _LARGE else frame)
            if not frame.more:
                return frames
            frame = receive_frame(self._source, NOBLOCK, False)

    def _cross(self, frames: list[Any]) -> None:
        self.held = frames
        sent = self._target.transmit(frames)
        self.held = []
        if sent:
            self.messages += 1
            self.bytes += sum(map(len, frames))
        if self._seen is not None:
            copied = [bytes(frame) for frame in frames]
            self._seen(shown(copied) if self._source.names or self._target.names else copied)
