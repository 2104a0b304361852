"""zbus endpoints to be killed: forked from one process that has imported all they need, so that they start at once.

It reads ``ROLE ADDRESS`` lines, with more words for some roles. Each makes a child, which says ``PID ADDRESS`` once
it serves. To ``mark`` it says the same: what was said before it is old.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from time import monotonic

import broadcast
import gevent
from gevent.event import Event

from zbus import AddressInUse, Message, Publisher, Pull, Replier, Requester
from zbus.green import ipc


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def server(address: str) -> None:
    """Returns its pid and what it was sent; holds on to a ``hold``, a call that never ends."""

    def handle(message: Message) -> object:
        if message.body == "hold":
            say("holding")
            Event().wait()
        return [os.getpid(), message.body]

    with Replier(handle, bind=address, concurrency=128) as replier:
        say(os.getpid(), replier.addresses[0])
        Event().wait()


def publisher(address: str) -> None:
    """Publishes 1, 2, 3 to the first subscriber, numbered."""
    with Publisher(bind=address, sequenced=True) as endpoint:
        say(os.getpid(), endpoint.addresses[0])
        endpoint.wait_for_subscribers("px", timeout=20)
        for number in (1, 2, 3):
            endpoint.publish("px", number)
        Event().wait()


def worker(address: str) -> None:
    """Binds, or connects to ``+address``, and says each message."""
    where = {"connect": address[1:]} if address.startswith("+") else {"bind": address}
    with Pull(**where) as pull:
        say(os.getpid(), pull.addresses[0])
        for message in pull:
            say("took", message.body)


def asker(address: str) -> None:
    """Asks for ``hold``, which never ends."""
    with Requester(connect=address) as requester:
        say(os.getpid(), address)
        requester.request("hold", timeout=None)


def racer(address: str, when: str) -> None:
    """Binds at a point of monotonic time, with a while between looking whether that is taken and doing it, and says how
    that went."""
    say(os.getpid(), address)
    look = ipc.is_live
    ipc.is_live = lambda address: (look(address), gevent.sleep(0.05))[0]
    pull = Pull(bind=address)
    while monotonic() < float(when):
        continue
    try:
        pull.start()
    except AddressInUse:
        say("taken")
    else:
        say("bound")
        pull.recv()


def parent(address: str) -> None:
    """Is bound, and has a child that outlives it."""
    with Pull(bind=address) as pull:
        came, told = os.pipe()
        if os.fork() == 0:
            os.write(told, b"x")
            signal.pause()
        os.read(came, 1)
        say(os.getpid(), address)
        pull.recv()


ROLES = {role.__name__: role for role in (server, publisher, worker, asker, racer, parent)} | broadcast.ROLES


def main(roles: dict[str, Callable[..., None]]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them here
    say("ready")
    for line in iter(sys.stdin.readline, ""):
        role, *words = line.split()
        if role == "mark":
            say("mark")
        elif os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            roles[role](*words)
            os._exit(0)


if __name__ == "__main__":
    main(ROLES)
