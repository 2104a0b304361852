"""Devices of every kind, wherever they run, that are killed under a thousand messages a second: row DV-1."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

import gevent
import pytest
from faults.broadcast import ticks
from faults.nursery import Nursery
from waiting import LONG, until

import zbus
from zbus import devices

TCP = "tcp://127.0.0.1:*"
RATE = 1000
EVERYWHERE = ["greenlet", "thread", "process"]
PLACES = {
    "queue": EVERYWHERE,
    "monitored_queue": ["greenlet", "process"],
    "forwarder": EVERYWHERE,
    "streamer": EVERYWHERE,
}


class Restarted:
    """A device in a process that is killed, and started again at its addresses, as often as is asked for."""

    def __init__(self, nursery: Nursery, kind: str, runs_in: str) -> None:
        self._declared = nursery.child, ("device", kind, runs_in)
        self._start(*[TCP] * (3 if kind == "monitored_queue" else 2))

    def _start(self, *addresses: str) -> None:
        child, words = self._declared
        self._process = child(*words, *addresses)
        self.front, self.back, *_ = self.addresses = self._process.address.split()

    def again(self) -> float:
        """Returns the time at which it serves again."""
        self._process.kill()
        self._start(*self.addresses)
        return monotonic()


@pytest.fixture
def restarted(request: pytest.FixtureRequest, nursery: Nursery) -> Restarted:
    return Restarted(nursery, *request.param)


def of(*kinds: str) -> pytest.MarkDecorator:
    """Each of these devices in each place where it can be."""
    every = [(kind, place) for kind in kinds for place in PLACES[kind]]
    return pytest.mark.parametrize("restarted", every, ids=" ".join, indirect=True)


TIMES = pytest.mark.parametrize(
    ("times", "messages", "soon"), [(1, 100, LONG), pytest.param(20, 1000, 2.0, marks=pytest.mark.soak)]
)


@pytest.fixture
def recoveries() -> Iterator[list[float]]:
    """Seconds from a restart to the next message."""
    recoveries: list[float] = []
    yield recoveries
    print(f"recovered in {sorted(recoveries)[len(recoveries) // 2]:.3f} s, at most {max(recoveries):.3f}")


@TIMES
@of("queue", "monitored_queue")
def test_calls_with_attempts_outlive_a_queue_that_is_killed_under_them(restarted, recoveries, times, messages, soon):
    callers, enough = 20, gevent.event.Event()

    def call(number: int) -> int:
        for made, _ in enumerate(ticks(RATE // callers, 2)):
            if enough.is_set():
                return made
            assert client.request(number, timeout=2 * LONG, attempts=20) == 2 * number
        raise AssertionError("ticks without end ended")

    with (
        zbus.Replier(lambda message: 2 * message.body, connect=restarted.back) as server,
        zbus.Requester(connect=restarted.front) as client,
    ):
        calling = [gevent.spawn(call, number) for number in range(callers)]
        until(lambda: client.statistics().received > messages, 2 * LONG)
        for _ in range(times):
            back = restarted.again()
            before = server.statistics().received
            until(lambda before=before: server.statistics().received > before)
            recoveries.append(monotonic() - back)
            until(lambda before=before: server.statistics().received > before + messages, 2 * LONG)
        enough.set()
        made = sum(each.get(timeout=2 * LONG) for each in calling)
        assert client.statistics().received == made > times * messages
        assert client.statistics().expired == 0
        print(f"{made} calls, {client.statistics().retried} handed out again")
    assert max(recoveries) < soon


@TIMES
@of("forwarder")
def test_what_a_killed_forwarder_cost_is_counted_by_a_subscriber(restarted, recoveries, times, messages, soon):
    enough = gevent.event.Event()

    def publish() -> None:
        for number, _ in enumerate(ticks(RATE, 50)):
            if enough.is_set():
                return
            publisher.publish("a", number)

    with (
        zbus.Publisher(connect=restarted.front, sequenced=True) as publisher,
        zbus.Subscriber(connect=restarted.back, topics="a") as subscriber,
    ):
        publisher.wait_for_subscribers("a", timeout=LONG)
        publishing = gevent.spawn(publish)
        came = [subscriber.recv(timeout=LONG).body for _ in range(messages)]
        for _ in range(times):
            back, before = restarted.again(), publisher.statistics().sent
            while came[-1] < before:
                came.append(subscriber.recv(timeout=LONG).body)
            recoveries.append(monotonic() - back)
            came += [subscriber.recv(timeout=LONG).body for _ in range(messages)]
        enough.set()
        publishing.get(timeout=LONG)
        published = publisher.statistics().sent
        publisher.wait_for_subscribers("a", timeout=LONG)
        publisher.publish("a", "last")
        while came[-1] != "last":
            came.append(subscriber.recv(timeout=LONG).body)
        counted = subscriber.statistics()
    heard = came[:-1]
    print(f"{published} published, {len(heard)} heard, {counted.missed} counted as missed")
    assert heard == sorted(set(heard)), "none twice, in order"
    assert counted.missed == published - len(heard) > 0
    assert max(recoveries) < soon


@TIMES
@of("streamer")
def test_work_goes_on_when_a_streamer_was_killed(restarted, recoveries, times, messages, soon):
    """What was in it is lost: the difference of what the two ends count."""

    enough = gevent.event.Event()

    def feed() -> None:
        for number, _ in enumerate(ticks(RATE, 50)):
            if enough.is_set():
                return
            feeder.send(number, timeout=2 * LONG)

    with (
        zbus.Push(connect=restarted.front, linger=0) as feeder,
        zbus.Pull(connect=restarted.back) as worker,
    ):
        feeding = gevent.spawn(feed)
        came = [worker.recv(timeout=LONG).body for _ in range(messages)]
        for _ in range(times):
            back, before = restarted.again(), feeder.statistics().sent
            while came[-1] < before:
                came.append(worker.recv(timeout=LONG).body)
            recoveries.append(monotonic() - back)
            came += [worker.recv(timeout=LONG).body for _ in range(messages)]
        enough.set()
        feeding.get(timeout=LONG)
        last = feeder.statistics().sent - 1
        while came[-1] != last:
            came.append(worker.recv(timeout=LONG).body)
        lost = feeder.statistics().sent - worker.statistics().received
    print(f"{last + 1} sent, {len(came)} came, {lost} lost")
    assert came == sorted(set(came)), "none twice, in order"
    assert lost == last + 1 - len(came)
    assert max(recoveries) < soon


@pytest.mark.parametrize("runs_in", EVERYWHERE)
def test_a_client_that_leaves_during_its_call_costs_a_queue_one_reply(runs_in):
    begun, go_on = gevent.event.Event(), gevent.event.Event()

    def handle(message: zbus.Message) -> object:
        if message.body == "hold":
            begun.set()
            go_on.wait()
        return message.body

    with (
        devices.queue(TCP, TCP, runs_in=runs_in) as queue,
        zbus.Replier(handle, connect=queue.backend.addresses) as server,
    ):
        leaver = zbus.Requester(connect=queue.frontend.addresses, linger=0)
        call = gevent.spawn(leaver.request, "hold", timeout=None)
        assert begun.wait(2 * LONG)
        call.kill()
        leaver.close()
        until(lambda: queue.frontend.peers == 0)
        gevent.sleep(0.1)  # libzmq tells of a lost peer a moment before it lets go of him, and of that nothing tells
        go_on.set()
        until(lambda: server.statistics().sent == 1)
        with zbus.Requester(connect=queue.frontend.addresses) as other:
            assert other.request("next", timeout=LONG) == "next"
        assert queue.state == "open"
