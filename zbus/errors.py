"""Everything that zbus raises on purpose.

    ZbusError
     ├── Closed            you closed it, or are closing it
     ├── WrongThread       it belongs to the hub of another OS thread
     ├── TimeoutExpired    the time you gave is over; it may have happened   (a TimeoutError)
     │    └── Unavailable  nobody ever took it: it has not happened
     ├── AddressInUse      somebody else is bound there                      (an OSError)
     ├── InsecureBind      an open door: beyond this machine, or where other users come in
     ├── Denied            the other side will not have us
     ├── MessageTooLarge   over ``max_message_bytes``, told before anything is sent
     ├── Unsupported       this kind of thing cannot do that
     ├── ProtocolError     what came in is not what the wire allows
     └── RemoteError       the handler at the other end raised

A `ZbusError` is what the world did. Misuse (a wrong type, an address that cannot be one) is Python's own
`TypeError` or `ValueError`, raised at the call that is wrong.
"""

from __future__ import annotations

import errno

__all__ = [
    "AddressInUse",
    "Closed",
    "Denied",
    "InsecureBind",
    "MessageTooLarge",
    "ProtocolError",
    "RemoteError",
    "TimeoutExpired",
    "Unavailable",
    "Unsupported",
    "WrongThread",
    "ZbusError",
]


class ZbusError(Exception):
    """The root of what zbus raises."""


class Closed(ZbusError):
    """The endpoint, device or bus was closed, before the call or during it."""


class WrongThread(ZbusError):
    """A thing opened in one OS thread was used in another; sockets and hubs do not cross threads."""


class TimeoutExpired(ZbusError, TimeoutError):
    """The time allowed is over. What was asked may or may not have happened."""


class Unavailable(TimeoutExpired):
    """The time allowed is over and nobody ever took it, so it did not run: safe to repeat."""


class AddressInUse(ZbusError, OSError):
    """Another socket is bound to the address."""

    def __init__(self, message: str = "address already in use") -> None:
        super().__init__(errno.EADDRINUSE, message)

    def __str__(self) -> str:
        return str(self.args[-1])


class InsecureBind(ZbusError):
    """Without encryption an address was asked for that is beyond this machine, or an ipc path that is another user's or
    that other users can take."""


class Denied(ZbusError):
    """The other side refused us: an unknown key, a wrong key, or a rule."""


class MessageTooLarge(ZbusError):
    """The message is larger than ``max_message_bytes``; nothing was sent."""


class Unsupported(ZbusError):
    """What was asked is beyond this kind of thing; the message says why."""


class ProtocolError(ZbusError):
    """What came in breaks the wire's rules. It was counted and dropped."""


class RemoteError(ZbusError):
    """The handler at the other end raised.

    `type` is the name of what it raised there, `message` its text; no traceback crosses the wire.
    """

    def __init__(self, type: str, message: str) -> None:
        super().__init__(type, message)
        self.type = type
        self.message = message

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type
