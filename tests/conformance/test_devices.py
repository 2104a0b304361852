"""Every device, wherever it runs, over every transport it has there: one lifetime, and messages that cross."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import gevent
import pytest
from waiting import LONG, until

import zbus
from zbus import devices
from zbus.devices import Device, DeviceStatistics

TCP = "tcp://127.0.0.1:*"
SOON: dict[str, Any] = {"reconnect": (0.01, 0.05), "linger": 0.2}


@dataclass(frozen=True)
class Row:
    """A device with the two ends that talk through it: which is at its front, and how a body moves."""

    make: Callable[..., Device]
    sides: tuple[str, ...]
    front: Callable[..., Any]
    back: Callable[..., Any]
    move: Callable[[Any, Any, Any], Any]
    messages: tuple[int, int]  # of one body: in and out


def _ask(client: zbus.Requester, server: zbus.Replier, body: Any) -> Any:
    return client.request(body, timeout=LONG, attempts=10)


def _publish(publisher: zbus.Publisher, subscriber: zbus.Subscriber, body: Any) -> Any:
    publisher.wait_for_subscribers("a", timeout=LONG)
    publisher.publish("a", body)
    return subscriber.recv(timeout=LONG).body


def _feed(feeder: zbus.Push, worker: zbus.Pull, body: Any) -> Any:
    feeder.send(body, timeout=LONG)
    return worker.recv(timeout=LONG).body


def replier(**options: Any) -> zbus.Replier:
    return zbus.Replier(lambda message: message.body, **options)


TWO = ("frontend", "backend")
ROWS = {
    "queue": Row(devices.queue, TWO, zbus.Requester, replier, _ask, (1, 1)),
    "forwarder": Row(devices.forwarder, TWO, zbus.Publisher, partial(zbus.Subscriber, topics="a"), _publish, (1, 0)),
    "streamer": Row(devices.streamer, TWO, zbus.Push, zbus.Pull, _feed, (1, 0)),
    "monitored_queue": Row(devices.monitored_queue, (*TWO, "monitor"), zbus.Requester, replier, _ask, (1, 1)),
}
PLACES = ["greenlet inproc", "greenlet ipc", "greenlet tcp", "thread ipc", "thread tcp", "process ipc", "process tcp"]
EVERY = [(name, place) for name in ROWS for place in PLACES if not (name == "monitored_queue" and "thread" in place)]


class Declares:
    """Declares one device in one place; again at the addresses that an open one has."""

    def __init__(self, row: Row, runs_in: str, addresses: list[str]) -> None:
        self.row, self._runs_in, self._addresses = row, runs_in, addresses
        self.counts_messages = runs_in == "greenlet" or row.make is devices.monitored_queue  # libzmq counts frames
        self._made: list[Any] = []

    def __call__(self, at: Device | None = None) -> Device:
        sides = self._addresses
        if at is not None:
            sides = [getattr(at, side).addresses[0] for side in self.row.sides]
        device = self.row.make(*(devices.Side(bind=side, **SOON) for side in sides), runs_in=self._runs_in, name="hub")
        self._made.append(device)
        return device

    def ends(self, device: Device) -> tuple[Any, Any]:
        """What talks through it."""
        back = self.row.back(connect=device.backend.addresses, **SOON)
        front = self.row.front(connect=device.frontend.addresses, **SOON)
        self._made[:0] = [front, back]
        for end in (front, back):
            end.start()
        return front, back

    def close(self) -> None:
        for one in self._made:
            one.close()


@pytest.fixture(params=EVERY, ids=lambda given: " ".join(given))
def declare(request: pytest.FixtureRequest) -> Iterator[Declares]:
    name, place = request.param
    runs_in, transport = place.split()
    base = TCP if transport == "tcp" else request.getfixturevalue(f"{transport}_address")
    row = ROWS[name]
    addresses = [base if transport == "tcp" else f"{base}.{side}" for side in row.sides]
    declares = Declares(row, runs_in, addresses)
    yield declares
    declares.close()


def test_one_lifetime(declare):
    device = declare()
    assert device.state == "declared"
    assert device.statistics() == DeviceStatistics()
    assert "'hub'" in repr(device)

    device.start()
    bound = [getattr(device, side).addresses for side in declare.row.sides]
    assert all(len(of_one) == 1 and "*" not in of_one[0] for of_one in bound)
    device.start()
    assert [getattr(device, side).addresses for side in declare.row.sides] == bound
    with pytest.raises(zbus.TimeoutExpired):
        device.backend.wait_for_peers(timeout=0)

    second = declare(at=device)
    with pytest.raises(zbus.AddressInUse) as told:
        second.start()
    assert bound[0][0] in str(told.value)
    assert second.state == "declared"

    waiting = gevent.spawn(device.backend.wait_for_peers)
    gevent.idle()
    device.stop()
    with pytest.raises(zbus.Closed):
        waiting.get(timeout=LONG)
    device.close()
    device.stop()
    assert device.state == "closed"
    assert device.statistics().messages_in == 0
    for use in (device.start, device.pause, device.resume, lambda: device.frontend.addresses):
        with pytest.raises(zbus.Closed):
            use()


def test_messages_cross_and_both_ends_find_their_way_back_when_it_is_restarted(declare):
    device = declare()
    front, back = declare.ends(device)
    for body in (None, 0, "text", b"bytes", [1, [2]], {"key": {"nested": 1.5}}):
        assert declare.row.move(front, back, body) == body
    until(lambda: (device.frontend.peers, device.backend.peers) == (1, 1))
    counted = device.statistics()
    if declare.counts_messages:
        assert (counted.messages_in, counted.messages_out - counted.messages_out % 6) == tuple(
            6 * times for times in declare.row.messages
        )
    assert counted.bytes_in > 6
    assert counted.missed_wakeups == counted.waiting == 0

    again = declare(at=device)
    device.close()
    until(lambda: not front.peers and not back.peers and not getattr(front, "_audience", None))
    again.start()
    for end in (front, back):
        end.wait_for_peers(timeout=LONG)
    assert declare.row.move(front, back, "again") == "again"
