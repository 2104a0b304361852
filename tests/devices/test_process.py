"""What is particular to a device in a process of its own: errors cross, and neither end outlives the other."""

from __future__ import annotations

import os
import signal

import gevent
import pytest
from gevent.socket import wait_read
from green.rig import run as program
from interop.process import Process

import zbus
from zbus import devices
from zbus.green.names import shown

LONG = 5.0
TCP = "tcp://127.0.0.1:*"


@pytest.fixture
def streamer():
    with devices.streamer(TCP, TCP, runs_in="process") as device:
        yield device


def pid_of(device):
    return device._engine._process.pid


def test_an_error_there_is_raised_here_and_leaves_nothing():
    with zbus.Pull(bind=TCP) as taken:
        device = devices.streamer(TCP, taken.addresses[0], runs_in="process")
        with pytest.raises(zbus.AddressInUse, match="is taken"):
            device.start()
        assert device.state == "declared"
    with device:
        assert device.frontend.addresses


def test_who_comes_while_it_opens_waits_and_who_closes_it_then_leaves_nothing():
    device = devices.streamer(TCP, TCP, runs_in="process")
    asking = [gevent.spawn(lambda: device.frontend.addresses) for _ in range(2)]
    assert len({greenlet.get(timeout=LONG) for greenlet in asking}) == 1
    device.close()
    device = devices.streamer(TCP, TCP, runs_in="process")
    asking = [gevent.spawn(device.start) for _ in range(2)]
    gevent.idle()
    assert not any(greenlet.ready() for greenlet in asking)
    device.close()
    for greenlet in asking:
        with pytest.raises(zbus.Closed):
            greenlet.get(timeout=LONG)


def test_options_and_identities_reach_it():
    heard = []
    side = devices.Side(bind=TCP, high_water_mark=7, reconnect=(0.2, 2.0), linger=0.5, name="back")
    with (
        zbus.Replier(lambda message: 1, bind=TCP) as replier,
        devices.queue(side, devices.Side(connect=replier.addresses, identity=b"\xffhub"), runs_in="process") as device,
        zbus.Requester(connect=device.frontend.addresses) as client,
    ):
        serve = replier._took
        replier._took = lambda frames: (heard.append(shown(frames)[0]), serve(frames))
        assert client.request(1, timeout=LONG) == 1
        del replier._took
    assert heard == [b"\xffhub"]


def test_its_peers_are_known_here(streamer):
    assert (streamer.frontend.peers, streamer.backend.peers) == (0, 0)
    with pytest.raises(zbus.TimeoutExpired):
        streamer.backend.wait_for_peers(timeout=0.01)
    with zbus.Pull(connect=streamer.backend.addresses):
        streamer.backend.wait_for_peers(timeout=LONG)
        assert (streamer.frontend.peers, streamer.backend.peers) == (0, 1)


def test_its_counts_cross_and_the_last_are_kept(streamer):
    with (
        zbus.Push(connect=streamer.frontend.addresses) as feeder,
        zbus.Pull(connect=streamer.backend.addresses) as worker,
    ):
        feeder.send(1, timeout=LONG)
        assert worker.recv(timeout=LONG).body == 1
        assert (streamer.statistics().messages_in, streamer.statistics().stale) == (1, False)
    streamer.stop()
    assert (streamer.statistics().messages_in, streamer.statistics().stale) == (1, True)


def test_a_process_that_is_killed_closes_the_device_and_surfaces_in_run():
    device = devices.streamer(TCP, TCP, runs_in="process")
    device.start()
    running = gevent.spawn(device.run)
    gevent.sleep(0)
    os.kill(pid_of(device), signal.SIGKILL)
    with pytest.raises(OSError, match="exit status -9"):
        running.get(timeout=LONG)
    assert device.state == "closed"


def test_a_monitored_queue_runs_there_too():
    with (
        devices.monitored_queue(TCP, TCP, TCP, runs_in="process") as device,
        zbus.Replier(lambda message: 2 * message.body, connect=device.backend.addresses),
        zbus.Requester(connect=device.frontend.addresses) as client,
        zbus.Subscriber(connect=device.monitor.addresses, topics=b"", codec="frames") as watcher,
    ):
        device.monitor.wait_for_peers(timeout=LONG)
        with gevent.Timeout(LONG):
            while True:
                assert client.request(21, timeout=LONG) == 42
                try:
                    assert watcher.recv(timeout=0.05).body[0] in (b"in", b"out")
                    break
                except zbus.TimeoutExpired:
                    continue


def test_what_it_cannot_do_is_unsupported(streamer):
    with pytest.raises(zbus.Unsupported, match="paused"):
        streamer.pause()
    with pytest.raises(zbus.Unsupported, match="inproc"):
        devices.queue("inproc://x", TCP, runs_in="process")
    with pytest.raises(zbus.Unsupported, match="capture"):
        devices.queue(TCP, TCP, runs_in="process", capture=print)
    with pytest.raises(zbus.Unsupported, match="on_event"):
        devices.queue(devices.Side(bind=TCP, on_event=print), TCP, runs_in="process")


OPEN = """
import os, signal
import gevent.event, zbus
from zbus import devices
device = devices.streamer("tcp://127.0.0.1:*", "tcp://127.0.0.1:*", runs_in="process")
device.start()
"""


def ended(pid):
    """Wait until a process that is nobody's child here is gone."""
    try:
        gone = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        wait_read(gone, LONG, AssertionError(f"process {pid} goes on"))
    finally:
        os.close(gone)


def test_a_program_falls_off_its_end_with_one_open_and_takes_it_along():
    ended(int(program(OPEN + "print(device._engine._process.pid)\n")))


def test_peers_that_leave_as_it_closes_make_no_noise():
    source = """
    import gevent, zbus
    from zbus import devices
    for _ in range(3):
        with devices.forwarder("tcp://127.0.0.1:*", "tcp://127.0.0.1:*", runs_in="process") as device:
            feeders = [zbus.Publisher(connect=device.frontend.addresses) for _ in range(30)]
            for feeder in feeders:
                feeder.start()
            device.frontend.wait_for_peers(30, timeout=5)
            gevent.joinall([gevent.spawn(one.close) for one in (device, *feeders)])
    """
    assert program(source) == ""


def test_it_ends_with_a_parent_that_is_killed_though_a_forked_child_lives_on():
    source = """
ready, go = os.pipe()
child = os.fork()
if not child:
    os.close(go)
    os.read(ready, 1)
    os._exit(0)
print(device._engine._process.pid, flush=True)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
if not os.fork():
    os.kill(os.getppid(), signal.SIGKILL)
    os._exit(0)
gevent.event.Event().wait(30)
"""
    with Process("-c", OPEN + source) as parent:
        ended(int(parent.line()))
