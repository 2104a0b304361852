"""Roles of `children.py` that publish, listen, flood, and stand in between."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import cycle, pairwise
from time import monotonic

import gevent

from zbus import Publisher, Push, Subscriber, TimeoutExpired, devices

#: Seconds between two looks at the clock of what publishes at a rate.
PACE = 0.001
#: Seconds until a child ends that nobody kills; while a program only waits for subscribers, its loop has nothing to do.
LIFE = 600


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def at(address: str) -> dict[str, str]:
    """Where an endpoint is bound, or connects to: ``+address``."""
    return {"connect": address[1:]} if address.startswith("+") else {"bind": address}


def speaker(address: str) -> None:
    """Publishes 0 to 99 as soon as somebody has subscribed."""
    with Publisher(**at(address)) as publisher:
        say(os.getpid(), publisher.addresses[0])
        publisher.wait_for_subscribers("a.b", timeout=20)
        for number in range(100):
            publisher.publish("a.b", number)
        gevent.sleep(LIFE)


def keeper(address: str) -> None:
    """Publishes 0, 1 and 2 at once, and keeps the last for who comes late."""
    with Publisher(**at(address), last_value=True) as publisher:
        for number in range(3):
            publisher.publish("a.b", number)
        say(os.getpid(), publisher.addresses[0])
        gevent.sleep(LIFE)


def presser(address: str, rate: str, size: str, mark: str) -> None:
    """Publishes ``[pid, number, time, filling]``, so many a second, until SIGUSR1; then None, until all have left.

    In the end it says how many there were, and how long one took at most.
    """
    over: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, frame: over.append(number))
    filling, mine = b"x" * int(size), os.getpid()
    count, slowest = 0, 0.0
    with Publisher(bind=address, sequenced=True, high_water_mark=int(mark)) as publisher:
        say(mine, publisher.addresses[0])
        for _ in ticks(int(rate), int(mark) // 4):
            before = monotonic()
            publisher.publish("a", [mine, count, before, filling])
            slowest = max(slowest, monotonic() - before)
            count += 1
            if over:
                break
        with suppress(TimeoutExpired):
            while True:
                publisher.wait_for_subscribers("a", timeout=0)
                publisher.publish("a", None)
                gevent.sleep(0.02)
        say(json.dumps({"who": mine, "published": count, "slowest": slowest}))


def ticks(rate: int, most: int) -> Iterator[None]:
    """So many a second, and never more than `most` at once: time for which the system ran others is not made good."""
    due = monotonic()
    while True:
        now = monotonic()
        due = max(due, now - most / rate)
        while due < now:
            due += 1 / rate
            yield
        gevent.sleep(PACE)


def listener(address: str, mark: str) -> None:
    """Serves once it hears; when None has come it says what it heard: numbers, gaps and delays."""
    events = []
    numbers, delays = [], []
    with Subscriber(connect=address, topics="a", high_water_mark=int(mark), on_event=events.append) as subscriber:
        for message in subscriber:
            if message.body is None:
                break
            if not numbers:
                say(os.getpid(), address)
            numbers.append(message.body[1])
            delays.append(monotonic() - message.body[2])
        last = message.headers["sequence"][1] - 1
        counted = subscriber.statistics()
    delays.sort()
    gaps = [then - now - 1 for now, then in pairwise([*numbers, last]) if then != now + 1]
    summary = {
        "who": os.getpid(),
        "span": last - numbers[0],  # published from its first on
        "heard": len(numbers),
        "missed": counted.missed,
        "exact": gaps == [event.missed for event in events if event.kind == "gap"],
        "p99": delays[len(delays) * 99 // 100],
        "slowest": delays[-1],
    }
    say(json.dumps(summary))


def watcher(address: str) -> None:
    """Hears all that a monitor says, and keeps nothing."""
    with Subscriber(connect=address, topics=b"", codec="frames") as subscriber:
        say(os.getpid(), address)
        for _ in subscriber:
            continue


def flooder(address: str) -> None:
    """Sends as fast as it goes."""
    with Push(connect=address) as push:
        say(os.getpid(), address)
        while True:
            push.send(None)


def chatter(rate: str, *addresses: str) -> None:
    """Sends the time to each in turn, so many messages a second in all."""
    with ExitStack() as stack:
        pushes = [stack.enter_context(Push(connect=address)) for address in addresses]
        say(os.getpid(), *addresses)
        for push, _ in zip(cycle(pushes), ticks(int(rate), len(pushes)), strict=False):
            push.send(monotonic())


def device(kind: str, runs_in: str, *addresses: str) -> None:
    """A device, ``forwarder+last_value`` for one that retains; its pid is that of the process that moves messages."""
    name, _, keyword = kind.partition("+")
    options = {keyword: True} if keyword else {}
    one = getattr(devices, name)(*addresses, runs_in=runs_in, **options)
    one.start()
    process = getattr(one._engine, "_process", None)
    sides = [one.frontend, one.backend] + ([one.monitor] if len(addresses) > 2 else [])
    say(process.pid if process else os.getpid(), *(side.addresses[0] for side in sides))
    with suppress(OSError):  # its process was killed
        one.run()


ROLES = {role.__name__: role for role in (speaker, keeper, presser, listener, watcher, flooder, chatter, device)}
