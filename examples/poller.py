"""One worker reads two sockets, commands and topic messages, in the manner of a poller; a command ends it.

    $ python examples/poller.py
    command: Continue
    topic 9: number 1
    command: Continue
    topic 9: number 2
    ...
    command: Exit
    publisher: goes on without it

Commands go before topics if both are there. In three terminals, in any order; the publisher goes on until Ctrl-C:

    $ python examples/poller.py worker
    $ python examples/poller.py commander --interval 1
    $ python examples/poller.py publisher --interval 1

callbacks.py is the same worker without the ``if``.
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable
from contextlib import suppress
from itertools import count

import gevent

import zbus

COMMANDS, UPDATES = "tcp://127.0.0.1:5556", "tcp://127.0.0.1:5558"
TIMES = 3


def work(commands: str, updates: str) -> None:
    """Read both until a command says Exit."""
    with zbus.Pull(connect=commands) as pull, zbus.Subscriber(connect=updates, topics="9") as subscriber:
        dispatcher = zbus.Dispatcher()
        dispatcher.add(pull)
        dispatcher.add(subscriber)
        for endpoint, message in dispatcher:
            if endpoint is subscriber:
                print(f"topic {message.topic}: number {message.body}", flush=True)
            if endpoint is pull:
                print("command:", message.body, flush=True)
                if message.body == "Exit":
                    dispatcher.stop()


def command(push: zbus.Push, interval: float) -> None:
    """Tell the worker to go on a few times, and then to leave."""
    for _ in range(TIMES):
        push.send("Continue")
        gevent.sleep(interval)
    push.send("Exit")


def publish(publisher: zbus.Publisher, interval: float) -> None:
    """Number what is published under 8 and 9, until the publisher is closed."""
    with suppress(zbus.Closed):
        publisher.wait_for_subscribers("9")
        for number in count(1):
            gevent.sleep(interval / 2)
            for topic in ("8", "9"):
                publisher.publish(topic, number)
            gevent.sleep(interval / 2)


def whole(work: Callable[[str, str], None], commands: str, updates: str, interval: float) -> None:
    """All three in this process."""
    with zbus.Push(bind=commands) as push, zbus.Publisher(bind=updates) as publisher:
        publishing = gevent.spawn(publish, publisher, interval)
        worker = gevent.spawn(work, push.addresses[0], publisher.addresses[0])
        push.wait_for_peers()
        command(push, interval)
        worker.get()
        if not publishing.ready():
            print("publisher: goes on without it")
    publishing.get()


def main(work: Callable[[str, str], None], about: str) -> None:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", nargs="?", choices=["worker", "commander", "publisher"])
    parser.add_argument("--commands", default=COMMANDS, help="where commands are sent from")
    parser.add_argument("--updates", default=UPDATES, help="where updates are published")
    parser.add_argument("--interval", type=float, default=0.1, help="seconds between two commands, or two updates")
    args = parser.parse_args()

    if args.role == "worker":
        work(args.commands, args.updates)
    elif args.role == "commander":
        with zbus.Push(bind=args.commands) as push:
            command(push, args.interval)
    elif args.role == "publisher":
        with zbus.Publisher(bind=args.updates) as publisher:
            gevent.signal_handler(signal.SIGINT, publisher.close)
            publish(publisher, args.interval)
    else:
        whole(work, args.commands, args.updates, args.interval)


if __name__ == "__main__":
    main(work, __doc__)
