"""What a device does at the edges of its lifetime, and says when it is misused."""

from __future__ import annotations

import os
import signal

import gevent
import pytest

import zbus
from zbus import devices
from zbus.green.names import shown

LONG = 5.0
TCP = "tcp://127.0.0.1:*"

KINDS = {
    "queue": (devices.queue, 2),
    "forwarder": (devices.forwarder, 2),
    "streamer": (devices.streamer, 2),
    "monitored_queue": (devices.monitored_queue, 3),
}


@pytest.fixture(params=KINDS)
def declare(request):
    """Declares a device of each kind."""
    function, sides = KINDS[request.param]
    return lambda **keywords: function(*[TCP] * sides, **keywords)


def test_asking_for_an_address_opens_it(declare):
    device = declare()
    assert device.frontend.addresses
    assert device.state == "open"
    device.close()


def test_a_side_that_cannot_be_bound_leaves_nothing_open(declare):
    with zbus.Pull(bind=TCP) as taken:
        taken.start()
        device = devices.streamer(TCP, taken.addresses[0])
        with pytest.raises(zbus.AddressInUse):
            device.start()
        assert device.state == "declared"
    device.start()  # there is room now
    device.close()


def test_an_exception_that_passes_closes_it(declare):
    with pytest.raises(KeyError), declare() as device:
        raise KeyError
    assert device.state == "closed"


def test_what_fails_between_the_sides_closes_it_and_surfaces_in_run(monkeypatch):
    def broken(pump):
        raise LookupError("no way across")

    monkeypatch.setattr("zbus.devices.pump.Pump.run", broken)
    device = devices.streamer(TCP, TCP)
    with pytest.raises(LookupError, match="no way across"):
        device.run()
    assert device.state == "closed"


def test_only_a_monitored_queue_has_a_monitor():
    with pytest.raises(AttributeError, match="monitored_queue"):
        _ = devices.queue(TCP, TCP).monitor


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_is_a_whole_program_that_a_signal_ends(number):
    device = devices.streamer(TCP, TCP)
    device.start()
    gevent.spawn_later(0.02, os.kill, os.getpid(), number)
    device.run()
    assert device.state == "closed"


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda: devices.queue("127.0.0.1:1", TCP), ValueError, "127.0.0.1:1"),
        (lambda: devices.queue(5559, TCP), TypeError, "frontend"),
        (lambda: devices.queue(TCP, None), TypeError, "backend"),
        (lambda: devices.Side(), ValueError, "no address"),
        (lambda: devices.Side(bind=TCP, codec="raw"), TypeError, "codec"),
        (lambda: devices.Side(bind=TCP, high_water_mark=0), ValueError, "high_water_mark"),
        (lambda: devices.Side(bind=TCP, hwm=3), TypeError, "hwm"),
        (lambda: devices.Side(bind=TCP, identity="name"), ValueError, "identity"),
        (lambda: devices.Side(bind=TCP, identity=b"\0x"), ValueError, "identity"),
        (lambda: devices.streamer(TCP, TCP, capture="print"), TypeError, "capture"),
    ],
)
def test_misuse_raises_at_the_call_and_names_what_is_wrong(wrong, error, says):
    with pytest.raises(error, match=says):
        wrong()


def test_the_other_side_knows_it_by_its_identity():
    heard = []
    with zbus.Replier(lambda message: 1, bind=TCP) as replier:
        side = devices.Side(connect=replier.addresses, identity=b"the hub")
        with devices.queue(TCP, side) as device, zbus.Requester(connect=device.frontend.addresses) as client:
            serve = replier._took
            replier._took = lambda frames: (heard.append(shown(frames)[0]), serve(frames))
            assert client.request(1, timeout=LONG) == 1
        del replier._took
    assert heard == [b"the hub"]


def test_an_open_one_that_nobody_keeps_is_closed_and_told_of():
    device = devices.streamer(TCP, TCP)
    device.start()
    with pytest.warns(ResourceWarning, match="streamer"):
        del device
