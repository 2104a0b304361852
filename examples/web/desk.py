"""What the shop stands on, a process of its own: prices when asked, rates that move, a forwarder in the middle.

$ python examples/web/desk.py
desk: quotes at 5571, publishers at 5572, subscribers at 5573
"""

from __future__ import annotations

import argparse
import random

import gevent

import zbus
from zbus import devices

QUOTES, PUBLISHERS, SUBSCRIBERS = (f"tcp://127.0.0.1:{port}" for port in (5571, 5572, 5573))


def quote(message: zbus.Message) -> dict[str, object]:
    """What so many of something cost."""
    return {"sku": message.body["sku"], "price": 100 + message.body["sku"] % 17}


def move(publisher: zbus.Publisher, interval: float) -> None:
    """A rate that goes up and down."""
    draw, rate = random.Random("eurusd"), 1.08
    while True:
        rate += draw.gauss(0, 0.001)
        publisher.publish("rates.eurusd", round(rate, 4))
        gevent.sleep(interval)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quotes", default=QUOTES)
    parser.add_argument("--publishers", default=PUBLISHERS)
    parser.add_argument("--subscribers", default=SUBSCRIBERS)
    parser.add_argument("--interval", type=float, default=0.2, help="seconds between two rates")
    args = parser.parse_args()

    bus = zbus.Bus(name="desk")
    server = bus.add(zbus.Replier(quote, bind=args.quotes))
    forwarder = bus.add(devices.forwarder(args.publishers, args.subscribers, last_value=True))
    bus.start()
    rates = bus.add(zbus.Publisher(connect=forwarder.frontend.addresses))
    bus.spawn(move, rates, args.interval)
    ports = [
        where[0].rpartition(":")[2]
        for where in (server.addresses, forwarder.frontend.addresses, forwarder.backend.addresses)
    ]
    print("desk: quotes at {}, publishers at {}, subscribers at {}".format(*ports), flush=True)
    bus.run()


if __name__ == "__main__":
    main()
