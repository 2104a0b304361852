"""Plain sockets in other processes on both sides of every device: to them it is a standard ZeroMQ device."""

from __future__ import annotations

import json

import gevent
from interop.process import plain

import zbus
from zbus import devices

TCP = "tcp://127.0.0.1:*"
LONG = 10.0


def test_requests_of_plain_reqs_alternate_over_plain_reps() -> None:
    with (
        devices.queue(TCP, TCP) as device,
        plain("rep", device.backend.addresses[0]),
        plain("rep", device.backend.addresses[0]),
    ):
        device.backend.wait_for_peers(2, timeout=LONG)
        with (
            plain("req", device.frontend.addresses[0], 1, 2, 3, 4) as one,
            plain("req", device.frontend.addresses[0], 5, 6) as other,
        ):
            assert [one.line() for _ in range(5)] == ["ready", *(json.dumps({"echo": n}) for n in (1, 2, 3, 4))]
            assert [other.line() for _ in range(3)] == ["ready", *(json.dumps({"echo": n}) for n in (5, 6))]
    assert (device.statistics().messages_in, device.statistics().messages_out) == (6, 6)


def test_a_plain_sub_hears_a_plain_pub_through_a_forwarder() -> None:
    with (
        devices.forwarder(TCP, TCP) as device,
        plain("subscribe", device.backend.addresses[0], "9", 2) as subscriber,
        plain("publish", device.frontend.addresses[0], "9", "1.a", "9.a", "2.b", "9.b"),
    ):
        assert subscriber.line() == "ready"
        assert [json.loads(subscriber.line())[0] for _ in range(2)] == ["9.a", "9.b"]
    assert device.statistics().messages_in == 2


def test_a_plain_push_feeds_plain_pulls_through_a_streamer() -> None:
    with (
        devices.streamer(TCP, TCP) as device,
        plain("pull", device.backend.addresses[0], 2) as one,
        plain("pull", device.backend.addresses[0], 2) as other,
    ):
        device.backend.wait_for_peers(2, timeout=LONG)
        with plain("push", device.frontend.addresses[0], 1, 2, 3, 4):
            shares = [[worker.line() for _ in range(3)] for worker in (one, other)]
    assert sorted(shares) == [["ready", "1", "3"], ["ready", "2", "4"]]


def test_messages_of_many_frames_and_large_ones_cross_unchanged() -> None:
    frames = ["", "a", "", "x" * 100_000]
    with (
        devices.streamer(TCP, TCP) as device,
        plain("pull_frames", device.backend.addresses[0], 2) as worker,
        plain("push_frames", device.frontend.addresses[0], *frames),
        plain("push_frames", device.frontend.addresses[0], "y" * 100_000),
    ):
        assert worker.line() == "ready"
        assert sorted(json.loads(worker.line()) for _ in range(2)) == [frames, ["y" * 100_000]]
    assert device.statistics().bytes_in == 200_001


def test_a_plain_proxy_and_a_queue_stand_behind_one_another() -> None:
    with (
        devices.queue(TCP, TCP) as near,
        plain("bridge", near.backend.addresses[0], TCP) as far,
        zbus.Requester(connect=near.frontend.addresses) as client,
    ):
        assert far.line() == "ready"
        with zbus.Replier(lambda message: 2 * message.body, connect=far.line()):
            assert client.request(21, timeout=LONG) == 42


def test_a_server_that_is_killed_while_ten_requests_wait_costs_none_of_them_with_attempts() -> None:
    with (
        devices.queue(TCP, TCP) as device,
        zbus.Requester(connect=device.frontend.addresses) as client,
        plain("rep", device.backend.addresses[0]) as victim,
    ):
        victim.line()
        device.backend.wait_for_peers(timeout=LONG)
        held = gevent.spawn(client.request, "wait", timeout=LONG, attempts=10)
        assert victim.line() == "holding"
        calls = [gevent.spawn(client.request, number, timeout=LONG, attempts=10) for number in range(10)]
        with gevent.Timeout(LONG):
            while client.statistics().sent < 11:
                gevent.idle()
        victim.kill()
        with zbus.Replier(lambda message: {"echo": message.body}, connect=device.backend.addresses):
            assert [call.get(timeout=LONG) for call in calls] == [{"echo": number} for number in range(10)]
            assert held.get(timeout=LONG) == {"echo": "wait"}
