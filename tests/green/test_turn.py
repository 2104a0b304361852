"""Fairness: whoever is always busy leaves room for the others, and owns nothing while it waits for its turn."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import gevent
import pytest
import zmq
from gevent.event import Event
from waiting import until

import zbus
from zbus.errors import TimeoutExpired
from zbus.green import Socket
from zbus.green import turn as turns
from zbus.green.turn import LOOK, Burst, turn

MANY = 5_000


@pytest.fixture
def short_bursts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bursts of a tenth of a millisecond: `MANY` messages take several, also on a machine that is fast."""
    monkeypatch.setattr(turns, "BURST", turns.BURST / 10)


class Ticker:
    """Counts the turns that another greenlet gets."""

    def __init__(self) -> None:
        self.turns = 0
        self._greenlet = gevent.spawn(self._tick)

    def _tick(self) -> None:
        hub = gevent.get_hub()
        while True:
            timer = hub.loop.timer(0)
            hub.wait(timer)
            timer.close()
            self.turns += 1

    def __enter__(self) -> Ticker:
        until(lambda: self.turns)
        self.turns = 0
        return self

    def __exit__(self, *error: object) -> None:
        self._greenlet.kill()


READERS: dict[str, Callable[[Socket], object]] = {
    "recv": lambda socket: socket.recv(),
    "recv_multipart": lambda socket: socket.recv_multipart(),
    "recv_string": lambda socket: socket.recv_string(),
    "receive": lambda socket: socket.receive(),
}
WRITERS: dict[str, Callable[[Socket], object]] = {
    "send": lambda socket: socket.send(b""),
    "send_multipart": lambda socket: socket.send_multipart([b""]),
    "send_string": lambda socket: socket.send_string(""),
    "transmit": lambda socket: socket.transmit([b""]),
}


@pytest.mark.usefixtures("short_bursts")
@pytest.mark.parametrize("verb", READERS)
def test_one_who_drains_what_is_queued_leaves_others_their_turns(linked: Any, verb: str) -> None:
    mine, other = linked(SNDHWM=0, RCVHWM=0)
    for _ in range(MANY):
        other.offer([b""])
    read = READERS[verb]
    with Ticker() as ticker:
        for _ in range(MANY):
            read(mine)
        assert ticker.turns >= 3


@pytest.mark.usefixtures("short_bursts")
@pytest.mark.parametrize("verb", WRITERS)
def test_one_who_sends_without_end_leaves_others_their_turns(linked: Any, verb: str) -> None:
    mine, _ = linked(SNDHWM=0, RCVHWM=0)
    write = WRITERS[verb]
    with Ticker() as ticker:
        for _ in range(MANY):
            write(mine)
        assert ticker.turns >= 3


@pytest.mark.usefixtures("short_bursts")
@pytest.mark.parametrize("iterating", [False, True])
def test_a_flooded_endpoint_leaves_others_their_turns(inproc_address: str, iterating: bool) -> None:
    with (
        zbus.Pull(bind=inproc_address, high_water_mark=MANY) as pull,
        zbus.Push(connect=inproc_address, high_water_mark=MANY) as push,
        Ticker() as ticker,
    ):
        for number in range(MANY):
            push.send(number)
        assert ticker.turns >= 3
        ticker.turns = 0
        messages = iter(pull)
        for number in range(MANY):
            assert (next(messages) if iterating else pull.recv()).body == number
        assert ticker.turns >= 3


def test_two_who_are_busy_both_get_on(linked: Any) -> None:
    flooded, quiet = linked(SNDHWM=0, RCVHWM=0), linked(SNDHWM=0, RCVHWM=0)
    over = Event()

    def flood() -> None:
        while not over.is_set():
            flooded[0].send(b"")
            flooded[1].recv()

    busy = gevent.spawn(flood)
    for number in range(50):
        quiet[0].send(b"%d" % number)
        assert quiet[1].recv(timeout=5) == b"%d" % number
    over.set()
    busy.get(timeout=5)


def test_a_reader_is_served_beside_one_who_sends_without_end_on_the_same_socket(linked: Any) -> None:
    mine, other = linked(SNDHWM=0, RCVHWM=0)
    over = Event()

    def flood() -> None:
        while not over.is_set():
            mine.send(b"")

    flooding = gevent.spawn(flood)
    for number in range(20):
        reader = gevent.spawn(mine.recv, timeout=5)
        until(lambda: mine.readiness.readers)
        other.send(b"%d" % number)
        assert reader.get(timeout=5) == b"%d" % number
    over.set()
    flooding.get(timeout=5)
    assert mine.readiness.missed_wakeups == 0


