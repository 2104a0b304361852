"""Publishers and subscribers that come late, stand still, are killed and come back: rows PS-1, PS-2 and PS-3."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from time import monotonic

import gevent
import pytest
from faults.nursery import Child, Nursery
from waiting import until

import zbus

TCP = "tcp://127.0.0.1:*"


# -- PS-1: who is late ---------------------------------------------------------------------------------


class Line:
    """A publisher, a subscriber and perhaps a forwarder between them, each in a process of its own, to be started in
    any order: their addresses are known before they are."""

    def __init__(self, nursery: Nursery, through: bool, where: tuple[str, str]) -> None:
        self._nursery = nursery
        self._through = through
        self._front, back = where
        self.subscriber = zbus.Subscriber(connect=back if through else self._front, topics="a.*")

    def start(self, who: str) -> None:
        role, _, option = who.partition("+")
        if role == "subscriber":
            self.subscriber.start()
        elif role == "forwarder":
            back = self.subscriber._connect[0]
            self._nursery.child("device", f"{role}+{option}" if option else role, "greenlet", self._front, back)
        else:
            self._nursery.child(role, f"+{self._front}" if self._through else self._front)


@pytest.fixture
def lines(nursery: Nursery, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., list[Line]]]:
    """Some lines side by side, each begun in an order; what came before them has ended."""
    made: list[Line] = []
    serial = count()

    def lines(transport: str, order: str) -> list[Line]:
        end()
        for _ in range(AT_ONCE):
            paths = [f"ipc://{tmp_path}/{next(serial)}" for _ in range(2)]
            where = paths if transport == "ipc" else [free(), free()]
            made.append(Line(nursery, "forwarder" in order, tuple(where)))
            for who in order.split():
                made[-1].start(who)
        return made

    def end() -> None:
        while made:
            made.pop().subscriber.close()
        nursery.clear()

    yield lines
    end()


def free() -> str:
    """An address that was free a moment ago."""
    with zbus.Pull(bind=TCP) as taken:
        return taken.addresses[0]


AT_ONCE = 5
TRANSPORTS = pytest.mark.parametrize("transport", ["tcp", "ipc"])
TIMES = pytest.mark.parametrize("times", [AT_ONCE, pytest.param(50, marks=pytest.mark.soak)])
DIRECT = ["speaker subscriber", "subscriber speaker"]
THROUGH = [f"forwarder {order}" for order in DIRECT]
LAST = [pytest.param(f"{order} forwarder", marks=pytest.mark.soak) for order in DIRECT]


@TIMES
@TRANSPORTS
@pytest.mark.parametrize("order", [*DIRECT, *THROUGH, *LAST])
def test_nothing_is_missed_once_the_publisher_knows_of_its_subscriber(lines, transport, order, times):
    for _ in range(0, times, AT_ONCE):
        for line in lines(transport, order):
            assert [line.subscriber.recv(timeout=10).body for _ in range(100)] == list(range(100))


@TIMES
@TRANSPORTS
@pytest.mark.parametrize("order", ["keeper subscriber", "forwarder keeper subscriber", "subscriber keeper"])
def test_with_last_value_the_newest_is_there_at_once(lines, transport, order, times):
    for _ in range(0, times, AT_ONCE):
        for line in lines(transport, order):
            came = [line.subscriber.recv(timeout=10).body]
            while came[-1] != 2:
                came.append(line.subscriber.recv(timeout=10).body)
            assert came == list(range(came[0], 3))
            assert came == [2] or order.startswith("subscriber"), "who was there first may have come in time for all"


@TIMES
@TRANSPORTS
def test_a_forwarder_with_last_value_has_the_newest_for_each_who_comes_late(lines, transport, times):
    line = lines(transport, "forwarder+last_value subscriber speaker")[0]
    assert [line.subscriber.recv(timeout=10).body for _ in range(100)] == list(range(100))
    for _ in range(times):
        with zbus.Subscriber(connect=line.subscriber.addresses, topics="a.b") as late:
            assert late.recv(timeout=10).body == 99


# -- PS-2: who stands still ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transport", "seconds", "rate", "size", "mark", "delay"),
    [
        ("ipc", 3, 200, 40_000, 120, 1.5),  # not tcp: there the kernel alone has room for more than all of this
        pytest.param("ipc", 10, 5000, 1000, 5000, 0.25, marks=pytest.mark.soak),
        pytest.param("tcp", 10, 5000, 1000, 5000, 0.25, marks=pytest.mark.soak),
    ],
)
def test_a_subscriber_that_is_stopped_disturbs_nobody_and_knows_what_it_missed(
    nursery, ipc_address, transport, seconds, rate, size, mark, delay
):
    publisher = nursery.child("presser", TCP if transport == "tcp" else ipc_address, rate, size, mark)
    stopped, *others = (nursery.child("listener", publisher.address, 100_000) for _ in range(3))
    gevent.sleep(0.3)  # so that it is at its ease
    before = memory(publisher)
    stopped.pause()
    gevent.sleep(seconds)
    grown = memory(publisher) - before
    stopped.resume()
    gevent.sleep(0.3)  # it catches up, and hears on
    os.kill(publisher.pid, signal.SIGUSR1)
    told = [json.loads(nursery.line(30)) for _ in range(4)]
    print(f"grown by {grown} bytes;", *told)  # pytest -rP shows it
    of = {summary["who"]: summary for summary in told}

    assert of[publisher.pid]["published"] >= seconds * rate / 2, "or else the machine is too slow for this"
    assert of[publisher.pid]["slowest"] < seconds / 2, "publish() does not wait"
    assert grown < 3 * mark * size + SLACK, "a queue for each of them, though only one should be full"
    for other in others:
        heard = of[other.pid]
        assert (heard["heard"], heard["missed"]) == (heard["span"], 0)
        assert heard["p99"] < delay
    heard = of[stopped.pid]
    assert heard["missed"] > 0
    assert heard["heard"] + heard["missed"] == heard["span"]
    assert heard["exact"], "each gap that it was told of is one between the numbers that it heard"


#: Bytes that a publisher may grow by beside its queues: the allocator's, and the interpreter's.
SLACK = 4_000_000


def memory(child: Child) -> int:
    """Bytes that it has resident."""
    pages = int(Path(f"/proc/{child.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


# -- PS-3: who is killed -------------------------------------------------------------------------------


class Listener(zbus.Subscriber):
    """A subscriber with all options at their defaults; it keeps account of what each publisher's process said."""

    def __init__(self, address: str) -> None:
        self.events: list[zbus.EndpointEvent] = []
        super().__init__(connect=address, topics="a", on_event=self.events.append)
        self.heard: dict[int, list[int]] = {}

    def hear(self, publisher: Child) -> float:
        """When it heard a publisher for the first time; returns after some messages more."""
        first = 0.0
        while len(self.heard.setdefault(publisher.pid, [])) < 20:
            pid, number, *_ = self.recv(timeout=10).body
            self.heard[pid].append(number)
            if pid == publisher.pid:
                first = first or monotonic()
        return first

    def told(self, kind: str) -> list[int]:
        """How many messages each event of a kind says were missed."""
        return [event.missed for event in self.events if event.kind == kind]


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
@pytest.mark.parametrize(
    ("times", "longest_pause", "soon"), [(3, 0.1, 2.0), pytest.param(50, 2.0, 1.25, marks=pytest.mark.soak)]
)
def test_subscribers_find_a_killed_publisher_again_and_know_of_its_restart(
    nursery, ipc_address, transport, times, longest_pause, soon
):
    """The row's second is the longest pause between two attempts to reconnect; the handshake is on top of it."""
    chance, delays = random.Random(times), []
    publisher = nursery.child("presser", TCP if transport == "tcp" else ipc_address, 500, 100, 1000)
    with ExitStack() as stack:
        listeners = [stack.enter_context(Listener(publisher.address)) for _ in range(3)]
        for listener in listeners:
            listener.hear(publisher)
        for _ in range(times):
            publisher.kill()
            gevent.sleep(chance.uniform(0, longest_pause))
            publisher = nursery.child("presser", publisher.address, 500, 100, 1000)
            back = monotonic()
            hearing = [gevent.spawn(listener.hear, publisher) for listener in listeners]
            delays.append(max(each.get() for each in hearing) - back)
        for listener in listeners:
            first, *later = listener.heard.values()
            until(lambda listener=listener: len(listener.told("restarted")) == times)
            assert listener.told("gap") == []
            assert listener.told("restarted") == [numbers[0] for numbers in later]
            assert listener.statistics().missed == sum(numbers[0] for numbers in later)
            assert all(numbers == list(range(numbers[0], numbers[-1] + 1)) for numbers in (first, *later))
    delays.sort()
    print(f"heard again after {delays[0]:.3f} s, median {delays[times // 2]:.3f}, at most {delays[-1]:.3f}")
    assert delays[-1] < soon
