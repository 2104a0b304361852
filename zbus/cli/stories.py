"""What the demonstration tells of each pattern, as it happens. A story returns how many messages were due, and came."""

from __future__ import annotations

from contextlib import ExitStack
from time import monotonic
from typing import TypeVar

import gevent
from gevent.queue import Empty, Queue

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
from . import bursts
from .bursts import ANYWHERE
from .transcript import Transcript

T = TypeVar("T")

#: Seconds between two lines, so that one can watch.
PACE = 0.04
#: Seconds that a server takes for an answer.
WORK = 0.1


class Said:
    """What greenlets received and the transcript has yet to tell."""

    def __init__(self, page: Transcript) -> None:
        self._page = page
        self._lines: Queue = Queue()

    def add(self, sender: str, receiver: str, text: str) -> None:
        """A message has come."""
        self._lines.put((sender, receiver, text))

    def failed(self, error: ZbusError) -> None:
        """One of the greenlets cannot go on: whoever waits in `tell` is to raise this."""
        self._lines.put(error)

    def tell(self, count: int) -> None:
        """Tell of the next `count` messages as they come."""
        for _ in range(count):
            try:
                line = self._lines.get(timeout=bursts.PATIENCE)
            except Empty:
                raise TimeoutExpired(f"a message did not come within {bursts.PATIENCE:g} s") from None
            if isinstance(line, ZbusError):
                raise line
            self._page.crossed(*line)
            gevent.sleep(PACE)


# -- the stories -------------------------------------------------------------------------------------


def pair(page: Transcript) -> tuple[int, int]:
    said = Said(page)
    with Pair(bind=ANYWHERE) as alice, Pair(connect=alice.addresses) as bob:
        page.aside(f"alice binds {alice.addresses[0]}, bob connects to it")
        talk = [
            ("alice", alice, "bob", bob, "How many apples are left?"),
            ("alice", alice, "bob", bob, "And oranges? (No need to wait for an answer.)"),
            ("bob", bob, "alice", alice, "12 apples."),
            ("bob", bob, "alice", alice, "7 oranges. Shall I order more?"),
            ("alice", alice, "bob", bob, "Please do."),
        ]
        for speaker, mouth, listener, ear, words in talk:
            mouth.send(words, timeout=bursts.PATIENCE)
            said.add(speaker, listener, _same(ear.recv(timeout=bursts.PATIENCE).body, words))
            said.tell(1)
        return len(talk), _received(alice, bob)


def request_reply(page: Transcript) -> tuple[int, int]:
    said = Said(page)
    numbers = {"ann": 3, "ben": 5, "cleo": 7, "dan": 9}
    answered = []

    def server(name: str) -> Replier:
        def square(message: Message) -> object:
            number = message.body["square"]
            said.add(message.body["from"], name, f"what is {number} squared?")
            gevent.sleep(WORK)
            return {"by": name, "square": number * number}

        return Replier(square, bind=ANYWHERE, name=name)

    with ExitStack() as stack:
        servers = [stack.enter_context(server(name)) for name in ("east", "west")]
        addresses = [one.addresses[0] for one in servers]
        page.aside(f"east serves at {addresses[0]}, west at {addresses[1]}")
        page.aside(f"four greenlets share one client; an answer takes its server {WORK:g} s")
        client = stack.enter_context(Requester(connect=addresses))
        client.wait_for_peers(2, timeout=bursts.PATIENCE)
        start = monotonic()

        def ask(name: str, number: int) -> None:
            try:
                reply = client.request({"from": name, "square": number}, timeout=bursts.PATIENCE)
                said.add(reply["by"], name, str(_same(reply["square"], number * number)))
            except ZbusError as error:
                said.failed(error)
            answered.append(monotonic() - start)

        callers = [gevent.spawn(ask, name, number) for name, number in numbers.items()]
        said.tell(2 * len(numbers))
        gevent.joinall(callers)
        page.aside(f"four answers within {max(answered):.2f} s; one after another would take {4 * WORK:g} s")
        return 2 * len(numbers), _received(client, *servers)


