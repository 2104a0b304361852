"""A forwarder: publishers on one side, subscribers on the other. What nobody subscribed to stays with its publisher.

    $ python examples/forwarder.py
    forwarder: publishers at 5559, subscribers at 5560
    subscriber: topic 9 from publisher 1
    subscriber: topic 9 from publisher 2
    forwarder: 2 publications crossed, of 18 published

The same in four terminals, in any order; the forwarder goes on until Ctrl-C:

    $ python examples/forwarder.py forwarder
    $ python examples/forwarder.py subscriber
    $ python examples/forwarder.py publisher --name 1
    $ python examples/forwarder.py publisher --name 2
"""

from __future__ import annotations

import argparse

import gevent

import zbus
from zbus import devices

PUBLISHERS, SUBSCRIBERS = "tcp://127.0.0.1:5559", "tcp://127.0.0.1:5560"
TOPICS = range(1, 10)


def forwarder(publishers: str, subscribers: str) -> devices.Device:
    """The device; once it is bound it says where."""
    device = devices.forwarder(publishers, subscribers)
    ports = [side.addresses[0].rpartition(":")[2] for side in (device.frontend, device.backend)]
    print("forwarder: publishers at {}, subscribers at {}".format(*ports), flush=True)
    return device


def publish(name: int, address: str) -> None:
    """One message a topic, once somebody wants topic 9: the forwarder passes subscriptions on, so this can be known."""
    with zbus.Publisher(connect=address) as publisher:
        publisher.wait_for_subscribers("9")
        for topic in TOPICS:
            publisher.publish(str(topic), f"publisher {name}")


def subscribe(address: str) -> None:
    """Hear topic 9 of both publishers."""
    with zbus.Subscriber(connect=address, topics="9") as subscriber:
        for _ in range(2):
            message = subscriber.recv()
            print(f"subscriber: topic {message.topic} from {message.body}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", nargs="?", choices=["forwarder", "publisher", "subscriber"])
    parser.add_argument("--publishers", default=PUBLISHERS, help="where the forwarder binds for publishers")
    parser.add_argument("--subscribers", default=SUBSCRIBERS, help="where it binds for subscribers")
    parser.add_argument("--name", type=int, default=1, help="the number of the publisher")
    args = parser.parse_args()

    if args.role == "forwarder":
        forwarder(args.publishers, args.subscribers).run()
    elif args.role == "publisher":
        publish(args.name, args.publishers)
    elif args.role == "subscriber":
        subscribe(args.subscribers)
    else:
        with forwarder(args.publishers, args.subscribers) as device:
            hearing = gevent.spawn(subscribe, device.backend.addresses[0])
            for name in (1, 2):
                publish(name, device.frontend.addresses[0])
            hearing.get()
        crossed, published = device.statistics().messages_in, 2 * len(TOPICS)
        print(f"forwarder: {crossed} publications crossed, of {published} published")


if __name__ == "__main__":
    main()
