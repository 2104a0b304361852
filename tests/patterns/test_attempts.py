"""Servers that go, stop or stay silent, and what becomes of the calls they had."""

from __future__ import annotations

from collections import Counter
from time import monotonic

import gevent
import pytest
from gevent.event import Event
from waiting import until

import zbus
from zbus.green.context import open_socket
from zbus.green.options import DEALER
from zbus.wire.request import correlation

LONG = 5.0
TCP = "tcp://127.0.0.1:*"


class Server:
    """A replier that says who it is; what it is asked first may hang until it is let go."""

    def __init__(self, make, who, where=TCP, hangs=False, **options):
        self.go, self.came, self.ran = Event(), Event(), Counter()
        if not hangs:
            self.go.set()
        self.who = who
        self.replier = make(zbus.Replier, self.handle, bind=where, **options)
        self.address = self.replier.addresses[0]

    def handle(self, message):
        self.ran[message.body] += 1
        self.came.set()
        self.go.wait(LONG)
        return [self.who, message.body]


@pytest.fixture
def client(make):
    def client(*servers, **options):
        requester = make(zbus.Requester, connect=[server.address for server in servers], linger=0, **options)
        requester.wait_for_peers(len(servers), timeout=LONG)
        return requester

    return client


def test_a_lost_connection_ends_a_call_without_retries_and_the_next_works(make, client, address):
    server = Server(make, "first", address, hangs=True)
    requester = client(server)
    for body in ("lost", "lost again"):
        call = gevent.spawn(requester.request, body, timeout=60)
        assert server.came.wait(LONG)
        where = server.address
        server.replier.close()
        with pytest.raises(zbus.TimeoutExpired, match="connection was lost") as caught:
            call.get(timeout=LONG)
        assert not isinstance(caught.value, zbus.Unavailable)
        server = Server(make, "next", where)
        assert requester.request("works", timeout=LONG) == ["next", "works"]
        server.go.clear()
        server.came.clear()
    server.go.set()
    assert requester.statistics().waiting == 0


def test_with_attempts_a_dead_server_is_survived(make, client):
    servers = [Server(make, who, hangs=True) for who in range(3)]
    requester = client(*servers)
    calls = [gevent.spawn(requester.request, n, timeout=LONG, attempts=3) for n in range(30)]
    for server in servers:
        assert server.came.wait(LONG)
    until(lambda: all(sum(server.ran.values()) == 10 for server in servers))
    dead = servers.pop(0)
    dead.replier.close()
    for server in servers:
        server.go.set()
    replies = [call.get(timeout=LONG) for call in calls]
    assert [body for _, body in replies] == list(range(30))
    assert {who for who, _ in replies} == {1, 2}
    assert requester.statistics().retried == 10
    assert requester.statistics().received == 30


def test_with_attempts_a_restart_is_survived(make, client, address):
    server = Server(make, "before", address, hangs=True)
    requester = client(server)
    call = gevent.spawn(requester.request, "x", timeout=LONG, attempts=2)
    assert server.came.wait(LONG)
    where = server.address
    server.replier.close()
    Server(make, "after", where)
    assert call.get(timeout=LONG) == ["after", "x"]


def test_a_silent_server_loses_the_call_to_another_in_time(make, client):
    silent, other = Server(make, "silent", hangs=True), Server(make, "other")
    requester = client(silent, other)
    replies = [requester.request(n, timeout=0.4, attempts=4) for n in range(4)]
    assert [who for who, _ in replies] == ["other"] * 4
    assert [body for _, body in replies] == list(range(4))
    assert requester.statistics().retried >= 1
    silent.go.set()


def test_when_every_attempt_is_spent_the_deadline_still_holds(make, client):
    server = Server(make, "silent", hangs=True)
    requester = client(server)
    with pytest.raises(zbus.TimeoutExpired, match="after attempt 3 of 3"):
        requester.request("x", timeout=0.9, attempts=3)
    assert requester.statistics().sent == 3
    assert requester.statistics().retried == 2
    assert server.ran["x"] == 1
    server.go.set()


def test_a_repeat_joins_the_call_that_runs(make, client):
    server = Server(make, "one", hangs=True)
    requester = client(server)
    call = gevent.spawn(requester.request, "x", timeout=4, attempts=100)
    until(lambda: server.replier.statistics().repeated >= 2)
    server.go.set()
    assert call.get(timeout=LONG) == ["one", "x"]
    assert server.ran == {"x": 1}
    assert server.replier.statistics().received == 1
    until(lambda: requester.statistics().late >= 2)


