"""One endpoint that is flooded leaves the others, and whoever else has work, their turns: row FA-1."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from time import monotonic, thread_time
from typing import Any

import gevent.pool
import pytest
from waiting import LONG, until

import zbus

TCP = "tcp://127.0.0.1:*"
IDLE = 20


class Ticker:
    """A greenlet that sleeps for a millisecond at a time. It keeps how late it was, and how long the other greenlets
    computed meanwhile: that is the same on a machine that has much else to do."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.held: list[float] = []
        self._greenlet = gevent.spawn(self._tick)

    def _tick(self) -> None:
        while True:
            due, began = monotonic() + 0.001, thread_time()
            gevent.sleep(0.001)
            self.late.append(monotonic() - due)
            self.held.append(thread_time() - began)

    def close(self) -> None:
        self._greenlet.kill()


class Hall:
    """One endpoint for the flood and twenty for others, all read at once; how late the others' messages are."""

    def __init__(self, serve: Callable[[zbus.Pull, Callable[[Any], object]], object], stack: ExitStack) -> None:
        self.flooded, *self.others = (stack.enter_context(zbus.Pull(bind=TCP)) for _ in range(1 + IDLE))
        self.flood = 0
        self.late: list[list[float]] = [[] for _ in self.others]
        serve(self.flooded, self._count)
        for pull, late in zip(self.others, self.late, strict=True):
            serve(pull, lambda message, late=late: late.append(monotonic() - message.body))

    def _count(self, message: zbus.Message) -> None:
        self.flood += 1


@pytest.fixture(params=["greenlets", "dispatcher"])
def hall(request: pytest.FixtureRequest) -> Iterator[Hall]:
    """Each endpoint is read by a greenlet of its own, or all by one dispatcher."""
    with ExitStack() as stack:
        if request.param == "dispatcher":
            dispatcher = zbus.Dispatcher()
            made = Hall(dispatcher.add, stack)
            stack.enter_context(dispatcher)
        else:
            reading = gevent.pool.Group()
            stack.callback(reading.kill)
            made = Hall(lambda pull, handle: reading.spawn(lambda: [handle(message) for message in pull]), stack)
        yield made


@pytest.fixture
def ticker() -> Iterator[Ticker]:
    ticker = Ticker()
    yield ticker
    ticker.close()


def p99(values: list[float]) -> float:
    return sorted(values)[len(values) * 99 // 100]


def test_a_flooded_endpoint_leaves_the_others_and_a_ticker_their_turns(nursery, hall, ticker):
    nursery.child("chatter", 400, *(pull.addresses[0] for pull in hall.others))
    until(lambda: all(hall.late), 2 * LONG)
    nursery.child("flooder", hall.flooded.addresses[0])
    until(lambda: hall.flood, 2 * LONG)
    flood, turns, heard = hall.flood, len(ticker.held), [len(late) for late in hall.late]

    def have_their_turns() -> bool:
        return all(len(late) > before for late, before in zip(hall.late, heard, strict=True))

    until(lambda: hall.flood > flood + 20_000 and have_their_turns(), 4 * LONG)
    held = ticker.held[turns:]
    print(f"{len(held)} turns in {hall.flood - flood} messages, p99 {p99(held):.4f} s, at most {max(held):.4f}")
    assert len(held) >= 10
    assert p99(held) <= 0.01


@pytest.mark.soak
def test_at_line_rate_the_others_are_hardly_late(nursery, hall, ticker):
    nursery.child("chatter", 400, *(pull.addresses[0] for pull in hall.others))
    until(lambda: all(hall.late))
    measured = []
    for _ in range(2):
        gevent.sleep(1)
        before, flood = [len(late) for late in hall.late], hall.flood
        ticker.late.clear()
        gevent.sleep(15)
        late = [one for late, start in zip(hall.late, before, strict=True) for one in late[start:]]
        measured.append((p99(late), p99(ticker.late)))
        print(f"{(hall.flood - flood) / 15:,.0f} messages/s: p99 {measured[-1][0]:.4f} s, ticker {measured[-1][1]:.4f}")
        nursery.child("flooder", hall.flooded.addresses[0])
    (base, _), (others, ticks) = measured
    assert others < base + 0.05
    assert ticks <= 0.01
