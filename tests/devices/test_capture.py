"""What a capture callback is shown, and that it can hold up nobody."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

import zbus
from zbus import devices
from zbus.devices.capture import WAITING

LONG = 5.0
TCP = "tcp://127.0.0.1:*"


@pytest.fixture
def through():
    """Sends numbers through a streamer; returns when they have crossed."""

    def through(device, count):
        with (
            zbus.Push(connect=device.frontend.addresses) as feeder,
            zbus.Pull(connect=device.backend.addresses) as worker,
        ):
            for number in range(count):
                feeder.send(number, timeout=LONG)
            assert [worker.recv(timeout=LONG).body for _ in range(count)] == list(range(count))

    return through


def test_it_sees_each_message_with_its_direction_and_its_frames(make, two):
    seen = []
    device = make(devices.queue, *two, capture=seen.append)
    make(zbus.Replier, lambda message: 2 * message.body, connect=device.backend.addresses)
    client = make(zbus.Requester, connect=device.frontend.addresses)
    assert client.request(21, timeout=LONG) == 42
    with gevent.Timeout(LONG):
        while len(seen) < 2:
            gevent.sleep(0)
    assert [message.topic for message in seen] == ["in", "out"]
    assert [message.body[-1] for message in seen] == [b"\x15", b"\x2a"]
    assert seen[0].body[:2] == seen[1].body[:2], "the same client, the same call"


def test_one_that_never_returns_loses_what_it_cannot_take_and_holds_up_nothing(through):
    stuck = Event()
    device = devices.streamer(TCP, TCP, capture=lambda message: stuck.wait())
    device.start()
    through(device, WAITING + 51)
    assert device.statistics().capture_dropped == 50
    assert device.statistics().messages_in == WAITING + 51
    device.close()


def test_one_that_raises_is_counted_logged_once_and_goes_on(through, caplog):
    seen = []

    def capture(message):
        seen.append(message)
        raise LookupError

    device = devices.streamer(TCP, TCP, capture=capture)
    with device:
        through(device, 10)
    assert (len(seen), device.statistics().capture_failed) == (10, 10)
    assert len([record for record in caplog.records if "capture" in record.message]) == 1


def test_stopping_lets_it_see_what_waits(through):
    seen = []
    with devices.streamer(TCP, TCP, capture=lambda message: (gevent.sleep(0), seen.append(message))) as device:
        through(device, 20)
    assert len(seen) == 20


def test_it_may_stop_its_device(through):
    device = devices.streamer(TCP, TCP, capture=lambda message: device.stop())
    device.start()
    through(device, 1)
    with gevent.Timeout(LONG):
        while device.state != "closed":
            gevent.idle()
