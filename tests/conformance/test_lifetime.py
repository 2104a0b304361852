"""Declared, open, closed: the same for every endpoint."""

from __future__ import annotations

import gc
import socket

import gevent
import pytest

import zbus

LONG = 5.0
OPENING = {
    "start": lambda endpoint: endpoint.start(),
    "with": lambda endpoint: endpoint.__enter__(),
    "addresses": lambda endpoint: endpoint.addresses,
    "peers": lambda endpoint: endpoint.peers,
}


def test_constructing_opens_nothing(kind, make, tmp_path):
    path = tmp_path / "s"
    endpoint = make(kind.make, bind=f"ipc://{path}")
    assert endpoint.state == "declared"
    assert not path.exists()
    assert "declared" in repr(endpoint)
    assert endpoint.statistics() == zbus.Statistics()
    assert endpoint.state == "declared"  # looking is no use


@pytest.mark.parametrize("way", OPENING)
def test_it_opens_at_start_with_and_first_use(kind, make, tmp_path, way):
    path = tmp_path / "s"
    endpoint = make(kind.make, bind=f"ipc://{path}")
    OPENING[way](endpoint)
    assert endpoint.state == "open"
    assert path.exists()
    assert endpoint.addresses == (f"ipc://{path}",)


def test_starting_twice_is_fine(kind, make, address):
    endpoint = make(kind.make, bind=address)
    endpoint.start()
    bound = endpoint.addresses
    endpoint.start()
    assert endpoint.addresses == bound


def test_closing_twice_or_unopened_is_fine(kind, make, address):
    opened, declared = make(kind.make, bind=address), make(kind.make, bind=address)
    opened.start()
    for endpoint in (opened, declared):
        endpoint.close()
        endpoint.close()
        endpoint.stop()
        assert endpoint.state == "closed"
        assert "closed" in repr(endpoint)
        assert endpoint.statistics().peers == 0


@pytest.mark.parametrize("opened", [True, False], ids=["opened before", "never opened"])
def test_every_use_after_close_raises_closed(kind, make, address, opened):
    from_table = {**OPENING, **kind.verbs}
    from_table["wait_for_peers"] = lambda e: e.wait_for_peers(timeout=0)
    from_table["connect"] = lambda e: e.connect("inproc://elsewhere")
    from_table["disconnect"] = lambda e: e.disconnect("inproc://elsewhere")
    endpoint = make(kind.make, bind=address)
    if opened:
        endpoint.start()
    endpoint.close()
    for verb in from_table.values():
        with pytest.raises(zbus.Closed, match="closed"):
            verb(endpoint)


def test_with_stops_and_an_exception_closes(kind, make, address, monkeypatch):
    ended = []
    monkeypatch.setattr(kind.make(bind=address).__class__, "_finish", lambda self, deadline: ended.append("stop"))
    with make(kind.make, bind=address) as endpoint:
        assert endpoint.state == "open"
    assert endpoint.state == "closed"
    assert ended == ["stop"]
    with pytest.raises(KeyError), make(kind.make, bind=address) as endpoint:
        raise KeyError("on its way")
    assert endpoint.state == "closed"
    assert ended == ["stop"]


def test_an_address_is_free_again_after_close(kind, make, address):
    first = make(kind.make, bind=address)
    bound = first.addresses[0]
    first.close()
    second = make(kind.make, bind=bound)
    assert second.addresses == (bound,)


def test_what_fails_to_open_can_be_tried_again(kind, make, address):
    first = make(kind.make, bind=address)
    bound = first.addresses[0]
    second = make(kind.make, bind=bound)
    with pytest.raises(zbus.AddressInUse, match="forwarder"):
        second.start()
    assert second.state == "declared"
    first.close()
    second.start()
    assert second.addresses == (bound,)


def test_waiters_wake_with_closed(kind, make, address, outcome):
    for name, wait in {**kind.waits, "wait_for_peers": lambda e: e.wait_for_peers(timeout=LONG)}.items():
        endpoint = make(kind.make, bind=address)
        endpoint.start()
        waiters = [outcome(lambda wait=wait, endpoint=endpoint: wait(endpoint)) for _ in range(3)]
        assert not any(waiter.ready() for waiter in waiters), name
        endpoint.close()
        for waiter in waiters:
            assert isinstance(waiter.get(timeout=LONG), zbus.Closed), name


def test_iteration_ends_quietly_when_it_is_closed(kind, make, address, outcome):
    if not hasattr(kind.make(bind=address), "__iter__"):
        return
    endpoint = make(kind.make, bind=address)
    waiters = [outcome(lambda: list(endpoint)) for _ in range(3)]
    endpoint.close()
    assert [waiter.get(timeout=LONG) for waiter in waiters] == [[], [], []]


def test_close_does_not_hold_up_other_greenlets(row, make):
    """A peer that accepts and never shakes hands keeps what was sent for all of the linger."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        first = make(row.first, connect=f"tcp://127.0.0.1:{silent.getsockname()[1]}", linger=0.3)
        first.start()
        if hasattr(first, "send"):
            first.send("stays", timeout=0)
        closing = gevent.spawn(first.close)
        turns = 0
        while not closing.ready():
            gevent.idle()
            turns += 1
        closing.get(timeout=LONG)
        assert turns > 1 or not hasattr(first, "send")


def test_a_second_stop_waits_for_the_first(kind, make, address, outcome):
    endpoint = make(kind.make, bind=address)
    endpoint.start()
    stops = [gevent.spawn(endpoint.stop) for _ in range(2)]
    gevent.joinall(stops, timeout=LONG, raise_error=True)
    assert all(stop.ready() for stop in stops)
    assert endpoint.state == "closed"


def test_an_endpoint_that_nobody_keeps_is_reported_and_closed(kind, tmp_path):
    endpoint = kind.make(bind=f"ipc://{tmp_path}/s")
    endpoint.start()
    gevent.idle()
    kept = [endpoint]
    del endpoint

    def forget():
        kept.clear()
        gc.collect()

    with pytest.warns(ResourceWarning, match="unclosed"):
        forget()
    again = kind.make(bind=f"ipc://{tmp_path}/s")
    give_up = gevent.Timeout.start_new(LONG)
    try:
        while True:
            try:
                again.start()
            except zbus.AddressInUse:
                gevent.idle()
            else:
                break
    finally:
        give_up.close()
        again.close()
