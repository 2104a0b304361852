"""What is particular to a device in an OS thread: it can always be stopped, and says what it cannot do."""

from __future__ import annotations

import time

import gevent
import pytest
import zmq
from green.rig import run as program
from waiting import until

import zbus
from zbus import devices

LONG = 5.0
TCP = "tcp://127.0.0.1:*"


@pytest.fixture
def stalled():
    """A streamer with nobody at its back, and more fed to it than it can hold."""
    device = devices.streamer(devices.Side(bind=TCP, high_water_mark=1), TCP, runs_in="thread")
    with device, zbus.Push(connect=device.frontend.addresses, high_water_mark=1, linger=0) as feeder:
        feeder.send(1, timeout=LONG)
        yield device


def test_it_stops_with_nobody_at_its_back(stalled):
    with gevent.Timeout(LONG):
        stalled.stop()
    assert stalled.state == "closed"


def test_it_goes_on_while_greenlets_compute():
    with (
        devices.streamer(TCP, TCP, runs_in="thread") as device,
        zbus.Push(connect=device.frontend.addresses) as feeder,
        zbus.Pull(connect=device.backend.addresses) as worker,
    ):
        feeder.wait_for_peers(timeout=LONG)
        worker.wait_for_peers(timeout=LONG)
        feeder.send("before", timeout=LONG)
        assert worker.recv(timeout=LONG).body == "before"
        feeder.send("meanwhile", timeout=LONG)
        socket = worker._port.socket
        until = time.monotonic() + LONG
        while not socket.get(zmq.EVENTS) & zmq.POLLIN and time.monotonic() < until:  # no greenlet runs here
            continue
        assert worker.recv(timeout=0).body == "meanwhile"


def test_what_crossed_last_arrives_although_it_is_closed_at_once():
    device = devices.streamer(TCP, TCP, runs_in="thread")
    with (
        device,
        zbus.Push(connect=device.frontend.addresses) as feeder,
        zbus.Pull(connect=device.backend.addresses) as worker,
    ):
        device.backend.wait_for_peers(timeout=LONG)
        for number in range(1000):
            feeder.send(number, timeout=LONG)
        until(lambda: device.statistics().messages_in == 1000)
        device.close()
        assert [worker.recv(timeout=LONG).body for _ in range(1000)] == list(range(1000))
    assert device.statistics().stale


def test_its_last_figures_are_kept_and_marked():
    device = devices.streamer(TCP, TCP, runs_in="thread")
    with (
        device,
        zbus.Push(connect=device.frontend.addresses) as feeder,
        zbus.Pull(connect=device.backend.addresses) as worker,
    ):
        feeder.send("x" * 98, timeout=LONG)
        worker.recv(timeout=LONG)
        fresh = device.statistics()
        assert (fresh.messages_in, fresh.bytes_in, fresh.messages_out, fresh.stale) == (1, 100, 0, False)
    kept = device.statistics()
    assert (kept.messages_in, kept.stale) == (1, True)


def test_a_proxy_that_ends_by_itself_closes_the_device_and_surfaces_in_run(monkeypatch):
    def broken(*sockets):
        raise LookupError("no proxy")

    monkeypatch.setattr("zmq.proxy_steerable", broken)
    device = devices.streamer(TCP, TCP, runs_in="thread")
    with pytest.raises(LookupError, match="no proxy"):
        device.run()
    assert device.state == "closed"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: devices.queue("inproc://x", TCP, runs_in="thread"), "inproc"),
        (lambda: devices.queue(TCP, devices.Side(connect="inproc://x"), runs_in="thread"), "inproc"),
        (lambda: devices.queue(TCP, TCP, runs_in="thread", capture=print), "capture"),
        (lambda: devices.monitored_queue(TCP, TCP, TCP, runs_in="thread"), "monitor"),
    ],
)
def test_what_it_cannot_do_is_unsupported_and_says_what_can(wrong, says):
    with pytest.raises(zbus.Unsupported, match=f"{says}.*greenlet"):
        wrong()


def test_pausing_is_unsupported():
    with devices.streamer(TCP, TCP, runs_in="thread") as device:
        with pytest.raises(zbus.Unsupported, match="paused"):
            device.pause()
        assert device.state == "open"


def test_elsewhere_there_is_nothing():
    with pytest.raises(ValueError, match="runs_in='orbit'"):
        devices.queue(TCP, TCP, runs_in="orbit")


PROGRAM = """
{patch}
import gevent, zbus
from zbus import devices
device = devices.queue("tcp://127.0.0.1:*", "tcp://127.0.0.1:*", runs_in="thread")
server = zbus.Replier(lambda message: 2 * message.body, connect=device.backend.addresses)
server.start()
client = zbus.Requester(connect=device.frontend.addresses)
print(client.request(21, timeout=5))
"""


@pytest.mark.parametrize("patch", ["", "import gevent.monkey; gevent.monkey.patch_all()"])
def test_a_program_falls_off_its_end_with_one_open(patch):
    assert program(PROGRAM.format(patch=patch)) == "42\n"
