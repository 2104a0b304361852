"""Plain pyzmq sockets in the test's own process, and how to wait for them without holding up greenlets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import zmq
from gevent.socket import wait_read

PATIENCE = 5.0


@contextmanager
def foreign(kind: int, *, bind: str = "", connect: str = "") -> Iterator[zmq.Socket]:
    """A plain socket in a context of its own."""
    with zmq.Context() as context:
        socket = context.socket(kind)
        socket.linger = 0
        try:
            if bind:
                socket.bind(bind)
            if connect:
                socket.connect(connect)
            yield socket
        finally:
            context.destroy(0)


def address_of(socket: zmq.Socket) -> str:
    """Where it is bound."""
    return str(socket.last_endpoint.decode())


def heard(socket: zmq.Socket) -> list[bytes]:
    """The next message that it gets."""
    while not socket.get(zmq.EVENTS) & zmq.POLLIN:
        wait_read(socket.get(zmq.FD), PATIENCE, TimeoutError(f"nothing came within {PATIENCE} s"))
    return list(socket.recv_multipart())
