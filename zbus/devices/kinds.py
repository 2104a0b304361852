"""The four devices as data: the socket of each side, and which ways messages cross."""

from __future__ import annotations

from dataclasses import dataclass

from ..green.options import DEALER, PUB, PULL, PUSH, REPLIES, ROUTER, SNDHWM, SUBSCRIPTIONS, VERBOSE, XPUB, XSUB, Flags

IN, OUT = "in", "out"


@dataclass(frozen=True)
class Socket:
    """One side: its libzmq type, its flags, those where the caller chose no high-water mark, and is what it was sent
    last worth waiting for?"""

    kind: int
    flags: Flags = ()
    unless_chosen: Flags = ()
    lingers: bool = True


@dataclass(frozen=True)
class Kind:
    """One device. ``in`` is from the frontend to the backend, ``out`` the other way."""

    name: str
    frontend: Socket
    backend: Socket
    ways: tuple[str, ...]
    monitor: Socket | None = None


# A queue's backend hands a worker one request at a time as far as libzmq lets it.
_CLIENTS = Socket(ROUTER, flags=((SNDHWM, REPLIES),))
_WORKERS = Socket(DEALER, unless_chosen=((SNDHWM, 1),))

QUEUE = Kind("queue", _CLIENTS, _WORKERS, (IN, OUT))
_PUBLISHERS = Socket(XSUB, flags=SUBSCRIPTIONS)
FORWARDER = Kind("forwarder", _PUBLISHERS, Socket(XPUB), (IN, OUT))
# Who subscribes to what others have subscribed to has to be seen, too.
RETAINING = Kind("forwarder", _PUBLISHERS, Socket(XPUB, flags=VERBOSE), (IN, OUT))
STREAMER = Kind("streamer", Socket(PULL, lingers=False), Socket(PUSH), (IN,))
MONITORED_QUEUE = Kind("monitored_queue", _CLIENTS, _WORKERS, (IN, OUT), Socket(PUB))

KINDS = {kind.name: kind for kind in (QUEUE, FORWARDER, STREAMER, MONITORED_QUEUE)}
