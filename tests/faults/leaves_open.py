"""Programs that end with everything open; the first argument says in what state, the second where a peer is.

Each says ``leaving`` when there is nothing more to do but to exit.
"""

from __future__ import annotations

import sys

import gevent

import zbus
import zbus.devices

TCP = "tcp://127.0.0.1:*"
NOBODY = "tcp://127.0.0.1:9"
kept: list[zbus.Endpoint | zbus.Bus] = []  # as a program's global names keep them


def opened() -> list[zbus.Endpoint]:
    """One endpoint of each kind, open, with nobody at the other end."""
    endpoints = [
        zbus.Pair(bind=TCP),
        zbus.Push(bind=TCP, batch=zbus.Batch(seconds=30)),
        zbus.Pull(bind=TCP),
        zbus.Publisher(bind=TCP, last_value=True, batch=zbus.Batch(seconds=30)),
        zbus.Subscriber(connect=NOBODY, topics="#"),
        zbus.Requester(connect=NOBODY),
        zbus.Replier(lambda message: message.body, bind=TCP),
    ]
    for endpoint in endpoints:
        endpoint.start()
    kept.extend(endpoints)
    return endpoints


def idle(peer: str) -> None:
    """Nothing was done with them."""
    opened()


def unsent(peer: str) -> None:
    """Batches are open, and one of them is for nobody."""
    endpoints = opened()
    endpoints[1].send("lost")
    endpoints[3].publish("a", "of no interest")


def parked(peer: str) -> None:
    """Greenlets wait in every verb that waits."""
    pair, push, pull, publisher, subscriber, requester, _ = opened()
    for function, *arguments in (
        (pair.recv,),
        (pair.send, 1),
        (push.flush,),
        (pull.recv,),
        (list, pull),
        (subscriber.recv,),
        (requester.request, 1),
        (push.wait_for_peers,),
        (publisher.wait_for_subscribers, "a"),
    ):
        gevent.spawn(function, *arguments)
    gevent.idle()


def handling(peer: str) -> None:
    """A handler is at work for a caller who waits."""
    begun = gevent.event.Event()

    def handle(message: zbus.Message) -> None:
        begun.set()
        gevent.event.Event().wait()

    replier = zbus.Replier(handle, bind=TCP)
    requester = zbus.Requester(connect=replier.addresses[0])
    kept.extend((replier, requester))
    gevent.spawn(requester.request, 1)
    begun.wait(5)


def owned(peer: str) -> None:
    """A bus owns all of it: a dispatcher that dispatches, a callback at work, a device, a greenlet."""
    begun = gevent.event.Event()

    def handle(message: zbus.Message) -> None:
        begun.set()
        gevent.event.Event().wait()

    bus = zbus.Bus()
    kept.append(bus)
    dispatcher = bus.add(zbus.Dispatcher(concurrency=2))
    pull = dispatcher.add(bus.add(zbus.Pull(bind=TCP)), handle)
    push = bus.add(zbus.Push(connect=pull.addresses))
    bus.add(zbus.devices.queue(TCP, TCP))
    bus.spawn(gevent.event.Event().wait)
    bus.start()
    push.send("work")
    begun.wait(5)


def undelivered(peer: str) -> None:
    """Messages are queued for nobody."""
    push = zbus.Push(connect=NOBODY)
    kept.append(push)
    for number in range(500):
        push.send(number)


def sending(peer: str) -> None:
    """The last of many messages was sent just now."""
    push = zbus.Push(connect=peer)
    kept.append(push)
    for number in range(20_000):
        push.send(number)


def batching(peer: str) -> None:
    """The same, most of them in an open batch."""
    push = zbus.Push(connect=peer, batch=zbus.Batch(messages=30_000, seconds=30))
    kept.append(push)
    push.wait_for_peers(timeout=5)
    for number in range(20_000):
        push.send(number)


def exiting(peer: str) -> None:
    """`sys.exit` in the middle."""
    opened()
    sys.exit(3)


STATES = {
    state.__name__: state for state in (idle, unsent, parked, handling, owned, undelivered, sending, batching, exiting)
}

if __name__ == "__main__":
    try:
        STATES[sys.argv[1]](sys.argv[2])
    finally:
        print("leaving", flush=True)
