"""The monitor counts peers as they come and go, whoever else knocks at the door."""

from __future__ import annotations

import socket as plain
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
import zmq
from gevent.socket import wait_read
from waiting import until

from zbus.green import Socket
from zbus.green.authentication import LOCAL, guard
from zbus.green.events import EndpointEvent, Monitor

Told = list[tuple[str, str]]


@pytest.fixture
def watched(
    opened: Callable[..., Socket], ipc_address: str, request: Any
) -> Iterator[tuple[Socket, Monitor, Told, str]]:
    """A bound PULL with its monitor, what it told, and its address; over tcp, or over the transport asked for."""
    told: Told = []
    socket = opened(zmq.PULL, HANDSHAKE_IVL=200)
    monitor = Monitor(socket, lambda kind, address, reason: told.append((kind, address)))
    socket.bind(ipc_address if getattr(request, "param", "tcp") == "ipc" else "tcp://127.0.0.1:*")
    yield socket, monitor, told, socket.get(zmq.LAST_ENDPOINT).decode()
    end(socket, monitor)


def end(socket: Socket, monitor: Monitor) -> None:
    """Close the socket first: libzmq would wait for ever for somebody to hear that it stops."""
    socket.close(0)
    assert monitor.gone.wait(5)
    monitor.close()


def knock(address: str) -> plain.socket:
    """A connection that does not shake hands."""
    scheme, _, rest = address.partition("://")
    if scheme == "ipc":
        caller = plain.socket(plain.AF_UNIX)
        caller.connect(rest)
        return caller
    host, port = rest.rsplit(":", 1)
    return plain.create_connection((host, int(port)))


def guarded(socket: Socket, monitor: Monitor, told: Told, address: str) -> str:
    """One more address that it is bound at, where who comes in is asked after, as at every endpoint."""
    socket.set(zmq.ZAP_DOMAIN, LOCAL)
    socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
    guard(socket)
    socket.bind(f"{address}2" if address.startswith("ipc") else "tcp://127.0.0.1:*")
    return socket.get(zmq.LAST_ENDPOINT).decode()


both = pytest.mark.parametrize("watched", ["tcp", "ipc"], indirect=True)


@both
def test_peers_are_counted_as_they_come_and_go(watched: Any, opened: Any) -> None:
    _, monitor, told, address = watched
    clients = []
    for count in range(1, 6):
        clients.append(opened(zmq.PUSH))
        clients[-1].connect(address)
        until(lambda count=count: monitor.peers == count)
    for count in range(4, -1, -1):
        clients.pop().close(0)
        until(lambda count=count: monitor.peers == count)
    assert told == [("connected", address)] * 5 + [("disconnected", address)] * 5
    assert monitor.at[address] == 0


@both
@pytest.mark.parametrize("says", [b"", b"\xff\0\0\0\0\0\0\0\1\x7f"])
def test_who_does_not_shake_hands_is_no_peer(watched: Any, opened: Any, says: bytes) -> None:
    socket, monitor, told, address = watched
    client = opened(zmq.PUSH)
    client.connect(address)
    until(lambda: monitor.peers == 1)
    for _ in range(5):
        with knock(address) as caller:
            if says:
                caller.send(says)
            until(lambda: monitor._pending)
        until(lambda: not monitor._pending)
    until(lambda: len(monitor.descriptors) == 2)
    client.send(b"still here")
    assert socket.recv(timeout=5) == b"still here"
    assert monitor.peers == 1
    assert told == [("connected", address)]


#: What libzmq, which asks who comes in, cuts off without a word of a handshake that failed.
NO_ZMTP = [b"\1\0\2\0*", b"GET / HTTP/1.1\r\n\r\n", b"\xff" + bytes(8) + b"\x7f\1\x08\0\0\0\2**", bytes(600)]


@both
@pytest.mark.parametrize("before", [False, True], ids=["a peer is there", "it comes while they wait"])
def test_who_is_no_peer_takes_none_with_him_when_he_is_cut_off(watched: Any, opened: Any, before: bool) -> None:
    socket, monitor, told, _ = watched
    address = guarded(*watched)
    client = opened(zmq.PUSH)
    strangers = [knock(address) for _ in NO_ZMTP] if before else []
    until(lambda: len(monitor._pending) == len(strangers))
    client.connect(address)
    until(lambda: monitor.peers == 1)
    strangers = strangers or [knock(address) for _ in NO_ZMTP]
    for stranger, says in zip(strangers, NO_ZMTP, strict=True):
        stranger.send(says)
        wait_read(stranger.fileno(), 5, TimeoutError("still connected"))
    until(lambda: len(monitor.descriptors) == 3)
    assert monitor.peers == 1
    assert told == [("connected", address)]
    client.send(b"still here")
    assert socket.recv(timeout=5) == b"still here"
    client.close(0)
    until(lambda: monitor.peers == 0)
    assert told == [("connected", address), ("disconnected", address)]
    for stranger in strangers:
        stranger.close()


