"""The asking end: many callers on one client, and none of them hangs."""

from __future__ import annotations

from collections import Counter
from time import monotonic

import gevent
import pytest
from gevent.event import Event
from waiting import until

import zbus
from zbus.patterns.parking import Parking
from zbus.wire.request import Call

LONG = 5.0


def echo(message):
    return message.body


@pytest.fixture
def linked(make, address):
    """Makes a server with this handler and a client that it knows of."""

    def linked(handler, *, server=None, **options):
        replier = make(zbus.Replier, handler, bind=address, **(server or {}))
        requester = make(zbus.Requester, connect=replier.addresses[0], **options)
        requester.wait_for_peers(timeout=LONG)
        return replier, requester

    return linked


def nothing_is_left(requester):
    assert requester.statistics().waiting == 0
    assert not requester._calls
    assert not requester._parking.queue
    assert not any(server.calls for server in requester._servers)


def test_a_request_gets_its_reply(linked):
    replier, requester = linked(lambda message: {"got": message.body, "headers": dict(message.headers)})
    assert requester.request([1, 2], timeout=LONG) == {"got": [1, 2], "headers": {}}
    assert requester.request(None, timeout=LONG, headers={"a": 1}) == {"got": None, "headers": {"a": 1}}
    assert replier.statistics().sent == requester.statistics().received == 2


@pytest.mark.parametrize("timeout", [0, -1, 0.01])
def test_unavailable_when_nobody_is_there(make, address, timeout):
    requester = make(zbus.Requester, bind=address)
    with pytest.raises(zbus.Unavailable, match="did not run"):
        requester.request(1, timeout=timeout)
    assert requester.statistics().expired == 1
    assert requester.statistics().sent == 0
    nothing_is_left(requester)


def test_no_time_is_enough_to_hand_it_out_and_no_more(linked):
    ran = Event()

    def handler(message):
        ran.set()

    _, requester = linked(handler)
    with pytest.raises(zbus.TimeoutExpired) as caught:
        requester.request(1, timeout=0)
    assert not isinstance(caught.value, zbus.Unavailable)
    assert requester.request(2, timeout=LONG) is None
    nothing_is_left(requester)


def test_a_call_that_comes_before_its_server_waits_for_it(make, address):
    if address.startswith("tcp"):
        with zbus.Pull(bind=address) as taken:
            address = taken.addresses[0]
    requester = make(zbus.Requester, connect=address)
    calls = [gevent.spawn(requester.request, n, timeout=LONG) for n in range(10)]
    gevent.idle()
    make(zbus.Replier, echo, bind=address)
    assert [call.get(timeout=LONG) for call in calls] == list(range(10))
    nothing_is_left(requester)


def test_callers_that_wait_for_room_do_not_spin(linked, monkeypatch):
    """A wake-up that finds no room is handed on once, not round and round."""
    tries = Counter()
    real = zbus.Requester._try

    def counting(self, call, frames, now):
        tries["all"] += 1
        return real(self, call, frames, now)

    monkeypatch.setattr(zbus.Requester, "_try", counting)
    go = Event()
    _, requester = linked(
        lambda message: go.wait(LONG),
        server={"concurrency": 1, "high_water_mark": 1, "linger": 0},
        high_water_mark=1,
        linger=0,
    )

    def attempt():
        with pytest.raises(zbus.ZbusError):
            requester.request(b"x" * 500_000, timeout=LONG)

    calls = [gevent.spawn(attempt) for _ in range(40)]
    gevent.sleep(0)
    gevent.get_hub().loop.run_callback(requester._parking.room, None)  # as a reply or a new peer does
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.2):
        gevent.joinall(calls)
    assert tries["all"] < 1000
    requester.close()
    gevent.joinall(calls, timeout=LONG, raise_error=True)
    go.set()
    nothing_is_left(requester)


def test_a_late_reply_is_counted_and_dropped(linked):
    go = Event()

    def handler(message):
        if message.body == "slow":
            go.wait(LONG)
        return message.body

    _, requester = linked(handler)
    with pytest.raises(zbus.TimeoutExpired):
        requester.request("slow", timeout=0.01)
    assert requester.request("quick", timeout=LONG) == "quick"
    go.set()
    until(lambda: requester.statistics().late == 1)
    assert requester.request("again", timeout=LONG) == "again"
    assert requester.statistics().received == 2
    nothing_is_left(requester)


