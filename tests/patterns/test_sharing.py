"""Several servers behind one client: each call to one of them, and the load shared."""

from __future__ import annotations

from collections import Counter

import gevent
import pytest
from gevent.event import Event

import zbus

LONG = 5.0


@pytest.fixture
def three(make):
    """Three servers that say who they are, and a client of all of them."""

    def three(handler):
        servers = [
            make(zbus.Replier, lambda message, who=who: handler(who, message.body), bind="tcp://127.0.0.1:*")
            for who in range(3)
        ]
        client = make(zbus.Requester, connect=[server.addresses[0] for server in servers])
        client.wait_for_peers(3, timeout=LONG)
        return servers, client

    return three


def test_fifty_callers_get_each_their_own_and_share_three_servers(three):
    def handler(who, body):
        if body % 7 == 0:
            gevent.sleep(0)
        return [who, body]

    _, client = three(handler)

    def call(caller):
        return [client.request(1000 * caller + n, timeout=LONG) for n in range(20)]

    callers = [gevent.spawn(call, caller) for caller in range(50)]
    gevent.joinall(callers, timeout=20, raise_error=True)
    served = Counter()
    for number, caller in enumerate(callers):
        replies = caller.get(timeout=LONG)
        assert [body for _, body in replies] == [1000 * number + n for n in range(20)]
        served.update(who for who, _ in replies)
    assert sum(served.values()) == 1000
    assert all(served[who] > 200 for who in range(3))
    assert client.statistics().sent == client.statistics().received == 1000
    assert client.statistics().late == client.statistics().missed_wakeups == 0
    assert client.statistics().waiting == 0


def test_calls_alternate_over_equal_servers(three):
    _, client = three(lambda who, body: who)
    replies = [client.request(None, timeout=LONG) for _ in range(9)]
    assert Counter(replies[:3]) == {0: 1, 1: 1, 2: 1}
    assert replies == replies[:3] * 3


def test_a_call_goes_to_the_server_with_the_fewest_out(three):
    go = Event()

    def handler(who, body):
        if body == "wait":
            go.wait(LONG)
        return who

    _, client = three(handler)
    slow = [gevent.spawn(client.request, "wait", timeout=LONG) for _ in range(2)]
    gevent.idle()
    quick = {client.request("now", timeout=LONG) for _ in range(5)}
    assert len(quick) == 1
    go.set()
    assert {call.get(timeout=LONG) for call in slow} | quick == {0, 1, 2}
