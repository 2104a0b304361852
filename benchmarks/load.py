"""The work, the same for every library: what is sent, what is called, what is counted."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent

Body = dict[str, Any]
Figures = dict[str, float]

#: What nearly every message is: three keys, so that sending costs no more than sending.
PLAIN: Body = {"symbol": "EURUSD", "price": 1.0842, "number": 0}
#: One message in this many is a mark: its number says how many were sent so far.
STRIDE = 1000
#: Seconds of full load before the clock starts.
WARM_UP = 0.25
#: Seconds between two ticks of a `Ticker`.
TICK = 0.001


def numbered(number: int) -> Body:
    """The payload, carrying a number."""
    return {"symbol": "EURUSD", "price": 1.0842, "number": number}


def marks() -> Iterator[Body]:
    """The marks of an endless stream: send `STRIDE - 1` times `PLAIN`, then one of these."""
    sent = 0
    while True:
        sent += STRIDE
        yield numbered(sent)


class Enough(Exception):
    """Raised in the receiver's callback once the time is up: how an endless loop ends."""


class Meter:
    """The callback of a stream's receiver: counts, and reads the clock only at a mark.

    A mark that disagrees with the count tells of a message lost or doubled: no figure then.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.count = 0
        self.loaded_at = 0.0  # the first mark came
        self.started_at = 0.0  # the warm-up was over
        self.started_with = 0
        self.elapsed = 0.0

    def take(self, body: Body) -> None:
        """For a receiver that hands over the decoded body."""
        self.count += 1
        if body["number"]:
            self.mark(body["number"])

    def take_message(self, message: Any) -> None:
        """For a receiver that hands over a message, whose body is as much looked at."""
        self.count += 1
        if message.body["number"]:
            self.mark(message.body["number"])

    def mark(self, number: int) -> None:
        now = time.perf_counter()
        if number != self.count:
            raise AssertionError(f"{number} messages were sent and {self.count} came")
        if not self.loaded_at:
            self.loaded_at = now
        elif not self.started_at:
            if now - self.loaded_at >= WARM_UP:
                self.started_at, self.started_with = now, number
        elif now - self.started_at >= self.seconds:
            self.elapsed = now - self.started_at
            raise Enough

    def figures(self) -> Figures:
        return {"rate": (self.count - self.started_with) / self.elapsed, "seconds": self.elapsed}


class Audience(Meter):
    """The callback of a subscriber: every message is numbered, and some may have been dropped."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.first = self.last = 0

    def take(self, body: Body) -> None:
        self.count += 1
        self.last = body["number"]
        if not self.count % STRIDE:
            running = self.started_at
            self.mark(self.count)
            if self.started_at and not running:
                self.first = self.last

    def take_message(self, message: Any) -> None:
        self.take(message.body)

    def figures(self) -> Figures:
        arrived = self.count - self.started_with
        return super().figures() | {"lost": 1 - arrived / (self.last - self.first)}


def call_in_turn(call: Callable[[Body], Body], greenlets: int, seconds: float) -> Figures:
    """Calls answered a second; each greenlet calls again as soon as it has its reply."""
    call(PLAIN)  # returns once connected
    answered = 0

    def caller(number: int) -> None:
        nonlocal answered
        while True:
            number += greenlets
            reply = call(numbered(number))
            if reply["number"] != number:
                raise AssertionError(f"call {number} was given the reply to {reply['number']}")
            answered += 1

    callers = [gevent.spawn(caller, number) for number in range(greenlets)]
    gevent.sleep(WARM_UP)
    before, started = answered, time.perf_counter()
    gevent.sleep(seconds)
    during, elapsed = answered - before, time.perf_counter() - started
    for greenlet in callers:
        if greenlet.dead:
            greenlet.get()  # raises what ended it
    return {"rate": during / elapsed, "seconds": elapsed}


class Ticker:
    """A greenlet that wants to run each millisecond, and how late it was each time."""

    def __init__(self) -> None:
        self.ticks: list[tuple[float, float]] = []  # when, how late
        self.due = 0.0

    def run(self) -> None:
        while True:
            self.due = time.perf_counter() + TICK
            gevent.sleep(TICK)
            now = time.perf_counter()
            self.ticks.append((now, max(0.0, now - self.due)))

    def figures(self, since: float) -> Figures:
        """Delays in milliseconds; the tick still waited for counts, as late as it is by now."""
        late = [delay for when, delay in self.ticks if when >= since]
        ran = len(late)
        late.append(max(0.0, time.perf_counter() - max(self.due, since)))
        late.sort()
        return {"p99": late[int(0.99 * ran)] * 1e3, "max": late[-1] * 1e3, "ticks": ran}
