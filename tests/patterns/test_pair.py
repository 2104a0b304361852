"""PAIR: two peers, no more."""

from __future__ import annotations

from time import monotonic

import gevent
import pytest
import zmq
from msgpack import unpackb
from waiting import LONG, until

import zbus


@pytest.fixture
def two(make, address):
    """A bound pair and the one that is connected to it."""
    bound = make(zbus.Pair, bind=address)
    other = make(zbus.Pair, connect=bound.addresses[0])
    bound.wait_for_peers(timeout=LONG)
    other.wait_for_peers(timeout=LONG)
    return bound, other


def test_any_number_of_messages_either_way(two):
    bound, other = two
    for number in range(3):
        bound.send(number, timeout=LONG)
    for number in range(100):
        other.send(number, timeout=LONG)
    assert [bound.recv(timeout=LONG).body for _ in range(100)] == list(range(100))
    assert [other.recv(timeout=LONG).body for _ in range(3)] == [0, 1, 2]


def test_both_may_talk_at_once(two):
    def talk(end):
        for number in range(200):
            end.send(number, timeout=LONG)

    def listen(end):
        return [end.recv(timeout=LONG).body for _ in range(200)]

    talkers = [gevent.spawn(talk, end) for end in two]
    listeners = [gevent.spawn(listen, end) for end in two]
    gevent.joinall(talkers, timeout=LONG, raise_error=True)
    assert [listener.get(timeout=LONG) for listener in listeners] == [list(range(200))] * 2


def test_a_second_peer_is_refused_and_comes_in_when_the_first_has_left(make, events, address):
    bound = make(zbus.Pair, bind=address, on_event=events)
    first = make(zbus.Pair, connect=bound.addresses[0])
    first.wait_for_peers(timeout=LONG)
    bound.wait_for_peers(timeout=LONG)
    second = make(zbus.Pair, connect=bound.addresses[0])
    refused = events.wait_for("refused")
    assert refused.address == bound.addresses[0]
    assert "one peer" in refused.reason
    assert bound.peers == 1
    first.send("the first is heard", timeout=LONG)
    assert bound.recv(timeout=LONG).body == "the first is heard"
    bound.send("and so is the answer", timeout=LONG)
    assert first.recv(timeout=LONG).body == "and so is the answer"
    first.close()
    events.wait_for("disconnected")
    events.wait_for("connected", 2)
    second.wait_for_peers(timeout=LONG)
    second.send("now I am heard", timeout=LONG)
    assert bound.recv(timeout=LONG).body == "now I am heard"
    bound.send("and answered", timeout=LONG)
    assert second.recv(timeout=LONG).body == "and answered"


def test_the_next_peer_may_come_the_moment_the_first_has_left(make, events, address):
    bound = make(zbus.Pair, bind=address, on_event=events)
    for number in range(5):
        other = make(zbus.Pair, connect=bound.addresses[0])
        other.wait_for_peers(timeout=LONG)
        bound.wait_for_peers(timeout=LONG)
        other.send(number, timeout=LONG)
        assert bound.recv(timeout=LONG).body == number
        other.close()
        events.wait_for("disconnected", number + 1)


def send_before_the_loop_hears(bound):
    """Send all that there is room for as soon as libzmq has attached a peer, the hub standing still; how much."""
    socket, given_up = bound._port.socket, monotonic() + LONG
    while not zmq.backend.Socket.get(socket, zmq.EVENTS) & zmq.POLLOUT:
        assert monotonic() < given_up
    sent = 0
    while True:
        try:
            bound.send(sent, timeout=0)
        except zbus.TimeoutExpired:
            return sent
        sent += 1


@pytest.mark.parametrize("before", ["nobody", "one who left nothing", "one who left something unread"])
def test_a_peer_whose_queue_is_full_before_the_loop_hears_of_him_is_not_refused(make, events, before):
    bound = make(zbus.Pair, bind="tcp://127.0.0.1:*", high_water_mark=10, on_event=events)
    if before != "nobody":
        with zbus.Pair(connect=bound.addresses[0]) as last:
            bound.wait_for_peers(timeout=LONG)
            if before == "one who left something unread":
                last.send("unread", timeout=LONG)
        events.wait_for("disconnected")
        until(lambda: bound._port._sent_before is not None)  # his end is carried out
        if before == "one who left something unread":
            assert bound.recv(timeout=LONG).body == "unread"
    with zmq.Context() as context, context.socket(zmq.PAIR) as peer:
        peer.linger, peer.rcvtimeo = 0, 5000
        peer.connect(bound.addresses[0])
        sent = send_before_the_loop_hears(bound)
        assert sent >= 10
        events.wait_for("connected", 1 if before == "nobody" else 2)
        assert [unpackb(peer.recv()) for _ in range(sent)] == list(range(sent))
    assert "refused" not in events.kinds


def test_up_to_the_high_water_mark_waits_on_each_side(make, inproc_address):
    bound = make(zbus.Pair, bind=inproc_address, high_water_mark=3)
    other = make(zbus.Pair, connect=inproc_address, high_water_mark=4)
    other.wait_for_peers(timeout=LONG)
    for number in range(3 + 4):
        other.send(number, timeout=0)
    with pytest.raises(zbus.TimeoutExpired, match="no room"):
        other.send("one too many", timeout=0)
    assert [bound.recv(timeout=LONG).body for _ in range(7)] == list(range(7))
    other.send("room again", timeout=LONG)
    assert bound.recv(timeout=LONG).body == "room again"


def test_what_is_not_read_is_kept_in_order(two):
    bound, other = two
    for number in range(50):
        other.send(f"ping {number}", timeout=LONG)
    for number in range(0, 50, 2):  # two at a time
        assert [bound.recv(timeout=LONG).body for _ in range(2)] == [f"ping {number}", f"ping {number + 1}"]


def test_what_is_sent_before_a_peer_comes_is_delivered(make, address):
    if address.startswith("tcp"):
        with zbus.Pair(bind=address) as taken:
            address = taken.addresses[0]
    early = make(zbus.Pair, connect=address)
    for number in range(3):
        early.send(number, timeout=0)
    bound = make(zbus.Pair, bind=address)
    assert [bound.recv(timeout=LONG).body for _ in range(3)] == [0, 1, 2]