def test_killed_callers_leave_nothing_behind(linked):
    go = Event()
    _, requester = linked(lambda message: go.wait(LONG) and message.body)
    calls = [gevent.spawn(requester.request, n, timeout=LONG) for n in range(20)]
    gevent.idle()
    gevent.killall(calls[::2])
    timed = []
    for n in range(5):
        with gevent.Timeout(0.001, False):
            timed.append(requester.request(n, timeout=LONG))
    assert timed == []
    go.set()
    assert [call.get(timeout=LONG) for call in calls[1::2]] == list(range(1, 20, 2))
    until(lambda: requester.statistics().late == 15)
    nothing_is_left(requester)


def test_callers_killed_while_they_wait_for_a_server_leave_nothing_behind(make, address):
    requester = make(zbus.Requester, bind=address)
    calls = [gevent.spawn(requester.request, n, timeout=LONG) for n in range(20)]
    gevent.idle()
    gevent.killall(calls[::2])
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.001):
        requester.request("foreign", timeout=LONG)
    make(zbus.Replier, echo, connect=requester.addresses[0])
    assert [call.get(timeout=LONG) for call in calls[1::2]] == list(range(1, 20, 2))
    nothing_is_left(requester)


def test_close_wakes_callers_with_closed(linked, make, inproc_address):
    def attempt(requester):
        try:
            return requester.request(1, timeout=LONG)
        except zbus.ZbusError as error:
            return error

    go = Event()
    _, requester = linked(lambda message: go.wait(LONG))
    lonely = make(zbus.Requester, bind=inproc_address + ".nobody")
    for asked in (requester, lonely):
        calls = [gevent.spawn(attempt, asked) for _ in range(5)]
        gevent.idle()
        asked.close()
        assert all(type(call.get(timeout=LONG)) is zbus.Closed for call in calls)
        nothing_is_left(asked)
    go.set()


def test_stop_waits_for_the_last_replies_and_takes_no_more(linked):
    go = Event()
    _, requester = linked(lambda message: go.wait(LONG) and message.body)
    calls = [gevent.spawn(requester.request, n, timeout=LONG) for n in range(5)]
    gevent.idle()
    stopping = gevent.spawn(requester.stop, LONG)
    gevent.idle()
    with pytest.raises(zbus.Closed):
        requester.request("late", timeout=LONG)
    go.set()
    assert [call.get(timeout=LONG) for call in calls] == list(range(5))
    stopping.get(timeout=LONG)
    assert requester.state == "closed"


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "2", None])
def test_attempts_are_a_whole_number(make, inproc_address, wrong):
    requester = make(zbus.Requester, bind=inproc_address)
    with pytest.raises(ValueError, match="attempts"):
        requester.request(1, timeout=0, attempts=wrong)


def test_a_body_that_cannot_be_sent_leaves_nothing_behind(linked):
    _, requester = linked(echo, max_message_bytes=1000)
    for body, error in (({1}, TypeError), ("x" * 1001, zbus.MessageTooLarge)):
        with pytest.raises(error):
            requester.request(body, timeout=LONG)
    nothing_is_left(requester)
    assert requester.request("fine", timeout=LONG) == "fine"


def test_a_reply_that_cannot_be_read_is_a_protocol_error(make, address):
    replier = make(zbus.Replier, lambda message: b"\xc1", bind=address, codec="raw")
    requester = make(zbus.Requester, connect=replier.addresses[0])
    with pytest.raises(zbus.ProtocolError):
        requester.request(1, timeout=LONG)
    assert requester.statistics().malformed == 1
    nothing_is_left(requester)


def test_the_codecs_without_an_envelope_are_refused():
    with pytest.raises(ValueError, match="frames"):
        zbus.Requester(bind="inproc://x", codec="frames")
    with pytest.raises(ValueError, match="frames"):
        zbus.Replier(echo, bind="inproc://x", codec="frames")


def test_waiting_on_the_hub_is_told_so(linked):
    _, requester = linked(echo)
    told = []

    def on_hub():
        try:
            requester.request(1, timeout=LONG)
        except RuntimeError as error:
            told.append(str(error))

    gevent.get_hub().loop.run_callback(on_hub)
    gevent.idle()
    assert "hub" in told[0]
    assert requester.request(2, timeout=LONG) == 2
    nothing_is_left(requester)


def test_a_wait_has_its_whole_time_however_long_the_one_before_it_was():
    """A timer of libev that is stopped and started again goes on with the time that it had left."""
    parking, due = Parking(gevent.get_hub()), object()
    calls = [Call(bytes(12), now=0.0, timeout=None, attempts=1) for _ in range(2)]
    gevent.spawn_later(0.1, parking.settle, calls[0], "a reply")
    assert parking.park(calls[0], 0.2, due) == "a reply"
    began = monotonic()
    assert parking.park(calls[1], 0.2, due) is due
    assert monotonic() - began > 0.19
    parking.close()
