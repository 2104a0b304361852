"""Programs that hold more than a thousand descriptors: the first argument says what they open, the second when they
hold them, ``before`` it is open or ``after``; the third is a directory.

Each says what came through, a line a transport.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import gevent
from gevent.queue import Queue

import zbus
from zbus import devices

HELD = 1100
LONG = 10
stack = ExitStack()
opened: Any = stack.enter_context


def at(transport: str, name: str) -> str:
    """An address to bind to."""
    named = {"inproc": f"inproc://{name}", "ipc": f"ipc://{sys.argv[3]}/{name}"}
    return named.get(transport, "tcp://127.0.0.1:*")


def publish(publisher: zbus.Publisher, body: object) -> None:
    publisher.wait_for_subscribers("a", timeout=LONG)
    publisher.publish("a", body)


def endpoints() -> Iterator[None]:
    """One of each kind is bound; the other connects when there are many descriptors."""
    bound = []
    for transport in ("inproc", "ipc", "tcp"):
        pair = opened(zbus.Pair(bind=at(transport, "pair")))
        pull = opened(zbus.Pull(bind=at(transport, "pull")))
        publisher = opened(zbus.Publisher(bind=at(transport, "publisher")))
        replier = opened(zbus.Replier(lambda message: message.body, bind=at(transport, "replier")))
        bound.append((pair, pull, publisher, replier))
    yield
    for pair, pull, publisher, replier in bound:
        receiving = [pair, pull, opened(zbus.Subscriber(connect=publisher.addresses, topics="a"))]
        waiting = [gevent.spawn(one.recv, timeout=LONG) for one in receiving]
        opened(zbus.Pair(connect=pair.addresses)).send(1, timeout=LONG)
        opened(zbus.Push(connect=pull.addresses)).send(2, timeout=LONG)
        publish(publisher, 3)
        requester = opened(zbus.Requester(connect=replier.addresses))
        print(*(each.get().body for each in waiting), requester.request(4, timeout=LONG))


def every_device(runs_in: str, *transports: str) -> Iterator[None]:
    kinds = [devices.streamer, devices.forwarder, devices.queue, devices.monitored_queue]
    if runs_in == "thread":
        kinds.pop()
    bound = []
    for transport in transports:
        for kind in kinds:
            sides = [at(transport, f"{kind.__name__}{side}") for side in range(2 + ("mon" in kind.__name__))]
            bound.append(opened(kind(*sides, runs_in=runs_in)))
    yield
    for _ in transports:
        streamer, forwarder, *queues = bound[: len(kinds)]
        del bound[: len(kinds)]
        opened(zbus.Push(connect=streamer.frontend.addresses)).send(1, timeout=LONG)
        said = [opened(zbus.Pull(connect=streamer.backend.addresses)).recv(timeout=LONG).body]
        subscriber = opened(zbus.Subscriber(connect=forwarder.backend.addresses, topics="a"))
        publish(opened(zbus.Publisher(connect=forwarder.frontend.addresses)), 2)
        said.append(subscriber.recv(timeout=LONG).body)
        for number, queue in enumerate(queues, 3):
            opened(zbus.Replier(lambda message: message.body, connect=queue.backend.addresses))
            said.append(opened(zbus.Requester(connect=queue.frontend.addresses)).request(number, timeout=LONG))
        print(*said, *["-"] * (4 - len(said)))


def dispatcher() -> Iterator[None]:
    """A hundred endpoints on one."""
    one, heard = zbus.Dispatcher(), Queue()
    pulls = [one.add(opened(zbus.Pull(bind="tcp://127.0.0.1:*")), heard.put) for _ in range(100)]
    opened(one)
    yield
    for number, pull in enumerate(pulls):
        opened(zbus.Push(connect=pull.addresses)).send(number, timeout=LONG)
    print(sorted(heard.get(timeout=LONG).body for _ in pulls) == list(range(100)))


def bus() -> Iterator[None]:
    one, heard = zbus.Bus(), Queue()
    forwarder = one.add(devices.forwarder("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"))
    desk = one.add(zbus.Dispatcher())
    desk.topic("a")(heard.put)
    publisher = one.add(zbus.Publisher(connect=opened(forwarder).frontend.addresses))
    desk.add(one.add(zbus.Subscriber(connect=forwarder.backend.addresses)))
    opened(one)
    yield
    publish(publisher, 1)
    print(heard.get(timeout=LONG).body)


OPENS = {
    "endpoints": endpoints,
    "greenlet": partial(every_device, "greenlet", "inproc", "ipc", "tcp"),
    "thread": partial(every_device, "thread", "ipc", "tcp"),
    "process": partial(every_device, "process", "tcp"),
    "dispatcher": dispatcher,
    "bus": bus,
}


def main(what: str, when: str) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    if when == "before":
        held = [os.dup(0) for _ in range(HELD)]
    with stack:
        steps = OPENS[what]()
        next(steps)
        if when == "after":
            held = [os.dup(0) for _ in range(HELD)]
        assert len(held) == HELD
        next(steps, None)


if __name__ == "__main__":
    main(*sys.argv[1:3])
