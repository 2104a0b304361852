"""Who connects and then says nothing, too little, or never answers: row CO-1."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path
from time import monotonic

import gevent
import pytest
from faults.bystander import Bystander
from gevent.socket import wait_read
from interop.process import Process
from waiting import LONG, until

from zbus import Replier, Requester
from zbus.green import options

TCP = "tcp://127.0.0.1:*"
SILENT = Path(__file__).with_name("silent.py")
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)
SOAK = pytest.mark.soak


def ready(role: bytes) -> bytes:
    """The command with which a handshake of ZMTP 3 without a key ends."""
    properties = b"\x0bSocket-Type" + len(role).to_bytes(4, "big") + role + b"\x08Identity" + bytes(4)
    return b"\x04" + bytes([len(properties) + 6]) + b"\x05READY" + properties


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def handshake(request, monkeypatch):
    """Seconds that a handshake may take: zbus's own 5, or fewer."""
    if request.param != 5.0:
        (interval, _), *others = options.ALWAYS
        monkeypatch.setattr(options, "ALWAYS", ((interval, int(request.param * 1000)), *others))
    return request.param


@pytest.mark.parametrize(
    ("handshake", "count", "pause"),
    [
        pytest.param(0.5, 200, 0, id="silent"),
        pytest.param(0.5, 50, 0.05, id="a byte now and then"),
        pytest.param(5.0, 2000, 0, id="2000 silent", marks=SOAK),
        pytest.param(5.0, 2000, 1.0, id="2000 a byte a second", marks=SOAK),
    ],
    indirect=["handshake"],
)
def test_who_does_not_end_his_handshake_in_time_is_cut_off_and_others_do_not_notice(handshake, count, pause):
    """Row CO-1."""
    with Replier(lambda message: message.body, bind=TCP) as server:
        address = server.addresses[0]
        with Bystander(address) as bystander:
            until(lambda: bystander.delays)
            before = descriptors()
            with Process(SILENT, *address.removeprefix("tcp://").split(":"), count, pause) as many:
                until(lambda: descriptors() >= before + count / 4)
                assert server.peers == 1
                open_for = [float(seconds) for seconds in many.line(handshake + 6 * LONG).split()]
            until(lambda: descriptors() <= before)
        print(
            f"{count} cut off after {open_for[0]:.3f} to {open_for[-1]:.3f} s, {len(bystander.delays)} calls beside it"
        )
    assert len(open_for) == count
    assert open_for[0] > handshake - 0.1
    assert open_for[-1] < handshake + 1


def shake(connection: socket.socket, role: bytes) -> None:
    """Become a peer, and say nothing ever after."""
    connection.sendall(GREETING + ready(role))


@pytest.mark.parametrize("heartbeat", [0.1, pytest.param(2.0, marks=SOAK)])
def test_a_peer_that_never_answers_a_ping_is_cut_off_by_a_bound_requester(heartbeat):
    """Row CO-1."""
    with Requester(bind=TCP, heartbeat=heartbeat) as client:
        host, port = client.addresses[0].removeprefix("tcp://").split(":")
        with closing(Replier(lambda message: message.body, connect=client.addresses[0])) as good:
            good.start()
            client.wait_for_peers(timeout=LONG)
            before = descriptors()
            with socket.create_connection((host, int(port))) as mute:
                shake(mute, b"ROUTER")
                client.wait_for_peers(2, timeout=LONG)
                began = monotonic()
                until(lambda: client.peers == 1, 3 * heartbeat + LONG)
                assert monotonic() - began < 3 * heartbeat + 1
                until(lambda: descriptors() == before + 1)  # ours of the two
            assert client.request("still here", timeout=LONG) == "still here"


@pytest.mark.parametrize("heartbeat", [0.1, pytest.param(2.0, marks=SOAK)])
def test_a_server_that_never_answers_a_ping_is_left_and_another_one_asked(heartbeat):
    """Row CO-1."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Replier(lambda message: message.body, bind=TCP) as good,
        Bystander(good.addresses[0]),
    ):
        there = [f"tcp://127.0.0.1:{listener.getsockname()[1]}", good.addresses[0]]
        with Requester(connect=there, heartbeat=heartbeat) as client:
            wait_read(listener.fileno(), LONG)
            with listener.accept()[0] as mute:
                shake(mute, b"ROUTER")
                client.wait_for_peers(2, timeout=LONG)
                asked = {"timeout": 3 * heartbeat + LONG, "attempts": 3}
                calls = [gevent.spawn(client.request, number, **asked) for number in (1, 2)]
                began = monotonic()
                until(lambda: client.peers == 1, 3 * heartbeat + LONG)
                assert monotonic() - began < 3 * heartbeat + 1
                assert [call.get(timeout=LONG) for call in calls] == [1, 2]
