"""Two peers that talk as they like: any number of messages either way, no lock step, and never a third one.

    $ python examples/pair.py
    server: refused a second peer: a PAIR has one peer, and one is connected
    client: greeting 1
    server: thank you for greeting 1
    server: and a good day to you
    client: greeting 2
    server: thank you for greeting 2
    server: and a good day to you
    client: greeting 3
    server: thank you for greeting 3
    server: and a good day to you
    client: goodbye
    server: goodbye

The same in two terminals, in either order (start a second client meanwhile, and the server tells of it):

    $ python examples/pair.py server --bind tcp://127.0.0.1:5556 --interval 1
    $ python examples/pair.py client --connect tcp://127.0.0.1:5556
"""

from __future__ import annotations

import argparse

import gevent
from gevent.event import Event

import zbus

ADDRESS = "tcp://127.0.0.1:5556"

refused = Event()


def tell(event: zbus.EndpointEvent) -> None:
    if event.kind == "refused":
        print("server: refused a second peer:", event.reason)
        refused.set()


def serve(pair: zbus.Pair, count: int, interval: float) -> None:
    """Greet at our own pace; what the client says is printed meanwhile, whenever it comes."""
    pair.wait_for_peers()
    listener = gevent.spawn(listen, pair)
    for number in range(1, count + 1):
        pair.send(f"greeting {number}")
        gevent.sleep(interval)
    pair.send("goodbye")
    listener.join()


def listen(pair: zbus.Pair) -> None:
    for message in pair:
        print("server:", message.body)
        if message.body == "goodbye":
            return


def answer(pair: zbus.Pair) -> None:
    """Say two things to each greeting, until goodbye."""
    for message in pair:
        print("client:", message.body)
        if message.body == "goodbye":
            pair.send("goodbye")
            return
        pair.send(f"thank you for {message.body}")
        pair.send("and a good day to you")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", nargs="?", choices=["server", "client"])
    parser.add_argument("--bind", default=ADDRESS)
    parser.add_argument("--connect", default=ADDRESS)
    parser.add_argument("--count", type=int, default=3, help="greetings")
    parser.add_argument("--interval", type=float, default=0.2, help="seconds between two greetings")
    args = parser.parse_args()

    if args.role == "server":
        with zbus.Pair(bind=args.bind, on_event=tell) as pair:
            serve(pair, args.count, args.interval)
    elif args.role == "client":
        with zbus.Pair(connect=args.connect) as pair:
            answer(pair)
    else:
        with zbus.Pair(bind=args.bind, on_event=tell) as server, zbus.Pair(connect=server.addresses) as client:
            server.wait_for_peers()
            with zbus.Pair(connect=server.addresses):
                refused.wait(timeout=5)
            roles = [gevent.spawn(serve, server, args.count, args.interval), gevent.spawn(answer, client)]
            gevent.joinall(roles, raise_error=True)


if __name__ == "__main__":
    main()
