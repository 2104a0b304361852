"""Bytes that are no ZMTP, and who says them."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress

from gevent.socket import wait_read

NAMED = {
    "an HTTP GET": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nX-Long: " + b"a" * 500 + b"\r\n\r\n",
    "an HTTP POST": b"POST / HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n\x01\x00\x02\x00\x2a",
    "a message of ZMTP 1.0": b"\x01\x00\x02\x00\x2a",
    "a subscription of ZMTP 1.0": b"\x01\x00\x02\x00\x01",
    "a greeting of ZMTP 2.0": b"\xff" + bytes(8) + b"\x7f\x01\x08\x00\x00\x00\x02\x2a\x2a",
    "half a greeting of ZMTP 3": b"\xff" + bytes(8) + b"\x7f\x03",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "an SSH banner": b"SSH-2.0-OpenSSH_9.9\r\n",
    "nothing": b"",
    "NULs": bytes(600),
}
#: Connections that are open at once.
_AT_ONCE = 50


def blobs(count: int) -> list[bytes]:
    """The ones with a name, and so many random ones, always the same; every other begins as a greeting does."""
    dice = random.Random(1)
    return [
        *NAMED.values(),
        *(
            (b"\xff" + dice.randbytes(8) + b"\x7f" if number % 2 else b"") + dice.randbytes(dice.randrange(1, 400))
            for number in range(count)
        ),
    ]


def blurt(address: str, said: Sequence[bytes]) -> None:
    """Say each over a TCP connection of its own, fifty at once; return when the other side has hung up on each."""
    for start in range(0, len(said), _AT_ONCE):
        _blurt(address, said[start : start + _AT_ONCE])


def _blurt(address: str, said: Sequence[bytes]) -> None:
    host, port = address.removeprefix("tcp://").rsplit(":", 1)
    with ExitStack() as stack:
        connections = []
        for blob in said:
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=5))
            connections.append(connection)
            connection.setblocking(False)
            with suppress(OSError):  # it may have hung up before it heard all
                connection.send(blob)
                connection.shutdown(socket.SHUT_WR)
        for connection in connections:
            with suppress(ConnectionError):
                while True:
                    wait_read(connection.fileno(), 6, TimeoutError("still connected"))
                    if not connection.recv(4096):
                        break
