"""Four servers that serve five requests each and leave; a client whose twenty requests are all answered.

A server that stops refuses what it does not serve any more, and the client asks another one: no request is lost. With
one caller the replies go round; with more (`--callers 7`) they come as they come, and still every server serves five.

    $ python examples/farm.py
    client: request 1 served by 5550
    client: request 2 served by 5552
    client: request 3 served by 5554
    client: request 4 served by 5556
    client: request 5 served by 5550
    ...
    server 5550: served 5, leaving
    client: request 17 served by 5550
    ...
    server 5556: served 5, leaving
    client: request 20 served by 5556
    client: 20 answered: 5 by 5550, 5 by 5552, 5 by 5554, 5 by 5556

Each in a process of its own, in any order; the servers end by themselves:

    $ for port in 5550 5552 5554 5556; do python examples/farm.py server --bind tcp://127.0.0.1:$port & done
    $ python examples/farm.py client
"""

from __future__ import annotations

import argparse
from collections import Counter
from itertools import count

import gevent

import zbus

ADDRESSES = [f"tcp://127.0.0.1:{port}" for port in (5550, 5552, 5554, 5556)]


def server(address: str, share: int) -> zbus.Replier:
    """A server that stops with its last share of the work; that reply still goes out."""
    served = count(1)

    def answer(message: zbus.Message) -> str:
        if next(served) == share:
            print(f"server {port}: served {share}, leaving")
            replier.stop()
        return port

    replier = zbus.Replier(answer, bind=address)
    port = replier.addresses[0].rpartition(":")[2]
    return replier


def ask(client: zbus.Requester, servers: int, requests: int, callers: int) -> None:
    """Callers share the client and the numbers: each takes the next one, until all requests are made."""
    client.wait_for_peers(servers)
    numbers, answers = iter(range(1, requests + 1)), Counter()

    def call() -> None:
        for number in numbers:
            port = client.request(f"request {number}")
            answers[port] += 1
            print(f"client: request {number} served by {port}")

    gevent.joinall([gevent.spawn(call) for _ in range(callers)], raise_error=True)
    print(f"client: {answers.total()} answered:", ", ".join(f"{n} by {port}" for port, n in sorted(answers.items())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", nargs="?", choices=["server", "client"])
    parser.add_argument("--bind", nargs="+", default=ADDRESSES, help="one server each; the role takes the first")
    parser.add_argument("--connect", nargs="+", default=ADDRESSES)
    parser.add_argument("--share", type=int, default=5, help="requests that a server serves")
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--callers", type=int, default=1, help="greenlets that ask at the same time")
    args = parser.parse_args()

    if args.role == "server":
        server(args.bind[0], args.share).run()
    elif args.role == "client":
        with zbus.Requester(connect=args.connect) as client:
            ask(client, len(args.connect), args.requests, args.callers)
    else:
        servers = [server(address, args.share) for address in args.bind]
        with zbus.Bus() as bus:
            running = [bus.spawn(one.run) for one in servers]
            client = bus.add(zbus.Requester(connect=[one.addresses[0] for one in servers]))
            ask(client, len(servers), args.requests, args.callers)
            gevent.joinall(running, raise_error=True)


if __name__ == "__main__":
    main()