def test_a_repeat_after_the_reply_gets_the_remembered_one(make, address):
    """A call whose reply was lost, played by a peer that sends the same frames twice."""
    server = Server(make, "one", address)
    with open_socket(DEALER) as dealer:
        dealer.connect(server.address)
        for repeatable, runs in ((True, 1), (False, 3)):
            frames = [correlation(bytes(15) + bytes([runs]), 60.0, repeatable), b"", b"\x07"]
            replies = []
            for _ in range(2):
                dealer.transmit(frames, LONG)
                replies.append(dealer.receive(LONG))
            assert replies[0] == replies[1]
            assert replies[0][:2] == frames[:2]
            assert server.ran[7] == runs
    assert server.replier.statistics().repeated == 1
    assert server.replier.statistics().sent == 4


def test_a_call_whose_time_ran_out_in_the_queue_is_dropped_unrun(make, client):
    server = Server(make, "one", hangs=True, concurrency=1)
    requester = client(server)
    running = gevent.spawn(requester.request, "runs", timeout=LONG)
    assert server.came.wait(LONG)
    with pytest.raises(zbus.TimeoutExpired):
        requester.request("expires", timeout=0.02)
    queue = server.replier._queue
    until(lambda: queue and monotonic() > queue[0].expires)  # it counts from when it came
    server.go.set()
    assert running.get(timeout=LONG) == ["one", "runs"]
    assert requester.request("next", timeout=LONG) == ["one", "next"]
    assert server.ran == {"runs": 1, "next": 1}
    assert server.replier.statistics().expired == 1
    assert requester.statistics().late == 0


def test_a_stopping_server_refuses_and_the_next_one_serves(make, client):
    """A refusal is not an attempt: one attempt is enough."""
    stopping, other = Server(make, "stopping", hangs=True), Server(make, "other")
    requester = client(stopping, other)
    held = gevent.spawn(requester.request, "held", timeout=LONG)
    until(lambda: stopping.came.is_set() or held.ready())
    if held.ready():
        held = gevent.spawn(requester.request, "held", timeout=LONG)  # the two take turns
    assert stopping.came.wait(LONG)
    end = gevent.spawn(stopping.replier.stop, LONG)
    until(lambda: stopping.replier.state == "stopping")
    other.go.clear()
    calls = [gevent.spawn(requester.request, n, timeout=LONG) for n in range(10)]
    gevent.idle()
    other.go.set()
    assert [call.get(timeout=LONG) for call in calls] == [["other", n] for n in range(10)]
    stopping.go.set()
    assert held.get(timeout=LONG) == ["stopping", "held"]
    end.get(timeout=LONG)
    assert set(stopping.ran) == {"held"}
    assert requester.statistics().refused == stopping.replier.statistics().refused
    assert requester.statistics().retried == 0
    assert requester.request("after", timeout=LONG) == ["other", "after"]


def test_a_lone_server_that_refuses_makes_the_call_wait_for_its_next(make, client, address):
    server = Server(make, "old", address, hangs=True)
    requester = client(server)
    held = gevent.spawn(requester.request, "held", timeout=LONG)
    assert server.came.wait(LONG)
    end = gevent.spawn(server.replier.stop, LONG)
    until(lambda: server.replier.state == "stopping")
    waiting = gevent.spawn(requester.request, "waits", timeout=LONG)
    until(lambda: requester.statistics().refused >= 1)
    server.go.set()
    assert held.get(timeout=LONG) == ["old", "held"]
    end.get(timeout=LONG)
    Server(make, "new", server.address)
    assert waiting.get(timeout=LONG) == ["new", "waits"]
    assert set(server.ran) == {"held"}


def test_a_refused_call_that_finds_no_other_server_is_unavailable(make, client, address):
    server = Server(make, "old", address, hangs=True)
    requester = client(server)
    held = gevent.spawn(requester.request, "held", timeout=LONG)
    assert server.came.wait(LONG)
    end = gevent.spawn(server.replier.stop, LONG)
    until(lambda: server.replier.state == "stopping")
    with pytest.raises(zbus.Unavailable, match="did not run"):
        requester.request("refused", timeout=0.1)
    server.go.set()
    assert held.get(timeout=LONG) == ["old", "held"]
    end.get(timeout=LONG)
