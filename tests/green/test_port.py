"""A socket with its addresses: in use, left, joined again, closed."""

from __future__ import annotations

import os
import socket as plain
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
import zmq
from waiting import until

from zbus.errors import AddressInUse
from zbus.green.options import checked, domain, flags
from zbus.green.port import Port

Open = Callable[..., Port]


@pytest.fixture
def port() -> Iterator[Open]:
    """Make ports that are closed when the test is over; ``port.told`` is what they reported."""
    ports: list[Port] = []

    def make(kind: int, *, most: int | None = None, **options: Any) -> Port:
        told: list[tuple[str, str]] = []
        given = checked({"reconnect": (0.02, 0.1), **options}, "Port")
        made = Port(
            kind,
            flags(given),
            lambda port, kind, address, reason: told.append((kind, address)),
            most=most,
            domain=domain(given),
        )
        made.told = told  # type: ignore[attr-defined]
        ports.append(made)
        return made

    yield make
    for one in ports:
        one.close(linger=0)


def test_a_bound_port_knows_its_real_address(port: Open, address: str) -> None:
    bound = port(zmq.PULL)
    bound.bind(address)
    assert bound.addresses == tuple(bound.bound)
    assert "*" not in bound.addresses[0]
    client = port(zmq.PUSH)
    client.connect(bound.addresses[0])
    client.socket.send(b"hello", timeout=5)
    assert bound.socket.recv(timeout=5) == b"hello"
    assert client.addresses == bound.addresses


def test_an_address_that_is_taken_says_so_and_whose_it_is_goes_on(port: Open, address: str) -> None:
    first, client = port(zmq.PULL), port(zmq.PUSH)
    first.bind(address)
    where = first.addresses[0]
    client.connect(where)
    until(lambda: first.peers == client.peers == 1)
    for _ in range(3):
        with pytest.raises(AddressInUse) as told:
            port(zmq.PULL).bind(where)
        assert where in str(told.value)
        assert "forwarder" in str(told.value)
        assert isinstance(told.value, OSError)
    with pytest.raises(AddressInUse):
        first.bind(where)
    client.socket.send(b"still here")
    assert first.socket.recv(timeout=5) == b"still here"
    until(lambda: not first.monitor._pending)
    assert first.peers == client.peers == 1
    until(lambda: first.told == client.told == [("connected", where)])  # type: ignore[attr-defined]


def test_a_path_that_a_dead_process_left_is_taken_over(port: Open, ipc_address: str) -> None:
    with plain.socket(plain.AF_UNIX) as dead:
        dead.bind(ipc_address.removeprefix("ipc://"))
    bound, client = port(zmq.PULL), port(zmq.PUSH)
    bound.bind(ipc_address)
    client.connect(ipc_address)
    client.socket.send(b"hello", timeout=5)
    assert bound.socket.recv(timeout=5) == b"hello"


def test_a_closed_port_gives_its_address_back(port: Open, address: str) -> None:
    first = port(zmq.PULL)
    first.bind(address)
    where = first.addresses[0]
    first.close(linger=0)
    second = port(zmq.PULL)
    second.bind(where)
    assert second.addresses == (where,)


@pytest.mark.parametrize("bad", ["tcp://203.0.113.7:5556", "ipc:///nowhere/at/all", "tcp://no.such.interface:5556"])
def test_what_the_system_refuses_is_an_os_error_with_the_address(port: Open, bad: str) -> None:
    with pytest.raises(OSError) as told:
        port(zmq.PULL, insecure=True).bind(bad)
    assert bad in str(told.value)
    assert not isinstance(told.value, AddressInUse)


def test_an_open_that_fails_leaves_nothing_open(port: Open, address: str) -> None:
    taken = port(zmq.PULL)
    taken.bind(address)
    before = set(os.listdir("/proc/self/fd"))
    failing = port(zmq.PULL)
    with pytest.raises(AddressInUse):
        failing.open(["tcp://127.0.0.1:*", "inproc://half.open", taken.addresses[0]], [])
    assert failing.socket.closed
    until(lambda: set(os.listdir("/proc/self/fd")) <= before)
    again = port(zmq.PULL)
    again.bind("inproc://half.open")


def test_an_ipv6_address_is_an_address(port: Open) -> None:
    bound, client = port(zmq.PULL), port(zmq.PUSH)
    bound.bind("tcp://[::1]:*")
    client.connect(bound.addresses[0])
    client.socket.send(b"six", timeout=5)
    assert bound.socket.recv(timeout=5) == b"six"


def test_who_disconnects_is_no_peer_any_more_on_either_side(port: Open, address: str) -> None:
    bound, client = port(zmq.PULL), port(zmq.PUSH)
    bound.bind(address)
    where = bound.addresses[0]
    for _ in range(3):
        client.connect(where)
        until(lambda: bound.peers == client.peers == 1)
        client.disconnect(where)
        assert client.peers == 0
        until(lambda: bound.peers == 0)
        assert client.addresses == ()
    until(lambda: len(client.told) == len(bound.told) == 6)  # type: ignore[attr-defined]
    expected = [("connected", where), ("disconnected", where)] * 3
    assert client.told == bound.told == expected  # type: ignore[attr-defined]
    with pytest.raises(ValueError):
        client.disconnect(where)


