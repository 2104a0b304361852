"""Keep one message every 0.1 s, by the time that stands in the message, and store what is kept in a database.

The sender stamps an order every 0.02 s of its own time. A message that comes out of order, one without a time and one
with nonsense for a time are left out and counted; they disturb nobody.

    $ python examples/filter.py
    server: kept 10, dropped 40, late 1, malformed 2
    server: 10 rows, 2024-01-01T00:00:00+00:00 to 2024-01-01T00:00:00.900000+00:00

In two terminals, in either order:

    $ python examples/filter.py server --bind tcp://127.0.0.1:5556 --database orders.sqlite
    $ python examples/filter.py client --connect tcp://127.0.0.1:5556
"""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from itertools import takewhile
from typing import Any

import gevent

import zbus
from zbus.filters import throttle

ADDRESS = "tcp://127.0.0.1:5556"


def store(pair: zbus.Pair, interval: float, path: str) -> None:
    """Store what passes the throttle, until None says that there is no more."""
    recent = throttle(interval, time="timestamp")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("CREATE TABLE IF NOT EXISTS orders (timestamp TEXT, apples INTEGER)")
        for message in recent(takewhile(lambda message: message.body is not None, pair)):
            database.execute("INSERT INTO orders VALUES (:timestamp, :apples)", message.body)
        print(
            f"server: kept {recent.passed}, dropped {recent.dropped}, late {recent.late}, malformed {recent.malformed}"
        )
        rows = database.execute("SELECT count(*), min(timestamp), max(timestamp) FROM orders")
        print("server: {} rows, {} to {}".format(*rows.fetchone()))


def orders(count: int) -> Iterator[dict[str, Any]]:
    midnight = datetime(2024, 1, 1, tzinfo=timezone.utc)
    for number in range(count):
        yield {"timestamp": (midnight + number * timedelta(seconds=0.02)).isoformat(), "apples": number}
    yield {"timestamp": midnight.isoformat(), "apples": 1}  # late
    yield {"timestamp": "yesterday", "apples": 1}
    yield {"apples": 1}


def send(pair: zbus.Pair, count: int) -> None:
    pair.wait_for_peers()
    for order in orders(count):
        pair.send(order)
    pair.send(None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", nargs="?", choices=["server", "client"])
    parser.add_argument("--bind", default=ADDRESS)
    parser.add_argument("--connect", default=ADDRESS)
    parser.add_argument("--count", type=int, default=50, help="orders")
    parser.add_argument("--interval", type=float, default=0.1, help="seconds of the messages' time between two kept")
    parser.add_argument("--database", default=":memory:", help="file for SQLite; by default it is kept in memory")
    args = parser.parse_args()

    if args.role == "server":
        with zbus.Pair(bind=args.bind) as pair:
            store(pair, args.interval, args.database)
    elif args.role == "client":
        with zbus.Pair(connect=args.connect) as pair:
            send(pair, args.count)
    else:
        with zbus.Pair(bind=args.bind) as server, zbus.Pair(connect=server.addresses) as client:
            roles = [gevent.spawn(store, server, args.interval, args.database), gevent.spawn(send, client, args.count)]
            gevent.joinall(roles, raise_error=True)


if __name__ == "__main__":
    main()
