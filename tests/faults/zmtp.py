"""A peer that speaks as much of ZMTP 3.0 (RFC 23) as it takes to be let in without a key, then says what it likes."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from gevent.socket import wait_read

MORE, LONG, COMMAND = 1, 2, 4
SECONDS = 6.0


def greeting(mechanism: bytes = b"NULL", major: int = 3, as_server: int = 0) -> bytes:
    """Its 64 bytes."""
    return (
        b"\xff" + bytes(8) + b"\x7f" + bytes([major, 0]) + mechanism.ljust(20, b"\0") + bytes([as_server]) + bytes(31)
    )


def frame(body: bytes, flags: int = 0) -> bytes:
    """A frame, short or long as its size says."""
    if len(body) > 255:
        return bytes([flags | LONG]) + struct.pack(">Q", len(body)) + body
    return bytes([flags, len(body)]) + body


def announced(size: int, flags: int = 0, body: bytes = b"abc") -> bytes:
    """A long frame that says it has `size` bytes, and of which these come."""
    return bytes([flags | LONG]) + struct.pack(">Q", size) + body


def command(name: bytes, data: bytes = b"") -> bytes:
    """A command frame."""
    return frame(bytes([len(name)]) + name + data, COMMAND)


def metadata(name: bytes, value: bytes) -> bytes:
    """One property of a READY."""
    return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value


def ready(kind: str) -> bytes:
    """What ends a handshake."""
    return command(b"READY", metadata(b"Socket-Type", kind.encode()) + metadata(b"Identity", b""))


@contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    """A TCP connection on which nothing is said yet."""
    host, port = address.removeprefix("tcp://").rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
        connection.setblocking(False)
        yield connection


def say(connection: socket.socket, data: bytes) -> None:
    """As much of it as the other side takes before it hangs up, or without waiting."""
    with suppress(OSError):
        connection.send(data)


def admitted(connection: socket.socket, kind: str) -> None:
    """Shake hands, and wait for the other side's READY."""
    connection.send(greeting() + ready(kind))
    heard = b""
    while b"READY" not in heard:
        wait_read(connection.fileno(), SECONDS, TimeoutError("not admitted"))
        more = connection.recv(4096)
        if not more:
            raise ConnectionError(f"not admitted as a {kind}: {heard!r}")
        heard += more


def is_cut(connection: socket.socket) -> None:
    """Return when the other side has hung up, whatever it said before."""
    with suppress(ConnectionError):
        while True:
            wait_read(connection.fileno(), SECONDS, TimeoutError("still connected"))
            if not connection.recv(65_536):
                return
