"""A streamer: feeders on one side, workers on the other. The work is shared evenly, whoever fed it.

    $ python examples/streamer.py
    streamer: feeders at 5559, workers at 5560
    worker-1: #0
    worker-2: #1
    worker-1: #2
    worker-2: #3
    ...
    worker-1: #8
    worker-2: #9
    streamer: 10 messages crossed

The same in four terminals, in any order; the streamer and its workers go on until Ctrl-C:

    $ python examples/streamer.py streamer
    $ python examples/streamer.py worker --name 1
    $ python examples/streamer.py worker --name 2
    $ python examples/streamer.py feeder
"""

from __future__ import annotations

import argparse
from itertools import islice

import gevent

import zbus
from zbus import devices

FEEDERS, WORKERS = "tcp://127.0.0.1:5559", "tcp://127.0.0.1:5560"
COUNT = 10


def streamer(feeders: str, workers: str) -> devices.Device:
    """The device, with options of its own for each side; once it is bound it says where."""
    device = devices.streamer(devices.Side(bind=feeders, high_water_mark=100), devices.Side(bind=workers))
    ports = [side.addresses[0].rpartition(":")[2] for side in (device.frontend, device.backend)]
    print("streamer: feeders at {}, workers at {}".format(*ports), flush=True)
    return device


def feed(address: str) -> None:
    with zbus.Push(connect=address, linger=None) as feeder:  # also if the streamer is not there yet
        for number in range(COUNT):
            feeder.send({"num": number})


def work(name: int, worker: zbus.Pull, count: int | None = None) -> None:
    for message in islice(worker, count):
        print(f"worker-{name}: #{message.body['num']}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", nargs="?", choices=["streamer", "feeder", "worker"])
    parser.add_argument("--feeders", default=FEEDERS, help="where the streamer binds for feeders")
    parser.add_argument("--workers", default=WORKERS, help="where it binds for workers")
    parser.add_argument("--name", type=int, default=1, help="the number of the worker")
    args = parser.parse_args()

    if args.role == "streamer":
        streamer(args.feeders, args.workers).run()
    elif args.role == "feeder":
        feed(args.feeders)
    elif args.role == "worker":
        with zbus.Pull(connect=args.workers) as worker:
            work(args.name, worker)
    else:
        with streamer(args.feeders, args.workers) as device:
            back = device.backend.addresses[0]
            with zbus.Pull(connect=back) as one:
                device.backend.wait_for_peers(1)  # who is there first gets the first number
                with zbus.Pull(connect=back) as other:
                    device.backend.wait_for_peers(2)
                    working = [gevent.spawn(work, name, worker, COUNT // 2) for name, worker in ((1, one), (2, other))]
                    feed(device.frontend.addresses[0])
                    gevent.joinall(working)
        print(f"streamer: {device.statistics().messages_in} messages crossed")


if __name__ == "__main__":
    main()