def publish_subscribe(page: Transcript) -> tuple[int, int]:
    said = Said(page)
    patience = bursts.PATIENCE

    def heard(name: str, subscriber: Subscriber, topic: str, degrees: int) -> None:
        message = subscriber.recv(timeout=patience)
        _same((message.topic, message.body), (topic, degrees))
        said.add("station", name, f"{message.topic:<20} {message.body:>3} degrees")
        said.tell(1)

    with ExitStack() as stack:
        station = stack.enter_context(Publisher(bind=ANYWHERE, last_value=True))
        world = stack.enter_context(Subscriber(connect=station.addresses, topics="weather.#"))
        europe = stack.enter_context(Subscriber(connect=station.addresses, topics="weather.europe.*"))
        page.aside("world subscribes to weather.#, europe to weather.europe.* only")
        station.wait_for_subscribers("weather.europe.rome", 2, timeout=patience)
        station.publish("weather.europe.rome", 31)
        heard("world", world, "weather.europe.rome", 31)
        heard("europe", europe, "weather.europe.rome", 31)
        station.publish("weather.asia.tokyo", 24)
        heard("world", world, "weather.asia.tokyo", 24)
        station.publish("weather.europe.oslo", -2)
        heard("world", world, "weather.europe.oslo", -2)
        heard("europe", europe, "weather.europe.oslo", -2)
        page.aside("late comes after all was said; last_value=True says the newest again")
        late = stack.enter_context(Subscriber(connect=station.addresses, topics="weather.*.tokyo"))
        heard("late", late, "weather.asia.tokyo", 24)
        return 6, _received(world, europe, late)


def push_pull(page: Transcript) -> tuple[int, int]:
    return _deal(page, 1, None)


def push_pull_batched(page: Transcript) -> tuple[int, int]:
    page.aside("three jobs go in one frame, so each worker gets three in a row")
    return _deal(page, 3, Batch(messages=3, seconds=60))


def _deal(page: Transcript, step: int, batch: Batch | None) -> tuple[int, int]:
    said = Said(page)
    jobs = range(1, 7)
    done: set[int] = set()

    def work(name: str, pull: Pull) -> None:
        for message in pull:
            done.add(message.body)
            said.add("boss", name, f"job {message.body}")

    with Push(bind=ANYWHERE, batch=batch) as boss, ExitStack() as stack:
        workers = [stack.enter_context(Pull(connect=boss.addresses)) for _ in range(2)]
        boss.wait_for_peers(2, timeout=bursts.PATIENCE)
        shifts = [gevent.spawn(work, f"worker {number}", pull) for number, pull in enumerate(workers, 1)]
        for first in jobs[::step]:
            for job in range(first, first + step):
                boss.send(job, timeout=bursts.PATIENCE)
            said.tell(step)
    gevent.joinall(shifts, raise_error=True)
    _same(done, set(jobs))
    return boss.statistics().sent, _received(*workers)


def dispatch(page: Transcript) -> tuple[int, int]:
    """Commands and topics go to their callbacks, and one of those ends the loop."""
    said = Said(page)
    desk = Dispatcher()

    @desk.topic("orders.<region>")
    def order(message: Message, region: str) -> None:
        said.add("shop", "order", f"{_same(message.topic, f'orders.{region}')}: {message.body} pieces to {region}")

    @desk.command("restock")
    def restock(message: Message) -> None:
        said.add("boss", "restock", f"{message.body['pieces']} pieces")

    @desk.command("close")
    def close(message: Message) -> None:
        said.add("boss", "close", "and this callback stops the loop")
        desk.stop()

    with (
        Push(bind=ANYWHERE) as boss,
        Publisher(bind=ANYWHERE) as shop,
        desk.add(Pull(connect=boss.addresses)),
        desk.add(Subscriber(connect=shop.addresses)),
    ):
        page.aside('one loop: topic "orders.<region>", commands "restock", "close"')
        running = gevent.spawn(desk.run)
        shop.wait_for_subscribers("orders.eu", timeout=bursts.PATIENCE)
        shop.publish("orders.eu", 3)
        said.tell(1)
        boss.send({"command": "restock", "pieces": 50}, timeout=bursts.PATIENCE)
        said.tell(1)
        shop.publish("orders.us", 4)
        said.tell(1)
        boss.send("close", timeout=bursts.PATIENCE)
        said.tell(1)
        running.get(timeout=bursts.PATIENCE)
    return 4, desk.statistics().received


def _same(came: T, due: T) -> T:
    """What came, if it is what was due."""
    if came != due:
        raise ZbusError(f"{due!r} was due, {came!r} came")
    return came


def _received(*endpoints: Endpoint) -> int:
    return sum(endpoint.statistics().received for endpoint in endpoints)