@both
def test_who_is_silent_is_cut_and_the_others_stay_counted(watched: Any, opened: Any) -> None:
    _, monitor, told, address = watched
    silent = [knock(address) for _ in range(3)]
    until(lambda: len(monitor._pending) == 3)
    clients = [opened(zmq.PUSH) for _ in range(3)]
    for client in clients:
        client.connect(address)
    until(lambda: monitor.peers == 3)
    until(lambda: not monitor._pending)
    assert monitor.peers == 3
    clients.pop().close(0)
    until(lambda: monitor.peers == 2)
    assert [kind for kind, _ in told] == ["connected"] * 3 + ["disconnected"]
    for caller in silent:
        caller.close()


def test_descriptors_are_those_that_libzmq_holds(watched: Any, opened: Any) -> None:
    _, monitor, _, address = watched
    until(lambda: len(monitor.descriptors) == 1)
    client = opened(zmq.PUSH)
    client.connect(address)
    until(lambda: monitor.peers == 1)
    assert len(monitor.descriptors) == 2
    client.close(0)
    until(lambda: len(monitor.descriptors) == 1)


def test_a_monitor_is_told_when_its_socket_is_gone(watched: Any) -> None:
    socket, monitor, _, _ = watched
    assert not monitor.gone.is_set()
    socket.close(0)
    assert monitor.gone.wait(5)
    assert monitor._events.closed


def test_a_monitor_that_is_full_refuses_the_next_and_takes_it_when_there_is_room(opened: Any) -> None:
    told: list[str] = []
    pair = opened(zmq.PAIR)
    monitor = Monitor(pair, lambda kind, address, reason: told.append(kind), most=1)
    pair.bind("tcp://127.0.0.1:*")
    address = pair.get(zmq.LAST_ENDPOINT).decode()
    first, second = (opened(zmq.PAIR, RECONNECT_IVL=20) for _ in range(2))
    first.connect(address)
    until(lambda: told == ["connected"])
    second.connect(address)
    until(lambda: told.count("refused") >= 2)
    assert monitor.peers == 1
    first.close(0)
    until(lambda: "disconnected" in told)
    until(lambda: monitor.peers == 1)
    end(pair, monitor)


def test_many_who_come_and_go_at_once_are_counted_right(watched: Any, opened: Any) -> None:
    _, monitor, told, address = watched

    def visit() -> None:
        for _ in range(5):
            client = opened(zmq.PUSH)
            client.connect(address)
            client.poll(5000, zmq.POLLOUT)
            client.close(0)
            with knock(address):
                gevent.sleep(0)

    gevent.joinall([gevent.spawn(visit) for _ in range(8)], timeout=10, raise_error=True)
    until(lambda: not monitor.peers and not monitor._pending and len(monitor.descriptors) == 1)
    kinds = [kind for kind, _ in told]
    assert kinds.count("connected") == kinds.count("disconnected") <= 40


def test_an_event_says_what_happened_and_cannot_be_changed() -> None:
    event = EndpointEvent("gap", "tcp://127.0.0.1:1", missed=3)
    assert (event.kind, event.address, event.reason, event.missed) == ("gap", "tcp://127.0.0.1:1", "", 3)
    with pytest.raises(AttributeError):
        event.kind = "other"  # type: ignore[misc]


@both
def test_of_peers_that_follow_one_another_each_is_counted_once(watched: Any, opened: Any) -> None:
    _, monitor, told, address = watched
    client = None
    for count in range(1, 30):
        before, client = client, opened(zmq.PUSH)
        if before is not None:
            before.close(0)
        client.connect(address)
        until(lambda count=count: told.count(("connected", address)) == count)
        until(lambda: monitor.peers == 1)
    client.close(0)
    until(lambda: monitor.peers == 0)
    assert told.count(("disconnected", address)) == 29
