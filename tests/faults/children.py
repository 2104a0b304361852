"""zbus endpoints to be killed: forked from one process that has imported all they need, so that they start at once.

It reads ``ROLE ADDRESS`` lines, with more words for some roles. Each makes a child, which says ``PID ADDRESS`` once
it serves. To ``mark`` it says the same: what was said before it is old.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

import broadcast
from gevent.event import Event

from zbus import Message, Publisher, Pull, Replier, Requester


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


ROLES = {role.__name__: role for role in (server, publisher, worker, asker)} | broadcast.ROLES


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
