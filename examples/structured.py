"""Messages with a structure: what goes in as a dict comes out as a dict, in msgpack on the wire.

    $ python examples/structured.py
    server: {'apples': 138, 'oranges': 583, 'bananas': 868}
    server: {'apples': 822, 'oranges': 783, 'bananas': 65}
    server: {'apples': 262, 'oranges': 121, 'bananas': 508}
    server: ...
    server: 50 orders with 27427 apples, 28667 oranges, 25025 bananas

The numbers are random, the same for the same `--seed`. In two terminals, in either order:

    $ python examples/structured.py server --bind tcp://127.0.0.1:5556
    $ python examples/structured.py client --connect tcp://127.0.0.1:5556 --seed 2
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from itertools import takewhile

import gevent

import zbus

ADDRESS = "tcp://127.0.0.1:5556"
FRUIT = ("apples", "oranges", "bananas")


def receive(pair: zbus.Pair) -> None:
    """Add up orders until None says that there are no more."""
    orders, total = 0, Counter()
    for message in takewhile(lambda message: message.body is not None, pair):
        orders += 1
        total.update(message.body)
        if orders <= 4:
            print("server:", message.body if orders <= 3 else "...")
    print(f"server: {orders} orders with", ", ".join(f"{total[fruit]} {fruit}" for fruit in FRUIT))


def send(pair: zbus.Pair, count: int, seed: int) -> None:
    draw = random.Random(seed)
    pair.wait_for_peers()
    for _ in range(count):
        pair.send({fruit: draw.randint(1, 1000) for fruit in FRUIT})
    pair.send(None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", nargs="?", choices=["server", "client"])
    parser.add_argument("--bind", default=ADDRESS)
    parser.add_argument("--connect", default=ADDRESS)
    parser.add_argument("--count", type=int, default=50, help="orders")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers")
    args = parser.parse_args()

    if args.role == "server":
        with zbus.Pair(bind=args.bind) as pair:
            receive(pair)
    elif args.role == "client":
        with zbus.Pair(connect=args.connect) as pair:
            send(pair, args.count, args.seed)
    else:
        with zbus.Pair(bind=args.bind) as server, zbus.Pair(connect=server.addresses) as client:
            roles = [gevent.spawn(receive, server), gevent.spawn(send, client, args.count, args.seed)]
            gevent.joinall(roles, raise_error=True)


if __name__ == "__main__":
    main()
