"""A busy program that forks in the way that its argument names; parent and child say how each goes on.

The parent closes all when it hears ``close``, and lets the child go when it hears ``end``.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Callable
from typing import Any

import gevent
import gevent.os
from gevent.event import Event
from gevent.socket import wait_read

import zbus
from zbus import devices

TCP = "tcp://127.0.0.1:*"
CALLERS, CALLS = 20, 200
IDLE = 1.0


def handle(message: zbus.Message) -> object:
    if message.body == "hold":
        Event().wait()
    gevent.sleep(0.001)
    return message.body


lost: list[str] = []
failed: list[str] = []
done: list[int] = []
declared: dict[str, Any] = {}


def declare() -> None:
    """One of each kind."""
    replier = zbus.Replier(handle, bind=TCP)
    publisher = zbus.Publisher(bind=TCP)
    declared.update(
        replier=replier,
        publisher=publisher,
        requester=zbus.Requester(connect=replier.addresses, on_event=lambda event: lost.append(event.kind)),
        subscriber=zbus.Subscriber(connect=publisher.addresses, topics="never"),
        pull=zbus.Pull(bind=TCP),
        pair=zbus.Pair(bind=TCP),
        device=devices.streamer(TCP, TCP),
    )
    declared["push"] = zbus.Push(connect=declared["device"].frontend.addresses)
    declared["worker"] = zbus.Pull(connect=declared["device"].backend.addresses)
    for one in declared.values():
        one.start()


def ask() -> None:
    """Calls one after the other, and has a device carry each reply."""
    while True:
        try:
            answer = declared["requester"].request(len(done), timeout=10)
            declared["push"].send(answer, timeout=10)
            done.append(declared["worker"].recv(timeout=10).body)
        except BaseException as error:
            failed.append(type(error).__name__)
            return


def parked() -> list[gevent.Greenlet]:
    """Greenlets that wait, each for what does not come."""
    calls: list[Callable[[], object]] = [
        declared["pull"].recv,
        declared["pair"].recv,
        declared["subscriber"].recv,
        lambda: declared["pair"].send("for nobody"),
        lambda: declared["requester"].request("hold", timeout=None),
        declared["pull"].wait_for_peers,
        lambda: declared["publisher"].wait_for_subscribers("nothing"),
        lambda: declared["device"].frontend.wait_for_peers(9),
    ]

    def outcome(call: Callable[[], object]) -> str:
        try:
            return repr(call())
        except BaseException as error:
            return type(error).__name__

    return [gevent.spawn(outcome, call) for call in calls]


def say(who: str, **what: object) -> None:
    os.write(1, json.dumps({"who": who, **what}).encode() + b"\n")


def child(waiting: list[gevent.Greenlet], busy: list[gevent.Greenlet], stay: int) -> None:
    gevent.joinall([*waiting, *busy], timeout=5)
    there = declared["pull"].addresses
    with zbus.Push(connect=there) as push:
        push.send("anew")
        heard = declared["pull"].recv(timeout=5).body
    answered = declared["requester"].request("anew", timeout=5)
    reading = gevent.spawn(lambda: list(declared["pull"]))
    before = os.times()
    gevent.sleep(IDLE)
    after = os.times()
    say(
        "child",
        parked=[greenlet.value for greenlet in waiting],
        busy=sum(not greenlet.dead for greenlet in busy),
        states=sorted({one.state for name, one in declared.items() if name not in ("pull", "requester")}),
        anew=[heard, answered],
        address=there[0],
        cpu=(after.user + after.system - before.user - before.system) / IDLE,
    )
    wait_read(stay)
    reading.kill()
    say("child", alive=True)


def with_os(run: Callable[[], None]) -> None:
    if os.fork() == 0:
        run()
        os._exit(0)


def with_gevent(run: Callable[[], None]) -> None:
    if gevent.os.fork() == 0:
        run()
        os._exit(0)


def with_multiprocessing(run: Callable[[], None]) -> None:
    multiprocessing.get_context("fork").Process(target=run).start()


WAYS = {"os": with_os, "gevent": with_gevent, "multiprocessing": with_multiprocessing}


def main() -> None:
    declare()
    waiting, busy = parked(), [gevent.spawn(ask) for _ in range(CALLERS)]
    while len(done) < CALLS:
        gevent.sleep(0.001)
    stay, go = os.pipe()

    def run() -> None:
        os.close(go)
        child(waiting, busy, stay)

    before = len(lost)
    WAYS[sys.argv[1]](run)
    os.close(stay)
    wait_read(0)
    os.read(0, 100)
    say(
        "parent",
        calls=len(done) - CALLS,
        failed=failed,
        lost=lost[before:],
        parked=sum(not greenlet.dead for greenlet in waiting),
        missed=sum(one.statistics().missed_wakeups for one in declared.values()),
    )
    gevent.killall(busy)
    addresses = [*declared["replier"].addresses, *declared["pull"].addresses, *declared["device"].backend.addresses]
    for one in reversed(declared.values()):
        one.close()
    say("parent", closed=addresses)
    wait_read(0)
    os.close(go)


if __name__ == "__main__":
    main()
