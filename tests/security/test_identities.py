"""Row ID-1: routing ids that clients choose are names, and nobody gets another's replies by one."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import zmq
from faults.foreign import foreign, heard
from gevent.event import Event
from waiting import LONG, until

import zbus
from zbus import devices

TCP = "tcp://127.0.0.1:*"
SAME = b"client-1"


class Holding:
    """A handler that answers with what it was asked, and holds on to a ``hold``."""

    def __init__(self) -> None:
        self.held, self.go = Event(), Event()

    def __call__(self, message):
        if str(message.body).startswith("hold"):
            self.held.set()
            self.go.wait()
        return f"to {message.body}"


@pytest.fixture
def handler():
    return Holding()


@pytest.fixture(params=["straight", "behind a queue"])
def server(request, handler, ipc_address, make):
    """What a client connects to."""
    replier = make(zbus.Replier, handler, bind=ipc_address)
    if request.param == "straight":
        yield replier
        return
    with devices.queue(TCP, devices.Side(connect=ipc_address)) as queue:
        yield queue.frontend


def named(stack, kind, where):
    """A plain socket with the same name as every other."""
    socket = stack.enter_context(foreign(kind))
    socket.routing_id = SAME
    socket.connect(where)
    return socket


def ask(socket, body):
    envelope = [] if socket.type == zmq.REQ else [b""]
    socket.send_multipart([*envelope, bytes([0xA0 | len(body)]) + body.encode()])


def answer(socket):
    return heard(socket)[-1][1:].decode()


def test_two_clients_of_one_name_at_once_get_no_replies_but_their_own(server, handler):
    """Row ID-1."""
    with ExitStack() as stack:
        first = named(stack, zmq.DEALER, server.addresses[0])
        ask(first, "hold 1")
        assert handler.held.wait(LONG)
        second = named(stack, zmq.REQ, server.addresses[0])
        server.wait_for_peers(2, timeout=LONG)
        ask(second, "2")
        for number in range(20):
            ask(first, f"1.{number}")
        got = [answer(first) for _ in range(20)]
        handler.go.set()
        got.append(answer(first))
        assert got == [*(f"to 1.{number}" for number in range(20)), "to hold 1"]
        assert not second.poll(0)  # he waits until the name is free


def test_who_takes_the_name_of_one_who_has_gone_does_not_get_his_replies(server, handler):
    """Row ID-1."""
    with ExitStack() as stack:
        with ExitStack() as gone:
            first = named(gone, zmq.DEALER, server.addresses[0])
            ask(first, "hold 1")
            assert handler.held.wait(LONG)
        until(lambda: server.peers == 0)
        second = named(stack, zmq.DEALER, server.addresses[0])
        ask(second, "2")
        assert answer(second) == "to 2"
        handler.go.set()
        ask(second, "3")
        assert answer(second) == "to 3"
        assert not second.poll(0)


def test_two_devices_of_one_name_get_no_replies_but_those_of_their_own_clients(make, ipc_address):
    """Row ID-1."""
    server = make(zbus.Replier, lambda message: message.body, bind=ipc_address)
    with ExitStack() as stack:
        queues = [
            stack.enter_context(devices.queue(TCP, devices.Side(connect=ipc_address, identity=SAME))) for _ in range(2)
        ]
        server.wait_for_peers(2, timeout=LONG)
        clients = [make(zbus.Requester, connect=queue.frontend.addresses) for queue in queues]
        answered = 0
        for number in range(20):
            for which, client in enumerate(clients):
                try:
                    assert client.request([which, number], timeout=0.02) == [which, number]
                    answered += 1
                except zbus.TimeoutExpired:
                    continue  # of the one that came second nothing is read
        assert answered
    assert all(client.statistics().late == 0 for client in clients)


def test_clients_of_zbus_have_names_of_the_servers_making(make, ipc_address):
    """Row ID-1: nobody else can have one."""
    server = make(zbus.Replier, lambda message: message.body, bind=ipc_address)
    clients = [make(zbus.Requester, connect=ipc_address) for _ in range(3)]
    names = []
    serve = server._took
    server._took = lambda frames: (names.append(frames[0]), serve(frames))
    assert [client.request(number, timeout=LONG) for number, client in enumerate(clients)] == [0, 1, 2]
    del server._took
    assert len(set(names)) == 3
    assert all(name[:1] == b"\0" for name in names)
