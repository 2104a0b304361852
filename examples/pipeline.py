"""A pipeline: a producer hands out numbers, two consumers pass the even ones on, a collector counts who passed them.

Push hands out in turn, so the work is shared evenly, to the message. The results are not: of numbers in order, one
consumer gets all the even ones and the other the odd ones, none of which it passes on. An even share of the work is an
even share of the results only if the two have nothing to do with each other: `--shuffle` mixes the numbers (by chance,
so that the figures of the second run below vary).

    $ python examples/pipeline.py
    collector: the first 1000 results by consumer: {1: 1000}
    collector: consumer 1 took 10000 numbers, of which it passed on 10000
    collector: consumer 2 took 10000 numbers, of which it passed on 0

    $ python examples/pipeline.py --shuffle
    collector: the first 1000 results by consumer: {1: 497, 2: 503}
    collector: consumer 1 took 10000 numbers, of which it passed on 4987
    collector: consumer 2 took 10000 numbers, of which it passed on 5013

Each in a process of its own, in any order, since the producer waits for its consumers. (A consumer that dies takes its
queued work with it: a pipeline does not hand it out again.)

    $ python examples/pipeline.py collector --results tcp://127.0.0.1:5558
    $ python examples/pipeline.py consumer --name 1 --work tcp://127.0.0.1:5557 --results tcp://127.0.0.1:5558
    $ python examples/pipeline.py consumer --name 2 --work tcp://127.0.0.1:5557 --results tcp://127.0.0.1:5558
    $ python examples/pipeline.py producer --work tcp://127.0.0.1:5557
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from itertools import takewhile

import gevent

import zbus

WORK, RESULTS = "tcp://127.0.0.1:5557", "tcp://127.0.0.1:5558"
CONSUMERS, FIRST = 2, 1000


def produce(work: zbus.Push, count: int, shuffle: bool) -> None:
    """Hand out the numbers once everybody is there, then None for each consumer: there are no more."""
    work.wait_for_peers(CONSUMERS)
    for number in random.sample(range(count), count) if shuffle else range(count):
        work.send({"num": number})
    for _ in range(CONSUMERS):
        work.send(None)


def consume(name: int, producer: str, collector: str) -> None:
    """Pass the even numbers on, and tell at the end how many there were."""
    took = passed = 0
    with zbus.Pull(connect=producer) as work, zbus.Push(connect=collector) as results:
        results.wait_for_peers()
        for message in takewhile(lambda message: message.body is not None, work):
            took += 1
            if message.body["num"] % 2 == 0:
                passed += 1
                results.send({"consumer": name, "num": message.body["num"]})
        results.send({"consumer": name, "took": took, "passed": passed})


def collect(results: zbus.Pull) -> None:
    """Count the first results by consumer; read on until all consumers are done."""
    by_consumer, totals = Counter(), {}
    for message in results:
        match message.body:
            case {"consumer": consumer, "num": _}:
                if by_consumer.total() < FIRST:
                    by_consumer[consumer] += 1
            case {"consumer": consumer, "took": took, "passed": passed}:
                totals[consumer] = (took, passed)
                if len(totals) == CONSUMERS:
                    break
    print(f"collector: the first {FIRST} results by consumer:", dict(sorted(by_consumer.items())))
    for consumer, (took, passed) in sorted(totals.items()):
        print(f"collector: consumer {consumer} took {took} numbers, of which it passed on {passed}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", nargs="?", choices=["producer", "consumer", "collector"])
    parser.add_argument("--work", default=WORK, help="where the producer binds and consumers connect")
    parser.add_argument("--results", default=RESULTS, help="where the collector binds and consumers connect")
    parser.add_argument("--name", type=int, default=1, help="the number of the consumer")
    parser.add_argument("--count", type=int, default=20_000, help="numbers to hand out")
    parser.add_argument("--shuffle", action="store_true", help="hand the numbers out in random order")
    args = parser.parse_args()

    # In turn means the next one whose queue has room. With room for everything nobody's turn is ever passed over.
    room = {"high_water_mark": args.count}
    if args.role == "producer":
        with zbus.Push(bind=args.work, **room) as work:
            produce(work, args.count, args.shuffle)
    elif args.role == "consumer":
        consume(args.name, args.work, args.results)
    elif args.role == "collector":
        with zbus.Pull(bind=args.results) as results:
            collect(results)
    else:
        with zbus.Push(bind=args.work, **room) as work, zbus.Pull(bind=args.results) as results:
            roles = [gevent.spawn(produce, work, args.count, args.shuffle), gevent.spawn(collect, results)]
            for name in range(1, CONSUMERS + 1):
                roles.append(gevent.spawn(consume, name, *work.addresses, *results.addresses))
                work.wait_for_peers(name)  # who is there first gets the first number
            gevent.joinall(roles, raise_error=True)


if __name__ == "__main__":
    main()
