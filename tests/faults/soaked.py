"""The processes of the soak: each is one end of a pattern, at work until it is killed. See `children.py` for how."""

from __future__ import annotations

import os

import gevent
from children import main, say
from gevent.event import Event
from pace import FAST, PACE

import zbus


def server(address: str) -> None:
    """Returns what it was sent; a handler now and then waits."""

    def handle(message: zbus.Message) -> object:
        if message.body % 50 == 0:
            gevent.sleep(0.01)
        return message.body

    connect = address.startswith("+")
    where = {"connect": address[1:]} if connect else {"bind": address}
    with zbus.Replier(handle, **where, **FAST) as replier:
        say(os.getpid(), replier.addresses[0])
        Event().wait()


def caller(address: str) -> None:
    """Ten greenlets that ask; it says ``wrong`` if a reply is not theirs."""
    with zbus.Requester(connect=address, **FAST) as requester:

        def ask(number: int) -> None:
            while True:
                if requester.request(number, timeout=60, attempts=1000) != number:
                    say("wrong reply to", number)
                gevent.sleep(PACE)
                number += 10

        say(os.getpid(), address)
        gevent.joinall([gevent.spawn(ask, first) for first in range(10)], raise_error=True)


def publisher(address: str) -> None:
    """Publishes 1, 2, 3, … numbered."""
    with zbus.Publisher(bind=address, sequenced=True, **FAST) as endpoint:
        say(os.getpid(), endpoint.addresses[0])
        number = 0
        while True:
            number += 1
            endpoint.publish("px.a", [os.getpid(), number])
            gevent.sleep(PACE)


def listener(address: str) -> None:
    """Says ``wrong`` if what it hears from one publisher goes back, or more came and was missed than was sent."""
    with zbus.Subscriber(connect=address, topics="news.#", **FAST) as subscriber:
        say(os.getpid(), address)
        last = 0
        for message in subscriber:
            if message.body <= last:
                say("wrong order", last, message.body)
            last = message.body


def feeder(address: str) -> None:
    """Sends ``[pid, 1]``, ``[pid, 2]``, …"""
    with zbus.Push(connect=address, **FAST) as push:
        say(os.getpid(), address)
        number = 0
        while True:
            number += 1
            push.send([os.getpid(), number], timeout=None)
            gevent.sleep(PACE)


def worker(address: str) -> None:
    """Takes what it gets."""
    connect = address.startswith("+")
    where = {"connect": address[1:]} if connect else {"bind": address}
    with zbus.Pull(**where, **FAST) as pull:
        say(os.getpid(), pull.addresses[0])
        for _ in pull:
            continue


def mate(address: str) -> None:
    """The other end of a pair: sends back what comes."""
    with zbus.Pair(connect=address, **FAST) as pair:
        say(os.getpid(), address)
        for message in pair:
            pair.send(message.body, timeout=None)


if __name__ == "__main__":
    main({role.__name__: role for role in (server, caller, publisher, listener, feeder, worker, mate)})
