"""Peers come, go and come back: the same for every endpoint."""

from __future__ import annotations

import gevent
import pytest
from waiting import until

import zbus

LONG = 5.0
TCP = "tcp://127.0.0.1:*"


def gone(endpoint):
    """Wait until nobody is connected."""
    until(lambda: not endpoint.peers)


def unheard(endpoint):
    """Wait until nobody who was connected still counts as a subscriber."""
    with gevent.Timeout(LONG):
        while hasattr(endpoint, "wait_for_subscribers"):
            try:
                endpoint.wait_for_subscribers("a", timeout=0)
            except zbus.TimeoutExpired:
                return
            gevent.idle()


def test_a_message_crosses_whichever_side_binds(row, ends):
    first, second = ends
    assert first.peers == second.peers == 1
    for body in (None, 0, "text", b"bytes", [1, [2]], {"key": {"nested": 1.5}}):
        assert row.move(first, second, body) == body


def test_the_side_that_connects_may_be_first(row, make, address):
    """tcp has no name to wait at: the port that was free a moment ago stands in for one."""
    if address.startswith("tcp"):
        with make(row.second, bind=address) as taken:
            address = taken.addresses[0]
    first = make(row.first, connect=address)
    first.start()
    assert first.peers == 0
    second = make(row.second, bind=address)
    row.ready(first, second)
    assert row.move(first, second, "x") == "x"


def test_wait_for_peers_asks_with_no_time(kind, make, address):
    endpoint = make(kind.make, bind=address)
    endpoint.wait_for_peers(0, timeout=0)
    for timeout in (0, -1, 0.001):
        with pytest.raises(zbus.TimeoutExpired, match="there are 0"):
            endpoint.wait_for_peers(timeout=timeout)


def test_wait_for_peers_counts(row, make, address, outcome):
    if row.name == "pair":
        return  # it has one
    bound = make(row.second, bind=address)
    bound.start()
    waiters = [outcome(lambda count=count: bound.wait_for_peers(count, timeout=LONG)) for count in (1, 2, 3)]
    peers = [make(row.first, connect=bound.addresses[0]) for _ in range(3)]
    for count, peer in enumerate(peers, 1):
        assert [waiter.ready() for waiter in waiters] == [count > n for n in (1, 2, 3)]
        peer.start()
        assert waiters[count - 1].get(timeout=LONG) is None
        assert bound.peers == count
    for peer in peers:
        peer.close()
    gone(bound)


def test_a_peer_leaves_and_the_next_one_is_served(row, make, address):
    bound = make(row.second, bind=address)
    for body in ("one", "two", "three"):
        first = make(row.first, connect=bound.addresses[0])
        row.ready(first, bound)
        assert row.move(first, bound, body) == body
        first.close()
        gone(bound)


@pytest.mark.parametrize("binds", ["first", "second"])
def test_a_restart_of_the_bound_side_is_recovered_from(row, make, address, binds):
    made = {"first": row.first, "second": row.second}
    connects = "second" if binds == "first" else "first"
    here = {binds: make(made[binds], bind=address)}
    bound = here[binds].addresses[0]
    here[connects] = make(made[connects], connect=bound)
    for body in ("before", "after", "once more"):
        row.ready(here["first"], here["second"])
        assert row.move(here["first"], here["second"], body) == body
        here[binds].close()
        gone(here[connects])
        unheard(here[connects])
        here[binds] = make(made[binds], bind=bound)


def test_events_tell_of_it(kind, row, make, address):
    if kind.make is not row.second:
        return
    seen = []
    heard = gevent.event.Event()

    def on_event(event):
        seen.append((event.kind, event.address))
        heard.set()

    bound = make(row.second, bind=address, on_event=on_event)
    where = bound.addresses[0]
    first = make(row.first, connect=where)
    row.ready(first, bound)
    assert heard.wait(LONG)
    heard.clear()
    first.close()
    assert heard.wait(LONG)
    assert [kind for kind, _ in seen] == ["connected", "disconnected"]
    assert all(at == where for _, at in seen)


def test_an_address_more_and_an_address_less(row, make, address, inproc_address):
    inproc_address += ".other"
    bound = make(row.second, bind=address)
    other = make(row.second, bind=inproc_address)
    where = bound.addresses[0]
    other.start()
    first = make(row.first, connect=where)
    row.ready(first, bound)
    if row.name != "pair":
        first.connect(inproc_address)
        first.wait_for_peers(2, timeout=LONG)
        assert first.addresses == (where, inproc_address)
        first.disconnect(inproc_address)
        assert first.addresses == (where,)
        gone(other)
    assert row.move(first, bound, "x") == "x"
    first.disconnect(where)
    assert first.addresses == ()
    gone(bound)
    gone(first)
    with pytest.raises(ValueError, match="not at"):
        first.disconnect(where)


def test_one_endpoint_may_bind_and_connect_at_once(row, make):
    if row.name == "pair":
        return
    tail = make(row.second, bind=TCP)
    middle = make(row.first, bind=TCP, connect=tail.addresses[0])
    head = make(row.second, connect=middle.addresses[0])
    head.start()
    middle.wait_for_peers(2, timeout=LONG)
    tail.wait_for_peers(timeout=LONG)
    head.wait_for_peers(timeout=LONG)
    assert middle.addresses[1:] == tail.addresses
