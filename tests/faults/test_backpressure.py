"""Devices whose far side is full or not there hold up their senders, and nothing else: row DV-2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from time import monotonic
from typing import Any

import gevent.pool
import pytest
from gevent.event import Event
from waiting import LONG, until

import zbus
from zbus import devices
from zbus.devices import Device, Side

TCP = "tcp://127.0.0.1:*"
LARGE = b"x" * 900_000
#: More of them than fit between two ends with high-water marks of 1, the kernel's buffers included.
MANY = 60
PLACES = ["greenlet", "thread", "process"]


@pytest.fixture
def opened() -> Iterator[Any]:
    """Starts what it is given, and closes it in the end: nobody waits for what is stuck."""
    kept: list[Any] = []

    def opened(one: Any) -> Any:
        kept.append(one)
        one.start()
        return one

    yield opened
    while kept:
        kept.pop().close()


@pytest.fixture
def spawn() -> Iterator[Any]:
    """Greenlets that end with the test."""
    group = gevent.pool.Group()
    yield group.spawn
    group.kill()


def narrow() -> Side:
    return Side(bind=TCP, high_water_mark=1, linger=0)


NARROW: Any = {"high_water_mark": 1, "linger": 0}


def answers_at_once(device: Device, runs_in: str) -> None:
    """Whatever is asked of it; at last to stop."""
    began = monotonic()
    device.statistics()
    assert device.frontend.peers == 1
    with suppress(zbus.Unsupported) if runs_in != "greenlet" else ExitStack():
        device.pause()
        device.resume()
    assert monotonic() - began < LONG
    stopping = monotonic()
    device.stop(timeout=1.0)
    assert device.state == "closed"
    assert monotonic() - stopping < 1.0 + LONG


@pytest.mark.parametrize("runs_in", PLACES)
@pytest.mark.parametrize("worker", ["no worker", "a worker that takes nothing"])
def test_work_that_finds_no_room_waits_with_its_feeder(opened, runs_in, worker):
    device = opened(devices.streamer(narrow(), narrow(), runs_in=runs_in))
    if worker != "no worker":
        opened(zbus.Pull(connect=device.backend.addresses, **NARROW)).wait_for_peers(timeout=LONG)
    feeder = opened(zbus.Push(connect=device.frontend.addresses, **NARROW))
    sent = fill(lambda number: feeder.send(LARGE, timeout=0.5))
    assert 0 < sent < MANY
    answers_at_once(device, runs_in)


def fill(send: Any) -> int:
    """Send until there is no room; how many there was room for."""
    for sent in range(MANY):
        try:
            send(sent)
        except zbus.TimeoutExpired:
            return sent
    return MANY


class Crowd:
    """Sixty large calls through a device to a server that handles one at a time, each until it is let go."""

    def __init__(self, device: Device, opened: Any, spawn: Any) -> None:
        self._go_on = [Event() for _ in range(MANY)]
        self.served: list[int] = []
        opened(zbus.Replier(self._handle, connect=device.backend.addresses, concurrency=1, **NARROW))
        self.client = opened(zbus.Requester(connect=device.frontend.addresses, heartbeat=None, **NARROW))
        self.calls = [spawn(self._call, number) for number in range(MANY)]
        until(lambda: self.served, 2 * LONG)

    def _handle(self, message: zbus.Message) -> int:
        self.served.append(message.body[0])
        self._go_on[len(self.served) - 1].wait()
        return message.body[0]

    def _call(self, number: int) -> object:
        with suppress(zbus.ZbusError):  # at the end, when the device is gone
            return self.client.request([number, LARGE], timeout=None)

    def reply(self, turn: int) -> None:
        """Let one be answered; return when it is, and the server has the next."""
        self._go_on[turn].set()
        assert self.calls[self.served[turn]].get(timeout=2 * LONG) == self.served[turn]
        until(lambda: len(self.served) > turn + 1, 2 * LONG)


@pytest.mark.parametrize(
    ("kind", "runs_in"),
    [(devices.queue, "greenlet"), (devices.monitored_queue, "greenlet"), (devices.monitored_queue, "process")],
)
def test_replies_cross_a_queue_whose_way_there_is_full(opened, spawn, kind, runs_in):
    device = opened(kind(*[narrow() for _ in range(2 if kind is devices.queue else 3)], runs_in=runs_in))
    crowd = Crowd(device, opened, spawn)
    for turn in range(3):
        until(lambda: device.statistics().waiting == 1, 2 * LONG)
        crowd.reply(turn)
    assert sum(call.ready() for call in crowd.calls) == 3
    assert crowd.client.statistics().sent < MANY, "the others wait with the client"
    until(lambda: device.statistics().waiting == 1, 2 * LONG)
    answers_at_once(device, runs_in)


@pytest.mark.parametrize("runs_in", ["thread", "process"])
def test_a_full_queue_of_libzmqs_own_answers_and_stops(opened, spawn, runs_in):
    """Its one thread waits for room in the middle of a burst: then replies wait, too."""
    device = opened(devices.queue(narrow(), narrow(), runs_in=runs_in))
    crowd = Crowd(device, opened, spawn)
    assert crowd.client.statistics().sent < MANY
    answers_at_once(device, runs_in)


@pytest.mark.parametrize("time", ["once", "twice", "three times"])
def test_calls_go_out_for_as_long_as_there_is_room_though_none_is_answered(opened, spawn, time):
    device = opened(devices.queue(narrow(), narrow()))
    Crowd(device, opened, spawn)
    until(lambda: device.statistics().waiting == 1)
