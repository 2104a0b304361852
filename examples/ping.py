"""A queue between two peers: one sends faster than the other reads, and nothing is thrown away.

What is not read yet waits in two queues of `high_water_mark` messages, the sender's and the receiver's (over tcp the
system's own buffers hold some more). When all are full, `send` waits for room, for as long as its timeout says.

    $ python examples/ping.py
    bound: 8 pings fit while nobody reads (2 queues of 4); then send waits
    client: sent ping 1
    client: sent ping 2
    client: sent ping 3
    ...
    server: read ping 1 and ping 2
    ...
    server: read ping 9 and ping 10

The same in two terminals, in either order:

    $ python examples/ping.py server --bind tcp://127.0.0.1:5556 --every 5
    $ python examples/ping.py client --connect tcp://127.0.0.1:5556 --interval 0.5
"""

from __future__ import annotations

import argparse

import gevent

import zbus

ADDRESS = "tcp://127.0.0.1:5556"


def fill(high_water_mark: int) -> None:
    """Send to somebody who does not read, never waiting, until there is no room."""
    with (
        zbus.Pair(bind="inproc://ping", high_water_mark=high_water_mark) as reader,
        zbus.Pair(connect=reader.addresses, high_water_mark=high_water_mark) as writer,
    ):
        fit = 0
        try:
            while True:
                writer.send(f"ping {fit + 1}", timeout=0)
                fit += 1
        except zbus.TimeoutExpired:
            print(f"bound: {fit} pings fit while nobody reads (2 queues of {high_water_mark}); then send waits")


def read(pair: zbus.Pair, count: int, every: float) -> None:
    """Read two at a time, now and then."""
    for _ in range(0, count, 2):
        gevent.sleep(every)
        print("server: read", pair.recv().body, "and", pair.recv().body)


def send(pair: zbus.Pair, count: int, interval: float) -> None:
    pair.wait_for_peers()
    for number in range(1, count + 1):
        pair.send(f"ping {number}")
        print(f"client: sent ping {number}")
        gevent.sleep(interval)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", nargs="?", choices=["server", "client"])
    parser.add_argument("--bind", default=ADDRESS)
    parser.add_argument("--connect", default=ADDRESS)
    parser.add_argument("--count", type=int, default=10, help="pings, an even number")
    parser.add_argument("--interval", type=float, default=0.02, help="seconds between two pings")
    parser.add_argument("--every", type=float, default=0.2, help="seconds between two reads")
    parser.add_argument("--high-water-mark", type=int, default=4, help="messages that may wait, on each side")
    args = parser.parse_args()
    bound = {"high_water_mark": args.high_water_mark}

    if args.role == "server":
        with zbus.Pair(bind=args.bind, **bound) as pair:
            read(pair, args.count, args.every)
    elif args.role == "client":
        with zbus.Pair(connect=args.connect, **bound) as pair:
            send(pair, args.count, args.interval)
    else:
        fill(args.high_water_mark)
        with zbus.Pair(bind=args.bind, **bound) as server, zbus.Pair(connect=server.addresses, **bound) as client:
            roles = [
                gevent.spawn(read, server, args.count, args.every),
                gevent.spawn(send, client, args.count, args.interval),
            ]
            gevent.joinall(roles, raise_error=True)


if __name__ == "__main__":
    main()
