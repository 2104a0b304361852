"""Each pattern as fast as it goes for a moment: what was sent, what came, and in how long.

Sender and receivers are greenlets of one thread, on a tcp connection over loopback. What is told are the endpoints'
own counters, and the receivers add up the numbers that come, so that a message lost shows even where another one
came twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from time import monotonic
from typing import Any

import gevent
from gevent.event import Event

from ..bus.dispatcher import Dispatcher
from ..errors import TimeoutExpired, ZbusError
from ..patterns.endpoint import Endpoint
from ..patterns.pair import Pair
from ..patterns.pipeline import Pull, Push
from ..patterns.pubsub import Publisher, Subscriber
from ..patterns.replier import Replier
from ..patterns.requester import Requester
from ..wire.batch import Batch
from ..wire.message import Message
from .transcript import Row

ANYWHERE = "tcp://127.0.0.1:*"
#: Seconds that one burst sends.
SECONDS = 0.25
#: Seconds after which what has not come is lost.
PATIENCE = 5.0
#: Greenlets that share one client.
CROWD = 32
#: A publisher does not wait for its subscribers: at so many it lets them catch up. Half of the high-water mark.
WINDOW = 500


class Tally:
    """Counts what comes in and adds it up."""

    def __init__(self) -> None:
        self.count = self.total = 0
        self._due = -1
        self._all_here = Event()

    def take(self, messages: Iterable[Message]) -> None:
        """Count all of them, until there will be no more."""
        for message in messages:
            self.one(message)

    def one(self, message: Message) -> None:
        """Count this one."""
        self.count += 1
        self.total += message.body
        if self.count == self._due:
            self._all_here.set()

    def wait(self, count: int) -> bool:
        """Have so many come? If not, wait for them; False when patience is over."""
        self._due = count
        if self.count >= count:
            return True
        self._all_here.clear()
        return bool(self._all_here.wait(PATIENCE))


def pair() -> Row:
    """One end sends, the other receives."""
    with Pair(bind=ANYWHERE) as alice, Pair(connect=alice.addresses) as bob:
        return _pump("PAIR", lambda number: alice.send(number, timeout=PATIENCE), alice, [bob])


def request_reply() -> Row:
    """Many greenlets ask over one client, two servers answer. A message counted is a whole call, there and back."""
    with ExitStack() as stack:
        servers = [stack.enter_context(Replier(lambda message: message.body + 1, bind=ANYWHERE)) for _ in range(2)]
        client = stack.enter_context(Requester(connect=[server.addresses[0] for server in servers]))
        client.wait_for_peers(2, timeout=PATIENCE)
        start = monotonic()

        def ask(number: int) -> None:
            while monotonic() - start < SECONDS:
                if client.request(number, timeout=PATIENCE) != number + 1:
                    raise ZbusError(f"a caller that sent {number} got the answer to another call")

        _together(partial(ask, number) for number in range(CROWD))
        seconds = monotonic() - start
        counts = client.statistics()
        served = sum(server.statistics().received for server in servers)
    if served != counts.sent:
        raise ZbusError(f"{counts.sent:,} calls were made but {served:,} were served")
    return Row("REQUEST / REPLY", counts.sent, counts.received, seconds)


def publish_subscribe() -> Row:
    """One publishes, one hears everything."""
    with Publisher(bind=ANYWHERE) as publisher, Subscriber(connect=publisher.addresses, topics="#") as subscriber:
        publisher.wait_for_subscribers("burst", timeout=PATIENCE)

        def publish(number: int) -> None:
            publisher.publish("burst", number)

        return _pump("PUBLISH / SUBSCRIBE", publish, publisher, [subscriber], window=WINDOW)


def push_pull(batch: Batch | None = None) -> Row:
    """One deals out work to two; with a batch many pieces travel in one frame."""
    with ExitStack() as stack:
        boss = stack.enter_context(Push(bind=ANYWHERE, batch=batch))
        workers = [stack.enter_context(Pull(connect=boss.addresses)) for _ in range(2)]
        boss.wait_for_peers(2, timeout=PATIENCE)
        pattern = "PUSH / PULL, batched" if batch else "PUSH / PULL"
        return _pump(pattern, lambda number: boss.send(number, timeout=PATIENCE), boss, workers)


def dispatch() -> Row:
    """Publications under many topics, each to its callback."""
    topics = [f"burst.{number}" for number in range(10)]
    tally = Tally()
    dispatcher = Dispatcher()
    dispatcher.topic("burst.*")(tally.one)
    with (
        Publisher(bind=ANYWHERE) as publisher,
        dispatcher.add(Subscriber(connect=publisher.addresses)) as subscriber,
        dispatcher,
    ):
        publisher.wait_for_subscribers(topics[0], timeout=PATIENCE)

        def publish(number: int) -> None:
            publisher.publish(topics[number % 10], number)

        return _pump("DISPATCHER", publish, publisher, [subscriber], window=WINDOW, tally=tally)


def _pump(
    pattern: str,
    send: Callable[[int], object],
    sender: Endpoint,
    receivers: Sequence[Pair | Pull | Subscriber],
    window: int = 0,
    tally: Tally | None = None,
) -> Row:
    """Send numbers for a moment, wait until all have come, and close the receivers. A `tally` is told by others."""
    readers = []
    if tally is None:
        tally = Tally()
        readers = [gevent.spawn(tally.take, receiver) for receiver in receivers]
    number = 0
    start = monotonic()
    while monotonic() - start < SECONDS:
        send(number)
        number += 1
        if window and not number % window and not tally.wait(number):
            break
    if isinstance(sender, Push):
        sender.flush(PATIENCE)
    tally.wait(number)
    seconds = monotonic() - start
    for receiver in receivers:
        receiver.close()
    gevent.joinall(readers, timeout=PATIENCE, raise_error=True)
    row = Row(pattern, sender.statistics().sent, sum(one.statistics().received for one in receivers), seconds)
    if row.sent == row.received and tally.total != number * (number - 1) // 2:
        raise ZbusError(f"as many messages came as were sent, {number:,}, but not the same ones")
    return row


def _together(functions: Iterable[Callable[[], Any]]) -> None:
    """Run each in a greenlet of its own and wait for all; raises the first error."""

    def outcome(function: Callable[[], Any]) -> ZbusError | None:
        try:
            function()
        except ZbusError as error:
            return error
        return None

    crew = [gevent.spawn(outcome, function) for function in functions]
    if len(gevent.joinall(crew, timeout=2 * PATIENCE)) < len(crew):
        gevent.killall(crew)
        raise TimeoutExpired(f"callers waited more than {2 * PATIENCE:.0f} s")
    for member in crew:
        if member.value is not None:
            raise member.value
