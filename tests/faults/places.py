"""Wherever somebody may connect: each kind of endpoint and each side of each device, and an honest exchange there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import zbus
from zbus import Curve, Pair, Publisher, Pull, Push, Replier, Requester, Subscriber, devices
from zbus.security.authorised import authorise
from zbus.security.keyfile import write_new

TCP = "tcp://127.0.0.1:*"


def echo(message: zbus.Message) -> Any:
    return message.body


@dataclass(frozen=True)
class Place:
    """An address, which type of socket is a peer there, an exchange that returns what it was given, how many messages
    have come in, good or bad, and how many peers there are."""

    address: str
    peer: str
    exchange: Callable[[Any], Any]
    came: Callable[[], int]
    peers: Callable[[], int]


def _endpoint(one: Any, peer: str, exchange: Callable[[Any], Any]) -> Place:
    def came() -> int:
        counts = one.statistics()
        return int(counts.received + counts.malformed + counts.late + counts.expired + counts.unmatched)

    one.wait_for_peers(timeout=5)
    return Place(one.addresses[0], peer, exchange, came, lambda: int(one.peers))


def _sent(sender: Any, receiver: Any, body: Any) -> Any:
    sender.send(body, timeout=5)
    return receiver.recv(timeout=5).body


def _published(publisher: Publisher, subscriber: Subscriber, body: Any) -> Any:
    publisher.publish("a", body)
    return subscriber.recv(timeout=5).body


def _asked(client: Requester, body: Any) -> Any:
    return client.request(body, timeout=5)


def pair(stack: ExitStack) -> Place:
    one = stack.enter_context(Pair(bind=TCP))
    return _endpoint(one, "PAIR", partial(_sent, stack.enter_context(Pair(connect=one.addresses)), one))


def push(stack: ExitStack) -> Place:
    one = stack.enter_context(Push(bind=TCP))
    return _endpoint(one, "PULL", partial(_sent, one, stack.enter_context(Pull(connect=one.addresses))))


def pull(stack: ExitStack) -> Place:
    one = stack.enter_context(Pull(bind=TCP))
    return _endpoint(one, "PUSH", partial(_sent, stack.enter_context(Push(connect=one.addresses)), one))


def publisher(stack: ExitStack) -> Place:
    one = stack.enter_context(Publisher(bind=TCP))
    other = stack.enter_context(Subscriber(connect=one.addresses, topics="a"))
    one.wait_for_subscribers("a", timeout=5)
    return _endpoint(one, "SUB", partial(_published, one, other))


def subscriber(stack: ExitStack) -> Place:
    one = stack.enter_context(Subscriber(bind=TCP, topics="#"))
    other = stack.enter_context(Publisher(connect=one.addresses))
    other.wait_for_subscribers("a", timeout=5)
    return _endpoint(one, "PUB", partial(_published, other, one))


def replier(stack: ExitStack) -> Place:
    one = stack.enter_context(Replier(echo, bind=TCP))
    return _endpoint(one, "DEALER", partial(_asked, stack.enter_context(Requester(connect=one.addresses))))


def requester(stack: ExitStack) -> Place:
    one = stack.enter_context(Requester(bind=TCP))
    stack.enter_context(Replier(echo, connect=one.addresses))
    return _endpoint(one, "ROUTER", partial(_asked, one))


def encrypted_replier(stack: ExitStack) -> Place:
    """One that wants a key of everybody."""
    folder = stack.enter_context(TemporaryDirectory(prefix="z"))
    server, client, admitted = (f"{folder}/{name}" for name in ("server.key", "client.key", "authorised"))
    public = write_new(server).decode()
    authorise(admitted, "zoe", write_new(client))
    one = stack.enter_context(Replier(echo, bind=TCP, security=Curve.server(server, authorised=admitted)))
    honest = Requester(connect=one.addresses, security=Curve.client(client, server=public))
    return _endpoint(one, "DEALER", partial(_asked, stack.enter_context(honest)))


#: Which type of socket is a peer at each side.
_PEERS = {
    "queue": {"frontend": "DEALER", "backend": "ROUTER"},
    "monitored_queue": {"frontend": "DEALER", "backend": "ROUTER", "monitor": "SUB"},
    "forwarder": {"frontend": "PUB", "backend": "SUB"},
    "streamer": {"frontend": "PUSH", "backend": "PULL"},
}


def _device(made: devices.Device, side: str, exchange: Callable[[Any], Any]) -> Place:
    def came() -> int:
        counts = made.statistics()
        return counts.messages_in + counts.messages_out

    view = getattr(made, side)
    view.wait_for_peers(timeout=5)
    return Place(view.addresses[0], _PEERS[made._kind.name][side], exchange, came, lambda: int(view.peers))


def _queue(side: str, stack: ExitStack, runs_in: devices.RunsIn = "greenlet") -> Place:
    made = stack.enter_context(devices.queue(TCP, TCP, runs_in=runs_in))
    stack.enter_context(Replier(echo, connect=made.backend.addresses))
    client = stack.enter_context(Requester(connect=made.frontend.addresses))
    return _device(made, side, partial(_asked, client))


def _monitored(side: str, stack: ExitStack) -> Place:
    made = stack.enter_context(devices.monitored_queue(TCP, TCP, TCP))
    stack.enter_context(Replier(echo, connect=made.backend.addresses))
    client = stack.enter_context(Requester(connect=made.frontend.addresses))
    stack.enter_context(Subscriber(connect=made.monitor.addresses, topics=b"", codec="frames"))
    return _device(made, side, partial(_asked, client))


def _forwarder(side: str, stack: ExitStack) -> Place:
    made = stack.enter_context(devices.forwarder(TCP, TCP))
    source = stack.enter_context(Publisher(connect=made.frontend.addresses))
    hearer = stack.enter_context(Subscriber(connect=made.backend.addresses, topics="a"))
    source.wait_for_subscribers("a", timeout=5)
    return _device(made, side, partial(_published, source, hearer))


def _streamer(side: str, stack: ExitStack) -> Place:
    made = stack.enter_context(devices.streamer(TCP, TCP))
    source = stack.enter_context(Push(connect=made.frontend.addresses))
    worker = stack.enter_context(Pull(connect=made.backend.addresses))
    return _device(made, side, partial(_sent, source, worker))


ENDPOINTS: dict[str, Callable[[ExitStack], Place]] = {
    made.__name__: made for made in (pair, push, pull, publisher, subscriber, replier, requester)
}
SIDES: dict[str, Callable[[ExitStack], Place]] = {
    f"{kind.replace('_', ' ')}'s {side}": partial(make, side)
    for kind, make in (
        ("queue", _queue),
        ("monitored_queue", _monitored),
        ("forwarder", _forwarder),
        ("streamer", _streamer),
    )
    for side in _PEERS[kind]
}
#: The same in an OS thread, where libzmq's own proxy moves what comes.
IN_A_THREAD = {f"{side} of a queue in a thread": partial(_queue, side, runs_in="thread") for side in _PEERS["queue"]}
PLACES = {**ENDPOINTS, **SIDES, **IN_A_THREAD}
ENCRYPTED: dict[str, Callable[[ExitStack], Place]] = {"replier that wants a key": encrypted_replier}
