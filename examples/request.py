"""Requests to two servers: one client, connected to both, asks each in turn.

    $ python examples/request.py
    client: Hello 1 -> World from 5556
    client: Hello 2 -> World from 5546
    client: Hello 3 -> World from 5556
    ...
    client: Hello 10 -> World from 5546

The same in three terminals, in any order; a server serves until Ctrl-C:

    $ python examples/request.py server --bind tcp://127.0.0.1:5556
    $ python examples/request.py server --bind tcp://127.0.0.1:5546
    $ python examples/request.py client --connect tcp://127.0.0.1:5556 tcp://127.0.0.1:5546
"""

from __future__ import annotations

import argparse

import zbus

ADDRESSES = ["tcp://127.0.0.1:5556", "tcp://127.0.0.1:5546"]


def server(address: str) -> zbus.Replier:
    """A server that says where it is; what its handler returns is the reply."""

    def answer(message: zbus.Message) -> str:
        return f"World from {port}"

    replier = zbus.Replier(answer, bind=address)
    port = replier.addresses[0].rpartition(":")[2]
    return replier


def ask(client: zbus.Requester, servers: int, count: int) -> None:
    """With nobody else asking, calls go round the servers, so wait until all are there."""
    client.wait_for_peers(servers)
    for number in range(1, count + 1):
        print(f"client: Hello {number} ->", client.request(f"Hello {number}"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", nargs="?", choices=["server", "client"])
    parser.add_argument("--bind", nargs="+", default=ADDRESSES, help="one server each; the role takes the first")
    parser.add_argument("--connect", nargs="+", default=ADDRESSES)
    parser.add_argument("--count", type=int, default=10, help="requests")
    args = parser.parse_args()

    if args.role == "server":
        server(args.bind[0]).run()
    elif args.role == "client":
        with zbus.Requester(connect=args.connect) as client:
            ask(client, len(args.connect), args.count)
    else:
        first, second = args.bind
        with (
            server(first) as one,
            server(second) as other,
            zbus.Requester(connect=[*one.addresses, *other.addresses]) as client,
        ):
            ask(client, 2, args.count)


if __name__ == "__main__":
    main()
