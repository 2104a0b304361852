"""Programs that a signal ends; the first argument says which, the second where a peer is.

Each says ``ready`` when the signal may come, and in the end for how long the loop stood still since, where that is
measured. What leads to the signal is spawned after the start: then it begins once `run` listens to signals.
"""

from __future__ import annotations

import os
import signal
import sys
from time import monotonic

import gevent
from gevent.event import Event

import zbus

TCP = "tcp://127.0.0.1:*"
LINGER = 1.5

stalls = [0.0]
bus = zbus.Bus()


def tick() -> None:
    while True:
        before = monotonic()
        gevent.sleep(0.005)
        stalls.append(monotonic() - before - 0.005)


def ready() -> None:
    stalls[:] = [0.0]
    print("ready", flush=True)


def fill(peer: str, linger: float) -> None:
    """The peer is connected and reads nothing, or has gone: all that is sent from now on stays here."""
    push = bus.add(zbus.Push(connect=peer, linger=linger))
    batch = bus.add(zbus.Push(connect=peer, linger=linger, batch=zbus.Batch(messages=100_000, seconds=60)))
    bus.add(zbus.Requester(connect=peer, linger=linger))
    bus.start()
    for one in (push, batch):
        one.wait_for_peers(timeout=10)
    print("connected", flush=True)
    sys.stdin.readline()
    for number in range(500):
        push.send(bytes(20_000), timeout=5)
        batch.send(number, timeout=5)
    gevent.spawn(tick)
    gevent.spawn(ready)


def pending(peer: str) -> None:
    fill(peer, LINGER)
    bus.run()


def pending_for_long(peer: str) -> None:
    def stopping() -> None:
        while bus.state != "stopping":
            gevent.sleep(0.001)
        print("stopping", flush=True)

    gevent.spawn(stopping)
    fill(peer, 60.0)
    bus.run()


def interrupt(message: object) -> str:
    """Ctrl-C while a callback computes."""
    ready()
    os.kill(os.getpid(), signal.SIGINT)
    until = monotonic() + 0.05
    while monotonic() < until:
        continue
    return "replied"


def handler(peer: str) -> None:
    """Of a server: its reply still goes out."""
    server = bus.add(zbus.Replier(interrupt, bind=TCP))
    client = bus.add(zbus.Requester(connect=server.addresses))
    bus.start()
    calling = gevent.spawn(client.request, "now", timeout=5)
    bus.run()
    assert calling.value == "replied"


def callback(peer: str) -> None:
    """Of a dispatcher."""
    dispatcher = zbus.Dispatcher()
    with zbus.Pull(bind=TCP) as pull, zbus.Push(connect=pull.addresses) as push:
        dispatcher.add(pull, interrupt)
        dispatcher.start()
        gevent.spawn(push.send, "now")
        dispatcher.run()


def notice(peer: str) -> None:
    """Of an endpoint's events."""
    pull = bus.add(zbus.Pull(bind=TCP, on_event=lambda event: event.kind == "connected" and interrupt(event)))
    push = zbus.Push(connect=pull.addresses)
    bus.start()
    gevent.spawn(push.start)
    bus.run()
    push.close()


def waiting(peer: str) -> None:
    """Nobody runs anything: Python's own way, with greenlets that wait."""

    def recv() -> str:
        try:
            return repr(pull.recv())
        except zbus.Closed as error:
            return type(error).__name__

    try:
        with zbus.Pull(bind=TCP) as pull:
            receiving = [gevent.spawn(recv) for _ in range(3)]
            gevent.spawn(ready)
            Event().wait()
    except KeyboardInterrupt:
        gevent.joinall(receiving, timeout=5)
        assert [greenlet.value for greenlet in receiving] == ["Closed"] * 3


PROGRAMS = {program.__name__: program for program in (pending, pending_for_long, handler, callback, notice, waiting)}

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent in the background would have it ignored
    PROGRAMS[sys.argv[1]](sys.argv[2])
    print(max(stalls), flush=True)
