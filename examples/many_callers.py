"""Two requests at once over one client: no lock step of send and receive.

With a plain REQ socket the second request raises "operation cannot be accomplished in current state". Here any number
of greenlets share one client, and each gets the reply to its own request. The server below answers the one who comes
second first, so there are two requests under way, and neither waits for the other one's reply.

    $ python examples/many_callers.py
    first asks
    second asks
    second got: World to second
    first got: World to first

The same in two terminals, in either order; the server serves until Ctrl-C:

    $ python examples/many_callers.py server --bind tcp://127.0.0.1:5556
    $ python examples/many_callers.py client --connect tcp://127.0.0.1:5556
"""

from __future__ import annotations

import argparse

import gevent
from gevent.event import Event

import zbus

ADDRESS = "tcp://127.0.0.1:5556"

overtaken = Event()


def answer(message: zbus.Message) -> str:
    """Let the first caller wait until the second has been here; a handler that waits holds up nobody else."""
    if message.body == "first":
        overtaken.wait()
        overtaken.clear()
    else:
        overtaken.set()
    return f"World to {message.body}"


def ask(client: zbus.Requester, name: str) -> None:
    print(name, "asks")
    reply = client.request(name)
    print(f"{name} got:", reply)


def ask_twice_at_once(client: zbus.Requester) -> None:
    gevent.joinall([gevent.spawn(ask, client, name) for name in ("first", "second")], raise_error=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", nargs="?", choices=["server", "client"])
    parser.add_argument("--bind", default=ADDRESS)
    parser.add_argument("--connect", default=ADDRESS)
    args = parser.parse_args()

    if args.role == "server":
        zbus.Replier(answer, bind=args.bind).run()
    elif args.role == "client":
        with zbus.Requester(connect=args.connect) as client:
            ask_twice_at_once(client)
    else:
        with zbus.Replier(answer, bind=args.bind) as server, zbus.Requester(connect=server.addresses) as client:
            ask_twice_at_once(client)


if __name__ == "__main__":
    main()