def test_who_leaves_while_shaking_hands_is_counted_nowhere(port: Open) -> None:
    bound, client = port(zmq.PULL), port(zmq.PUSH)
    bound.bind("tcp://127.0.0.1:*")
    where = bound.addresses[0]
    for number in range(40):
        client.connect(where)
        gevent.sleep(0.0001 * number)
        client.disconnect(where)
    until(lambda: bound.peers == 0)
    assert client.peers == 0
    client.connect(where)
    until(lambda: bound.peers == client.peers == 1)
    assert len(client.monitor.descriptors) == 1
    client.disconnect(where)
    until(lambda: bound.peers == 0)
    assert client.peers == 0
    assert client.monitor.descriptors == {}


def test_a_name_that_resolves_to_an_address_is_counted_as_well(port: Open) -> None:
    bound, client = port(zmq.PULL), port(zmq.PUSH)
    bound.bind("tcp://127.0.0.1:*")
    where = bound.addresses[0].replace("127.0.0.1", "localhost")
    client.connect(where)
    until(lambda: bound.peers == client.peers == 1)
    client.disconnect(where)
    assert client.peers == 0


def test_leaving_where_one_never_was_says_where_one_is(port: Open) -> None:
    bound = port(zmq.PULL)
    bound.bind("inproc://somewhere")
    with pytest.raises(ValueError) as told:
        bound.disconnect("inproc://elsewhere")
    assert "inproc://elsewhere" in str(told.value)
    assert "inproc://somewhere" in str(told.value)


def test_rejoining_makes_every_connection_anew(port: Open, address: str) -> None:
    bound, client = port(zmq.PULL), port(zmq.PUSH)
    bound.bind(address)
    where = bound.addresses[0]
    client.connect(where)
    until(lambda: bound.peers == client.peers == 1)
    for times in range(1, 4):
        client.rejoin()
        until(lambda times=times: bound.told.count(("connected", where)) == times + 1)  # type: ignore[attr-defined]
        until(lambda: bound.peers == client.peers == 1)
        client.socket.send(b"anew", timeout=5)
        assert bound.socket.recv(timeout=5) == b"anew"
    assert client.addresses == (where,)


def test_a_connected_port_comes_back_when_the_bound_one_does(port: Open, address: str) -> None:
    bound, client = port(zmq.PULL), port(zmq.PUSH)
    bound.bind(address)
    where = bound.addresses[0]
    client.connect(where)
    for number in range(3):
        until(lambda: client.peers == 1)
        bound.close(linger=0)
        until(lambda: client.peers == 0)
        bound = port(zmq.PULL)
        bound.bind(where)
        until(lambda one=bound: client.peers == one.peers == 1)
        client.socket.send(b"%d" % number, timeout=5)
        assert bound.socket.recv(timeout=5) == b"%d" % number


def test_close_waits_until_what_was_sent_has_left(port: Open) -> None:
    bound = port(zmq.PULL, high_water_mark=20_000)
    bound.bind("tcp://127.0.0.1:*")
    client = port(zmq.PUSH, high_water_mark=20_000)
    client.connect(bound.addresses[0])
    for _ in range(10_000):
        client.socket.offer([b"x" * 100])
    assert client.close(linger=None) is True
    assert [len(bound.socket.recv(timeout=5)) for _ in range(10_000)] == [100] * 10_000


def test_close_says_when_something_may_be_left_and_lets_others_run_meanwhile(port: Open) -> None:
    client = port(zmq.PUSH, linger=0.1)
    client.connect("tcp://127.0.0.1:1")
    client.socket.offer([b"for nobody"])
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        while True:
            gevent.sleep(0.001)
            ticks += 1

    ticking = gevent.spawn(tick)
    assert client.close(linger=0.1) is False
    ticking.kill()
    assert ticks > 1
    assert client.close(linger=0.1)


def test_a_full_port_has_one_peer_at_a_time(port: Open, address: str) -> None:
    bound, first, second = port(zmq.PAIR, most=1), port(zmq.PAIR, most=1), port(zmq.PAIR, most=1)
    bound.bind(address)
    where = bound.addresses[0]
    first.connect(where)
    until(lambda: bound.peers == first.peers == 1)
    second.connect(where)
    until(lambda: ("refused", where) in bound.told)  # type: ignore[attr-defined]
    assert bound.peers == 1
    first.socket.send(b"mine", timeout=5)
    assert bound.socket.recv(timeout=5) == b"mine"
    first.close(linger=0)
    until(lambda: bound.peers == second.peers == 1 and ("disconnected", where) in bound.told)  # type: ignore[attr-defined]
    second.socket.send(b"my turn", timeout=5)
    assert bound.socket.recv(timeout=5) == b"my turn"
    bound.socket.send(b"yours", timeout=5)
    assert second.socket.recv(timeout=5) == b"yours"