def test_a_kill_in_the_yield_owns_no_message(linked: Any) -> None:
    mine, other = linked(SNDHWM=0, RCVHWM=0)
    for number in range(MANY):
        other.offer([b"%d" % number])
    got: list[int] = []

    def drain() -> None:
        while True:
            got.append(int(mine.recv()))

    kills = 0
    while len(got) < MANY:
        before = len(got)
        reader = gevent.spawn(drain)
        until(lambda then=before: len(got) > then)  # it yields now: nothing else lets this greenlet go on
        reader.kill()
        kills += 1
    assert kills > 1
    assert got == list(range(MANY))


def test_a_kill_in_the_yield_sends_nothing(linked: Any) -> None:
    mine, other = linked(SNDHWM=0, RCVHWM=0)
    sent = 0

    def send() -> None:
        nonlocal sent
        while True:
            mine.send(b"%d" % sent)
            sent += 1

    for _ in range(20):
        writer = gevent.spawn(send)
        before = sent
        until(lambda then=before: sent > then)
        writer.kill()
    assert [int(other.recv()) for _ in range(sent)] == list(range(sent))
    with pytest.raises(TimeoutExpired):
        other.recv(timeout=0)


def test_a_burst_allows_few_at_first_and_never_more_than_may_pass_between_two_looks() -> None:
    burst = Burst(turn())
    assert burst.look() == 1
    assert all(1 <= burst.look() <= LOOK for _ in range(100))


def test_a_burst_that_is_used_up_waits_for_a_turn_of_the_loop() -> None:
    loop = gevent.get_hub().loop
    burst = Burst(turn())
    burst.look()
    burst._end = 0.0
    assert burst.over()
    before = loop.iteration
    burst.look()
    assert loop.iteration > before


def test_a_turn_is_shared_among_those_who_used_up_the_last_one() -> None:
    shared = turn()
    bursts = [Burst(shared) for _ in range(4)]
    seen: list[float] = []
    for burst in bursts:
        shared.call(burst, lambda _: seen.append(shared.share))
    until(lambda: len(seen) == 4)
    alone = Burst(shared)
    shared.call(alone, lambda _: seen.append(shared.share))
    until(lambda: len(seen) == 5)
    assert seen[:4] == [seen[4] / 4] * 4


def kills_and_timeouts(messages: int, opened: Callable[..., Socket]) -> None:
    """`messages` to one ROUTER that 64 greenlets share while they are killed and run out of time: all arrive."""
    random.seed(messages)
    router = opened(zmq.ROUTER)
    router.bind("tcp://127.0.0.1:*")
    where = router.get(zmq.LAST_ENDPOINT).decode()
    got: list[int] = []
    done = Event()

    def read() -> None:
        while not done.is_set():
            try:
                if random.random() < 0.5:
                    frames = router.receive(random.choice((None, 0.0001, 0.01)))
                else:
                    with gevent.Timeout(random.choice((0.0001, 0.001, 0.05)), False):
                        frames = None
                        frames = router.recv_multipart()
                    if frames is None:
                        continue
            except TimeoutExpired:
                continue
            got.append(int(frames[1]))
            if len(got) >= messages:
                done.set()
            elif random.random() < 0.05:
                gevent.sleep(0)

    crew = [gevent.spawn(read) for _ in range(64)]

    def harass() -> None:
        while not done.is_set():
            for _ in range(3):
                number = random.randrange(64)
                crew[number].kill(block=False)
                crew[number] = gevent.spawn(read)
            gevent.sleep(random.choice((0, 0.0005, 0.002)))

    def send(dealer: Socket, first: int) -> None:
        for number in range(first, messages, 4):
            dealer.send(b"%d" % number)
            if random.random() < 0.002:
                gevent.sleep(0.001)

    harassing = gevent.spawn(harass)
    senders = []
    for first in range(4):
        dealer = opened(zmq.DEALER)
        dealer.connect(where)
        senders.append(gevent.spawn(send, dealer, first))
    arrived = done.wait(20 + messages / 500)
    gevent.killall([harassing, *senders, *crew])
    assert arrived, f"{len(got)} of {messages} arrived"
    assert sorted(got) == list(range(messages))
    assert router.readiness.missed_wakeups == 0
    assert not router.readiness.readers
    assert router.readiness.holds == 0


def test_no_message_is_lost_to_kills_and_timeouts(opened: Any) -> None:
    kills_and_timeouts(20_000, opened)


@pytest.mark.soak
def test_no_message_is_lost_to_very_many_kills_and_timeouts(opened: Any) -> None:
    kills_and_timeouts(200_000, opened)
