"""A server that stops behind a queue: it refuses, nobody knows who it was, and the next one behind there is asked."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event
from waiting import LONG, until

import zbus
from zbus import devices


@pytest.fixture
def stopping(make):
    """Makes a server behind a device that is stopping, and goes on until its one call is let go."""

    def stopping(device, entrance=None):
        begun, go_on = Event(), Event()

        def hold(message):
            begun.set()
            go_on.wait()
            return "held"

        server = make(zbus.Replier, hold, connect=device.backend.addresses)
        client = make(zbus.Requester, connect=(entrance or device).frontend.addresses)
        held = gevent.spawn(client.request, "held", timeout=LONG)
        assert begun.wait(LONG)
        end = gevent.spawn(server.stop, LONG)
        until(lambda: server.state == "stopping")
        return server, client, lambda: (go_on.set(), held.get(timeout=LONG), end.get(timeout=LONG))

    return stopping


def test_others_behind_the_queue_are_asked_at_once(make, run, stopping):
    device = run(devices.queue)
    server, client, let_go = stopping(device)
    make(zbus.Replier, lambda message: message.body, connect=device.backend.addresses)
    device.backend.wait_for_peers(2, timeout=LONG)
    for number in range(20):
        assert client.request(number, timeout=LONG) == number
    assert client.statistics().refused == server.statistics().refused >= 1
    assert client.statistics().retried == 0, "a refusal is no attempt"
    let_go()


def test_the_client_stays_with_the_device(make, run, stopping):
    device = run(devices.queue)
    server, client, let_go = stopping(device)
    with pytest.raises(zbus.TimeoutExpired):  # Unavailable, unless the last refusal comes after the deadline
        client.request("refused", timeout=0.2)
    assert (client.peers, device.frontend.peers) == (1, 1)
    assert client.statistics().refused < 20, "it asks less and less often"
    assert let_go()[1] == "held"
    assert server.statistics().received == 1, "it did not run"


def test_a_call_waits_for_the_next_server(make, run, stopping):
    device = run(devices.queue)
    server, client, let_go = stopping(device)
    call = gevent.spawn(client.request, "waits", timeout=LONG, attempts=10)
    until(lambda: client.statistics().refused >= 1)
    make(zbus.Replier, lambda message: ["next", message.body], connect=device.backend.addresses)
    let_go()
    assert call.get(timeout=LONG) == ["next", "waits"]
    assert server.statistics().received == 1


def test_through_two_queues_in_a_row(make, two, stopping):
    near = make(devices.queue, *two)
    far = make(devices.queue, devices.Side(connect=near.backend.addresses), "tcp://127.0.0.1:*")
    server, client, let_go = stopping(far, near)
    make(zbus.Replier, lambda message: message.body, connect=far.backend.addresses)
    far.backend.wait_for_peers(2, timeout=LONG)
    assert [client.request(number, timeout=LONG) for number in range(10)] == list(range(10))
    assert server.statistics().refused >= 1
    let_go()
