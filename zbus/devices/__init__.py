"""Devices: the stable points of a network, between peers that come and go.

A side is an address to bind, or a `Side` with options. `start` returns when the device is bound, `stop` when it is
gone; `run` makes it the whole program.
"""

from __future__ import annotations

from collections.abc import Callable

from ..wire.message import Message
from .device import Device, RunsIn
from .kinds import FORWARDER, MONITORED_QUEUE, QUEUE, RETAINING, STREAMER
from .side import Side, side
from .statistics import DeviceStatistics

__all__ = ["Device", "DeviceStatistics", "Side", "forwarder", "monitored_queue", "queue", "streamer"]

Capture = Callable[[Message], object]


def queue(
    frontend: str | Side,
    backend: str | Side,
    *,
    runs_in: RunsIn = "greenlet",
    capture: Capture | None = None,
    name: str = "",
) -> Device:
    """Requests from many clients to many servers, each to the next one in turn, and the replies back (ROUTER, DEALER).

    Clients connect to the frontend, servers to the backend. A request waits with its client until some server is there
    and has room; the backend keeps a high-water mark of 1 unless told otherwise, so that little is lost with a server.
    What a dead server had is lost unless the call has ``attempts``. A server that stops refuses, and a zbus `Requester`
    asks the next one behind the queue: at once, then ever less often while all refuse.
    `capture` is called with a `Message` for each message that crosses: topic ``in`` or ``out``, its frames as the body.
    """
    return Device(QUEUE, _sides(frontend, backend), runs_in=runs_in, capture=capture, name=name)


def forwarder(
    frontend: str | Side,
    backend: str | Side,
    *,
    last_value: bool = False,
    runs_in: RunsIn = "greenlet",
    capture: Capture | None = None,
    name: str = "",
) -> Device:
    """Publications from many publishers to many subscribers, and their subscriptions the other way (XSUB, XPUB).

    Publishers connect to the frontend, subscribers to the backend. What nobody behind it asked for is not sent to it.
    With ``last_value=True`` who subscribes late gets the newest publication of each topic that has crossed; others who
    hear that topic may get it again, with the header ``retained``, unless its publisher numbers what it publishes.
    `capture` as for `queue`; ``out`` are the subscriptions.
    """
    kind = RETAINING if last_value else FORWARDER
    return Device(kind, _sides(frontend, backend), runs_in=runs_in, capture=capture, name=name)


def streamer(
    frontend: str | Side,
    backend: str | Side,
    *,
    runs_in: RunsIn = "greenlet",
    capture: Capture | None = None,
    name: str = "",
) -> Device:
    """Work from many feeders to many workers, each piece to the next one in turn (PULL, PUSH).

    Feeders connect to the frontend, workers to the backend; nothing is dropped while it runs. Before `stop` stop the
    feeders: it moves what still comes for half a second, and what libzmq has queued has its ``linger`` to leave.
    `capture` as for `queue`.
    """
    return Device(STREAMER, _sides(frontend, backend), runs_in=runs_in, capture=capture, name=name)


def monitored_queue(
    frontend: str | Side,
    backend: str | Side,
    monitor: str | Side,
    *,
    runs_in: RunsIn = "greenlet",
    capture: Capture | None = None,
    name: str = "",
) -> Device:
    """A `queue` whose traffic can be watched: `monitor` publishes each message, envelope included, behind a frame
    ``in`` or ``out`` (PUB). Nobody who watches slowly, or not at all, holds it up."""
    sides = _sides(frontend, backend)
    sides["monitor"] = side(monitor, "monitor")
    return Device(MONITORED_QUEUE, sides, runs_in=runs_in, capture=capture, name=name)


def _sides(frontend: str | Side, backend: str | Side) -> dict[str, Side]:
    return {"frontend": side(frontend, "frontend"), "backend": side(backend, "backend")}
