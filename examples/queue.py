"""A queue: clients on one side, servers on the other; both come and go, the queue stays. Somebody may watch.

    $ python examples/queue.py
    queue: clients at 5559, servers at 5560, watchers at 5562
    client: Hello 1 -> World from server 1
    client: Hello 2 -> World from server 2
    client: Hello 3 -> World from server 1
    client: Hello 4 -> World from server 2
    watcher: in Hello 1
    watcher: out World from server 1
    ...
    watcher: in Hello 4
    watcher: out World from server 2
    queue: 4 requests, 4 replies

The same in five terminals, in any order, with as many servers and clients as you like; all but the client go on until
Ctrl-C:

    $ python examples/queue.py queue
    $ python examples/queue.py server --name 1
    $ python examples/queue.py server --name 2
    $ python examples/queue.py watcher
    $ python examples/queue.py client
"""

from __future__ import annotations

import argparse
from itertools import islice

import gevent
import msgpack

import zbus
from zbus import devices

CLIENTS, SERVERS, WATCHERS = "tcp://127.0.0.1:5559", "tcp://127.0.0.1:5560", "tcp://127.0.0.1:5562"
COUNT = 4


def queue(clients: str, servers: str, watchers: str) -> devices.Device:
    """The device; once it is bound it says where."""
    device = devices.monitored_queue(clients, servers, watchers)
    ports = [side.addresses[0].rpartition(":")[2] for side in (device.frontend, device.backend, device.monitor)]
    print("queue: clients at {}, servers at {}, watchers at {}".format(*ports), flush=True)
    return device


def tell_totals(device: devices.Device) -> None:
    total = device.statistics()
    print(f"queue: {total.messages_in} requests, {total.messages_out} replies")


def server(name: int, address: str) -> zbus.Replier:
    return zbus.Replier(lambda message: f"World from server {name}", connect=address)


def ask(address: str) -> None:
    with zbus.Requester(connect=address) as client:
        for number in range(1, COUNT + 1):
            print(f"client: Hello {number} ->", client.request(f"Hello {number}"), flush=True)


def watch(watcher: zbus.Subscriber, count: int | None = None) -> None:
    """Each message is its direction, the envelope, and the body, which is last."""
    for message in islice(watcher, count):
        direction, *_, body = message.body
        print("watcher:", direction.decode(), msgpack.unpackb(body), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", nargs="?", choices=["queue", "server", "client", "watcher"])
    parser.add_argument("--clients", default=CLIENTS, help="where the queue binds for clients")
    parser.add_argument("--servers", default=SERVERS, help="where it binds for servers")
    parser.add_argument("--watchers", default=WATCHERS, help="where it tells what crosses")
    parser.add_argument("--name", type=int, default=1, help="the number of the server")
    args = parser.parse_args()

    if args.role == "queue":
        device = queue(args.clients, args.servers, args.watchers)
        device.run()
        tell_totals(device)
    elif args.role == "server":
        server(args.name, args.servers).run()
    elif args.role == "client":
        ask(args.clients)
    elif args.role == "watcher":
        with zbus.Subscriber(connect=args.watchers, topics=b"", codec="frames") as watcher:
            watch(watcher)
    else:
        with queue(args.clients, args.servers, args.watchers) as device:
            back = device.backend.addresses[0]
            watchers = device.monitor.addresses
            with zbus.Subscriber(connect=watchers, topics=b"", codec="frames") as watcher, server(1, back):
                device.monitor.wait_for_peers()
                device.backend.wait_for_peers(1)  # who is there first gets the first request
                with server(2, back):
                    device.backend.wait_for_peers(2)
                    watching = gevent.spawn(watch, watcher, 2 * COUNT)
                    ask(device.frontend.addresses[0])
                    watching.join()
        tell_totals(device)


if __name__ == "__main__":
    main()
