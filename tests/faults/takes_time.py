"""A program in which all that takes time is under way at once, each for the seconds that are its argument, while its
clock is changed.

It says ``waiting`` then, and in the end how long each took by the monotonic clock, and how far the wall clock moved.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from time import monotonic

import gevent
import zmq
from gevent.event import Event

import zbus
from zbus.filters import throttle
from zbus.green.context import open_socket
from zbus.wire.request import correlation

SECONDS = float(sys.argv[1])
TCP = "tcp://127.0.0.1:*"
LONG = 20.0

stack = ExitStack()
ran: list[object] = []
events: list[str] = []


def handle(message: zbus.Message) -> object:
    """Never ends but for a call that is to be remembered."""
    ran.append(message.body)
    if message.body != "remember":
        Event().wait()
    return message.body


replier = zbus.Replier(handle, bind=TCP)
stopping = zbus.Replier(handle, bind=TCP)
pull = stack.enter_context(zbus.Pull(bind=TCP))
push = stack.enter_context(zbus.Push(connect=pull.addresses, batch=zbus.Batch(seconds=SECONDS)))
idle = stack.enter_context(zbus.Pull(bind=TCP))
#: Pings every tenth of a second: three that are not answered in time would be told of.
watching = {"heartbeat": 0.1, "on_event": lambda event: events.append(event.kind)}
requester, retrying, other = (
    stack.enter_context(zbus.Requester(connect=where.addresses, **watching)) for where in (replier, replier, stopping)
)


def until(holds: Callable[[], object]) -> None:
    with gevent.Timeout(LONG):
        while not holds():
            gevent.sleep(0.001)


def deadline() -> None:
    requester.request(1, timeout=SECONDS)


def retry() -> None:
    call = gevent.spawn(took, partial(retrying.request, 2, timeout=2 * SECONDS, attempts=2))
    until(lambda: retrying.statistics().retried)
    call.kill()


def recv() -> None:
    idle.recv(timeout=SECONDS)


def peers() -> None:
    idle.wait_for_peers(timeout=SECONDS)


def batch() -> None:
    push.send("batched")
    pull.recv(timeout=LONG)


def drain() -> None:
    """A handler is at work that does not end."""
    stopping.stop(SECONDS)


def throttled() -> None:
    passed = throttle(SECONDS)(ticks())
    next(passed)
    next(passed)


def ticks() -> Iterator[zbus.Message]:
    for number in range(int(LONG / 0.01)):
        yield zbus.Message(number)
        gevent.sleep(0.01)


def took(function: Callable[[], object]) -> float:
    began = monotonic()
    with suppress(zbus.TimeoutExpired, zbus.Closed):
        function()
    return monotonic() - began


def main() -> None:
    caller = stack.enter_context(open_socket(zmq.DEALER))
    caller.connect(replier.addresses[0])
    call = [correlation(b"0123456789abcdef", None, repeatable=True), b"", b"\xa8remember"]
    caller.send_multipart(call)
    caller.recv_multipart(timeout=LONG)
    running = gevent.spawn(took, partial(other.request, 3, timeout=LONG))
    until(lambda: 3 in ran)
    apart = time.time() - monotonic(), gevent.get_hub().loop.now() - monotonic()
    waits = {
        wait.__name__: gevent.spawn(took, wait) for wait in (deadline, retry, recv, peers, batch, drain, throttled)
    }
    until(lambda: {1, 2} <= set(ran))
    print("waiting", flush=True)
    seconds = {name: wait.get() for name, wait in waits.items()}
    caller.send_multipart(call)
    caller.recv_multipart(timeout=LONG)
    found = {
        "seconds": seconds,
        "moved": [time.time() - monotonic() - apart[0], gevent.get_hub().loop.now() - monotonic() - apart[1]],
        "remembered": ran.count("remember"),
        "disconnected": events.count("disconnected") - (other.peers == 0),
    }
    running.kill()
    print(json.dumps(found), flush=True)
    replier.close()
    stack.close()


if __name__ == "__main__":
    main()
