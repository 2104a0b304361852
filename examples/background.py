"""Devices in the background: a streamer and a queue, each in a process of its own, started and ended by this program.

Each side has options of its own: a high-water mark of 1 leaves little with a worker who dies, and lets requests wait
with their clients; an identity is the name that a ROUTER at the other end knows it by.

    $ python examples/background.py
    worker-1: #0
    worker-2: #1
    worker-1: #2
    worker-2: #3
    ...
    worker-1: #8
    worker-2: #9
    client: Hello 1 -> World
    client: Hello 2 -> World
    client: Hello 3 -> World
    main: 10 pieces of work and 3 requests crossed

With workers, server and client in terminals of their own; the devices go on until Ctrl-C:

    $ python examples/background.py devices
    $ python examples/background.py worker --name 1
    $ python examples/background.py server
    $ python examples/background.py feeder
    $ python examples/background.py client
"""

from __future__ import annotations

import argparse
from itertools import islice

import gevent
from gevent.event import Event

import zbus
from zbus import devices

FEEDERS, WORKERS = "tcp://127.0.0.1:5559", "tcp://127.0.0.1:5560"
CLIENTS, SERVERS = "tcp://127.0.0.1:5569", "tcp://127.0.0.1:5570"
PIECES, REQUESTS = 10, 3


def streamer(args: argparse.Namespace) -> devices.Device:
    front = devices.Side(bind=args.feeders, identity=b"the streamer")
    return devices.streamer(front, args.workers, runs_in="process")


def queue(args: argparse.Namespace) -> devices.Device:
    front, back = (devices.Side(bind=address, high_water_mark=1) for address in (args.clients, args.servers))
    return devices.queue(front, back, runs_in="process")


def feed(address: str) -> None:
    with zbus.Push(connect=address, linger=None) as feeder:  # also if the streamer is not there yet
        for number in range(PIECES):
            feeder.send({"num": number})


def work(name: int, worker: zbus.Pull, count: int | None = None) -> None:
    for message in islice(worker, count):
        print(f"worker-{name}: #{message.body['num']}", flush=True)


def server(address: str) -> zbus.Replier:
    return zbus.Replier(lambda message: "World", connect=address)


def ask(address: str) -> None:
    with zbus.Requester(connect=address) as client:
        for number in range(1, REQUESTS + 1):
            print(f"client: Hello {number} ->", client.request(f"Hello {number}"), flush=True)


def whole(args: argparse.Namespace) -> None:
    with streamer(args) as stream, queue(args) as asked, server(asked.backend.addresses[0]):
        back = stream.backend.addresses[0]
        with zbus.Pull(connect=back) as one:
            stream.backend.wait_for_peers(1)  # who is there first gets the first piece
            with zbus.Pull(connect=back) as other:
                stream.backend.wait_for_peers(2)
                working = [gevent.spawn(work, name, worker, PIECES // 2) for name, worker in ((1, one), (2, other))]
                feed(stream.frontend.addresses[0])
                gevent.joinall(working)
        ask(asked.frontend.addresses[0])
        print(f"main: {stream.statistics().messages_in} pieces of work and {REQUESTS} requests crossed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", nargs="?", choices=["devices", "worker", "server", "feeder", "client"])
    for side, address in {"feeders": FEEDERS, "workers": WORKERS, "clients": CLIENTS, "servers": SERVERS}.items():
        parser.add_argument(f"--{side}", default=address, help=f"where a device binds for {side}")
    parser.add_argument("--name", type=int, default=1, help="the number of the worker")
    args = parser.parse_args()

    if args.role == "devices":
        with streamer(args), queue(args):
            Event().wait()
    elif args.role == "worker":
        with zbus.Pull(connect=args.workers) as worker:
            work(args.name, worker)
    elif args.role == "server":
        server(args.servers).run()
    elif args.role == "feeder":
        feed(args.feeders)
    elif args.role == "client":
        ask(args.clients)
    else:
        whole(args)


if __name__ == "__main__":
    main()
