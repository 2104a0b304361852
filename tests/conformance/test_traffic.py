"""Messages, time, the high-water mark, counters: the same for every endpoint."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from time import monotonic

import gevent
import pytest
from gevent.event import Event

import zbus

LONG = 5.0
#: Tries once, or nearly so.
SHORT = [0, -1, 0.001]


@pytest.mark.parametrize("timeout", SHORT)
def test_what_does_not_come_in_time_is_a_timeout_error(kind, make, address, timeout):
    verbs = {
        "recv": lambda e: e.recv(timeout=timeout),
        "wait_for_peers": lambda e: e.wait_for_peers(timeout=timeout),
        "wait_for_subscribers": lambda e: e.wait_for_subscribers("a", timeout=timeout),
        "request": lambda e: e.request(1, timeout=timeout),
        "send": lambda e: e.send(1, timeout=timeout),
    }
    endpoint = make(kind.make, bind=address)
    for name, verb in verbs.items():
        if not hasattr(endpoint, name):
            continue
        began = monotonic()
        with pytest.raises(zbus.TimeoutExpired) as caught:
            verb(endpoint)
        assert isinstance(caught.value, TimeoutError)
        assert isinstance(caught.value, zbus.ZbusError)
        assert monotonic() - began < LONG
    assert endpoint.statistics().sent == endpoint.statistics().received == 0
    assert endpoint.statistics().missed_wakeups == 0


def test_a_message_that_is_there_needs_no_time(row, ends):
    first, second = ends
    if not hasattr(second, "recv"):
        return
    row.move(first, second, "the first one")
    sent = 0
    for _ in range(3):
        first.publish("a", "x") if hasattr(first, "publish") else first.send("x", timeout=LONG)
        sent += 1
    second.recv(timeout=LONG)
    with gevent.Timeout(LONG):
        while sent > 1:
            try:
                second.recv(timeout=0)
            except zbus.TimeoutExpired:
                gevent.idle()
            else:
                sent -= 1


def test_iteration_hands_out_every_message_in_order(row, ends):
    first, second = ends
    if not hasattr(second, "recv"):
        return
    seen = gevent.spawn(lambda: [message.body for _, message in zip(range(500), second, strict=False)])
    for number in range(500):
        first.publish("a", number) if hasattr(first, "publish") else first.send(number, timeout=LONG)
    assert seen.get(timeout=LONG) == list(range(500))


def test_close_sends_what_was_sent(row, ends):
    """The receiver has read nothing yet when the sender is gone."""
    first, second = ends
    if not hasattr(second, "recv"):
        return
    for number in range(100):
        first.publish("a", number) if hasattr(first, "publish") else first.send(number, timeout=LONG)
    first.close()
    assert [second.recv(timeout=LONG).body for _ in range(100)] == list(range(100))


def test_statistics_add_up_and_are_frozen(row, ends):
    first, second = ends
    for number in range(20):
        row.move(first, second, number)
    here, there = first.statistics(), second.statistics()
    assert here.sent == there.received == 20
    assert here.peers == there.peers == 1
    if row.name == "request-reply":
        assert there.sent == here.received == 20
    for counts in (here, there):
        assert all(type(getattr(counts, field.name)) is int for field in fields(counts))
        assert counts.dropped == counts.malformed == counts.missed_wakeups == counts.waiting == 0
        with pytest.raises(FrozenInstanceError):
            counts.sent = 5
    first.close()
    second.close()
    assert first.statistics().sent == second.statistics().received == 20


def test_repr_tells_address_and_state_and_never_a_body(row, ends):
    first, second = ends
    row.move(first, second, {"password": "hunter2"})
    if hasattr(second, "recv"):
        first.publish("a", "hunter2") if hasattr(first, "publish") else first.send("hunter2", timeout=LONG)
        assert "hunter2" not in repr(second.recv(timeout=LONG))
    for endpoint in ends:
        shown = repr(endpoint)
        assert all(address in shown for address in endpoint.addresses)
        assert type(endpoint).__name__ in shown
        assert "open" in shown
        assert "hunter2" not in shown


@pytest.mark.parametrize("name", ["pair", "push-pull"])
def test_a_full_queue_makes_send_wait_and_loses_nothing(rows, name, make, address):
    row = rows[name]
    second = make(row.second, bind=address, high_water_mark=2)
    first = make(row.first, connect=second.addresses[0], high_water_mark=2)
    row.ready(first, second)
    body, sent, full = b"x" * 100_000, 0, False
    with gevent.Timeout(LONG):
        while not full:
            try:
                first.send([sent, body], timeout=0.05)
                sent += 1
            except zbus.TimeoutExpired:
                full = True
    assert first.statistics().sent == sent > 2
    waiting = gevent.spawn(first.send, [sent, body], timeout=LONG)
    numbers = [second.recv(timeout=LONG).body[0] for _ in range(sent + 1)]
    waiting.get(timeout=LONG)
    assert numbers == list(range(sent + 1))
    first.send([sent + 1, body], timeout=LONG)
    assert second.recv(timeout=LONG).body[0] == sent + 1


@pytest.mark.parametrize("name", ["pair", "push-pull"])
def test_who_does_not_read_for_many_heartbeats_loses_nothing(rows, name, make, address):
    """libzmq reads no pong behind a full queue: heartbeats must not take a busy peer for a dead one."""
    row = rows[name]
    options = {"high_water_mark": 2, "heartbeat": 0.02}
    second = make(row.second, bind=address, **options)
    first = make(row.first, connect=second.addresses[0], **options)
    row.ready(first, second)
    body, sent, full = b"x" * 100_000, 0, False
    with gevent.Timeout(LONG):
        while not full:
            try:
                first.send([sent, body], timeout=0.3)
                sent += 1
            except zbus.TimeoutExpired:
                full = True
    assert first.peers == second.peers == 1
    assert [second.recv(timeout=LONG).body[0] for _ in range(sent)] == list(range(sent))


@pytest.mark.parametrize("name", ["pair", "push-pull"])
def test_many_greenlets_send_and_receive_whole_messages(rows, name, make, address):
    row = rows[name]
    second = make(row.second, bind=address, high_water_mark=5)
    first = make(row.first, connect=second.addresses[0], high_water_mark=5)
    row.ready(first, second)
    senders = [
        gevent.spawn(lambda who=who: [first.send([who, n], headers={"n": n}, timeout=LONG) for n in range(40)])
        for who in range(10)
    ]
    receivers = [gevent.spawn(lambda: [second.recv(timeout=LONG) for _ in range(40)]) for _ in range(10)]
    gevent.joinall(senders, timeout=LONG, raise_error=True)
    gevent.joinall(receivers, timeout=LONG, raise_error=True)
    got = [message for receiver in receivers for message in receiver.get(timeout=LONG)]
    assert sorted(message.body for message in got) == [[who, n] for who in range(10) for n in range(40)]
    assert all(message.headers["n"] == message.body[1] for message in got)


def test_a_full_queue_makes_publish_drop(rows, make, address):
    row = rows["publish-subscribe"]
    second = make(row.second, bind=address, high_water_mark=2)
    first = make(row.first, connect=second.addresses[0], high_water_mark=2)
    row.ready(first, second)
    body, many = b"x" * 100_000, 300
    for number in range(many):
        first.publish("a", [number, body])
    received = []
    with gevent.Timeout(LONG):
        while "last" not in received:
            try:
                received.append(second.recv(timeout=0.02).body[0])
            except zbus.TimeoutExpired:
                first.publish("a", ["last"])
    numbers = [number for number in received if number != "last"]
    assert numbers == sorted(numbers)
    assert 0 < len(numbers) < many


def test_a_server_that_takes_no_more_makes_requests_unavailable(rows, make, address):
    row = rows["request-reply"]
    go = Event()

    def wait(message):
        go.wait(LONG)
        return message.body[0]

    second = make(zbus.Replier, handler=wait, bind=address, high_water_mark=10, concurrency=1)
    first = make(row.first, connect=second.addresses[0], high_water_mark=1)
    row.ready(first, second)
    body, taken, full = b"x" * 500_000, 0, False
    with gevent.Timeout(LONG):
        while not full:
            try:
                first.request([taken, body], timeout=0.02)
            except zbus.Unavailable:
                full = True
            except zbus.TimeoutExpired:
                taken += 1
    assert taken > 1
    waiting = gevent.spawn(first.request, ["waiting"], timeout=LONG)
    go.set()
    assert waiting.get(timeout=LONG) == "waiting"
    assert first.request(["after"], timeout=LONG) == "after"
    assert first.statistics().expired == taken + 1
    assert first.statistics().waiting == 0


def test_headers_cross_where_the_caller_gives_some(row, ends):
    first, second = ends
    if not hasattr(second, "recv"):
        return
    for headers in ({"traceparent": "00-1-2-01", "n": 1}, {}, None):
        if hasattr(first, "publish"):
            first.publish("a", 1, headers=headers)
        else:
            first.send(1, headers=headers, timeout=LONG)
        assert dict(second.recv(timeout=LONG).headers) == (headers or {})


def test_what_cannot_be_sent_is_refused_at_the_call(row, ends):
    first, second = ends
    for body, error in (({"a": [{1}]}, TypeError), (object(), TypeError), (2**70, TypeError)):
        with pytest.raises(error, match="body"):
            row.move(first, second, body)
    assert first.statistics().sent == 0
    assert row.move(first, second, "fine") == "fine"
