"""A server is killed and started again, and the client goes on: it does not hang, and no call is lost.

With plain REQ "the client won't recover properly". Here a call is handed out again when its connection is lost, up to
`attempts` times, and waits while there is no server; all within its one `timeout`. (A server killed in the middle of a
call may have run it already, so more than one attempt is for what may run twice.)

    $ python examples/recover.py
    client: Hello 1 -> World from the first server
    client: Hello 2 -> World from the first server
    client: Hello 3 -> World from the first server
    -- the first server is killed, and a second one started
    client: Hello 4 -> World from the second server
    client: Hello 5 -> World from the second server
    client: Hello 6 -> World from the second server

By hand: kill the server with `kill -9`, start it again, and watch the client.

    $ python examples/recover.py server --bind tcp://127.0.0.1:5556 --name first
    $ python examples/recover.py client --connect tcp://127.0.0.1:5556 --count 100 --interval 0.5
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from itertools import islice

import gevent
from gevent.subprocess import Popen

import zbus

ADDRESS = "tcp://127.0.0.1:5556"


def serve(address: str, name: str) -> None:
    zbus.Replier(lambda message: f"World from the {name} server", bind=address).run()


def ask(client: zbus.Requester, numbers: Iterable[int], interval: float) -> None:
    for number in numbers:
        reply = client.request(f"Hello {number}", timeout=30, attempts=3)
        print(f"client: Hello {number} ->", reply, flush=True)
        gevent.sleep(interval)


def start_server(address: str, name: str) -> Popen:
    """The server in a process of its own, which can be killed."""
    return Popen([sys.executable, __file__, "server", "--bind", address, "--name", name])


def ask_while_it_is_killed(address: str, count: int, interval: float) -> None:
    numbers = iter(range(1, count + 1))
    server = start_server(address, "first")
    try:
        with zbus.Requester(connect=address) as client:
            ask(client, islice(numbers, count // 2), interval)
            print("-- the first server is killed, and a second one started", flush=True)
            server.kill()
            server.wait()
            server = start_server(address, "second")
            ask(client, numbers, interval)
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", nargs="?", choices=["server", "client"])
    parser.add_argument("--bind", default=ADDRESS)
    parser.add_argument("--connect", default=ADDRESS)
    parser.add_argument("--name", default="first", help="what the server calls itself")
    parser.add_argument("--count", type=int, default=6, help="requests")
    parser.add_argument("--interval", type=float, default=0.1, help="seconds between two requests")
    args = parser.parse_args()

    if args.role == "server":
        serve(args.bind, args.name)
    elif args.role == "client":
        with zbus.Requester(connect=args.connect) as client:
            ask(client, range(1, args.count + 1), args.interval)
    else:
        ask_while_it_is_killed(args.bind, args.count, args.interval)


if __name__ == "__main__":
    main()
