"""Green sockets for the tests below: linked in pairs, closed at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest
import zmq

from zbus.green import Socket
from zbus.green.context import open_socket

_serial = count(1)

Link = Callable[..., tuple[Socket, Socket]]


@pytest.fixture
def opened() -> Iterator[Callable[[int], Socket]]:
    """Open green sockets that are closed when the test is over; what they did not send is dropped."""
    sockets: list[Socket] = []

    def make(kind: int, **options: int | bytes) -> Socket:
        socket = open_socket(kind)
        sockets.append(socket)
        for name, value in options.items():
            socket.set(getattr(zmq, name), value)
        return socket

    yield make
    for socket in sockets:
        socket.close(0)


@pytest.fixture
def linked(opened: Callable[..., Socket]) -> Link:
    """Two green sockets, the first bound, the second connected to it over inproc; options are for both."""

    def make(first: int = zmq.PAIR, second: int = zmq.PAIR, **options: int) -> tuple[Socket, Socket]:
        address = f"inproc://linked.{next(_serial)}"
        ends = opened(first, **options), opened(second, **options)
        ends[0].bind(address)
        ends[1].connect(address)
        return ends

    return make
