"""Two weather stations publish under zip codes; a subscriber averages five updates of one zip code from both.

ZeroMQ drops what is published while nobody listens, so a station waits for its first subscriber: no update is missed at
the start. Later it waits for nobody: a subscriber that does not keep up misses what does not fit in its queue
(`high_water_mark`), and the station's memory does not grow.

    $ python examples/weather.py
    subscriber: 10001 has -6 degrees, says station 5556
    subscriber: 10001 has 91 degrees, says station 5556
    subscriber: 10001 has 59 degrees, says station 5546
    subscriber: 10001 has 3 degrees, says station 5546
    subscriber: 10001 has 44 degrees, says station 5556
    subscriber: 38.2 degrees on average of 5 updates, 2 by station 5546, 3 by station 5556

The numbers are random, but a station's are the same each time. In three terminals, in any order; a station publishes
until Ctrl-C:

    $ python examples/weather.py publisher --bind tcp://127.0.0.1:5556 --interval 1
    $ python examples/weather.py publisher --bind tcp://127.0.0.1:5546 --interval 1
    $ python examples/weather.py subscriber --connect tcp://127.0.0.1:5556 tcp://127.0.0.1:5546
"""

from __future__ import annotations

import argparse
import random
import signal
from collections import Counter
from contextlib import suppress
from itertools import islice
from statistics import mean

import gevent

import zbus

ADDRESSES = ["tcp://127.0.0.1:5556", "tcp://127.0.0.1:5546"]
ZIP = "10001"


def publish(publisher: zbus.Publisher, interval: float) -> None:
    """Tell the temperature somewhere between 9999 and 10004, now and then, until the publisher is closed."""
    station = publisher.addresses[0].rpartition(":")[2]
    draw = random.Random(f"weather {station}")
    with suppress(zbus.Closed):
        publisher.wait_for_subscribers(ZIP)
        while True:
            update = {"station": station, "temperature": draw.randint(-80, 134)}
            publisher.publish(str(draw.randint(9999, 10004)), update)
            gevent.sleep(interval)


def average(subscriber: zbus.Subscriber, stations: int, count: int) -> None:
    """Print so many updates and what they come to."""
    subscriber.wait_for_peers(stations)
    temperatures, by_station = [], Counter()
    for message in islice(subscriber, count):
        station, temperature = message.body["station"], message.body["temperature"]
        print(f"subscriber: {message.topic} has {temperature} degrees, says station {station}")
        temperatures.append(temperature)
        by_station[station] += 1
    shares = ", ".join(f"{updates} by station {station}" for station, updates in sorted(by_station.items()))
    print(f"subscriber: {mean(temperatures):.1f} degrees on average of {count} updates, {shares}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", nargs="?", choices=["publisher", "subscriber"])
    parser.add_argument("--bind", nargs="+", default=ADDRESSES, help="one station each; the role takes the first")
    parser.add_argument("--connect", nargs="+", default=ADDRESSES)
    parser.add_argument("--count", type=int, default=5, help="updates to average")
    parser.add_argument("--interval", type=float, default=0.03, help="seconds between two updates of a station")
    args = parser.parse_args()

    if args.role == "publisher":
        with zbus.Publisher(bind=args.bind[0]) as publisher:
            gevent.signal_handler(signal.SIGINT, publisher.close)
            publish(publisher, args.interval)
    elif args.role == "subscriber":
        with zbus.Subscriber(connect=args.connect, topics=ZIP) as subscriber:
            average(subscriber, len(args.connect), args.count)
    else:
        first, second = args.bind
        with (
            zbus.Publisher(bind=first) as one,
            zbus.Publisher(bind=second) as other,
            zbus.Subscriber(connect=[*one.addresses, *other.addresses], topics=ZIP) as subscriber,
        ):
            stations = [gevent.spawn(publish, publisher, args.interval) for publisher in (one, other)]
            average(subscriber, len(stations), args.count)
        gevent.joinall(stations, raise_error=True)


if __name__ == "__main__":
    main()
