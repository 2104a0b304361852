"""TCP connections that never become a peer: ``silent.py HOST PORT COUNT [PAUSE]``.

Opens them all, and when the last of them has been closed says for how many seconds each was open, in order. With a
pause the greeting is said, a byte a pause; without, nothing is.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from time import monotonic

import gevent
from gevent import socket
from gevent.socket import wait_read

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)


def is_open(connection: socket.socket) -> bool:
    try:
        return bool(connection.recv(4096))
    except BlockingIOError:
        return True
    except OSError:
        return False


def drip(connection: socket.socket, pause: float) -> None:
    for byte in GREETING:
        with suppress(OSError):
            connection.send(bytes([byte]))
        gevent.sleep(pause)


def hold(address: tuple[str, int], pause: float) -> float:
    with socket.create_connection(address) as connection:
        began = monotonic()
        connection.setblocking(False)
        if pause:
            gevent.spawn(drip, connection, pause)
        while is_open(connection):
            wait_read(connection.fileno())
        return monotonic() - began


def main(host: str, port: str, count: str, pause: str = "0") -> None:
    holding = [gevent.spawn(hold, (host, int(port)), float(pause)) for _ in range(int(count))]
    print(*sorted(one.get() for one in holding), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
