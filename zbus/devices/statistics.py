"""What a device counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatistics:
    """Counts since the device was opened, and how things stand now. ``in`` is from the frontend to the backend.

    In a thread libzmq counts, and it counts frames: of a request through a queue there are four or more.
    """

    messages_in: int = 0  #: messages that crossed to the backend; a forwarder's publications
    messages_out: int = 0  #: messages that crossed to the frontend; a queue's replies, a forwarder's subscriptions
    bytes_in: int = 0  #: of the former, all frames
    bytes_out: int = 0  #: of the latter
    waiting: int = 0  #: messages in hand that the far side has no room for now
    dropped: int = 0  #: replies whose client was gone or had no room
    capture_dropped: int = 0  #: messages that the capture callback was too slow for; they crossed all the same
    capture_failed: int = 0  #: times it raised
    stale: bool = False  #: a thread's proxy did not answer: these are its last figures
    missed_wakeups: int = 0  #: a defect of zbus if it is not 0
