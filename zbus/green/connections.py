"""Connections that libzmq owns, looked at and shut by their descriptors, of which its monitor tells.

A descriptor may be another connection's by the time that its news is read: ask only what harms nobody else.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Bytes of a greeting of ZMTP 3, and where Linux has the count of those received in what TCP_INFO tells.
_GREETING, _RECEIVED = 64, 128
_CREDENTIALS = struct.Struct("3i")


@contextmanager
def _opened(descriptor: int) -> Iterator[socket.socket]:
    """The connection, or whatever has its number by now; `OSError` if that is none."""
    copy = os.dup(descriptor)
    try:
        connection = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
    with connection:
        yield connection


def has_greeted(descriptor: int) -> bool:
    """Did more than ZMTP's greeting come over it, as far as the system knows?"""
    try:
        with _opened(descriptor) as connection:
            told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED + 8)
    except (OSError, AttributeError):  # it has ended, is no tcp, or the system has no TCP_INFO
        return False
    return len(told) == _RECEIVED + 8 and int.from_bytes(told[_RECEIVED:], sys.byteorder) > _GREETING


def user_at(descriptor: int) -> int | None:
    """The user at the other end of an ipc connection that was made from here; None if it is none, or has ended."""
    try:
        with _opened(descriptor) as connection:
            if connection.family != socket.AF_UNIX:
                return None
            found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return None
    return int(_CREDENTIALS.unpack(found)[1])


def cut(descriptor: int) -> None:
    """Shut it; libzmq will see the end of the stream and let go of it."""
    try:
        with _opened(descriptor) as connection:
            connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # it has ended already
        return
