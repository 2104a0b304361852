"""One green context a process: made at first use, forgotten in a forked child, terminated at interpreter exit."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

import gevent
import zmq
import zmq.green
from gevent import get_hub

from . import ipc
from .inherited import Inherited
from .socket import Socket
from .turn import Turn


class Context(zmq.green.Context):  # type: ignore[type-arg]  # at run time it takes none
    """A `zmq.green` context whose sockets are zbus's green sockets."""

    _socket_class = Socket
    authenticator: Any = None  # who answers for its sockets, once one of them is bound or connected


_context: Context | None = None
_pid = 0
_sockets: WeakSet[Socket] = WeakSet()
_at_exit: list[Callable[[], None]] = []


def context() -> Context:
    """The context of this process. Sockets on one ``inproc://`` name have to share it."""
    global _context, _pid
    if _context is None or _pid != os.getpid():
        _context, _pid = Context(), os.getpid()
        _context.set(zmq.MAX_SOCKETS, min(_context.get(zmq.SOCKET_LIMIT), 65_535))
    return _context


def open_socket(kind: int, of: zmq.Context[Any] | None = None) -> Socket:
    """A new green socket of this process's context, or `of` another."""
    socket: Socket = (of or context()).socket(kind)
    _sockets.add(socket)
    return socket


def terminate(timeout: float | None = None) -> None:
    """Close every socket of this process and end its context, in gevent's threadpool, so that others go on.

    Waits up to `timeout` seconds for what was sent to leave; `gevent.Timeout` never escapes.
    """
    global _context
    ending, _context = _context, None
    if ending is None or _pid != os.getpid():
        return
    _close_sockets(ending)
    with gevent.Timeout(timeout, False):
        get_hub().threadpool.apply(ending.term)


def call_at_exit(callback: Callable[[], None]) -> None:
    """Have `callback` close what is open when the interpreter exits, before the context ends."""
    _at_exit.append(callback)


@atexit.register
def _exit() -> None:
    """In line, not in a thread: gevent's threadpool may be gone by now, and without an end to the context what was
    sent last would be lost with the process."""
    global _context
    Turn.last = True
    for callback in _at_exit:
        callback()
    ending, _context = _context, None
    if ending is not None and _pid == os.getpid():
        _close_sockets(ending)
        ending.term()
    ipc.at_exit()


def _close_sockets(of: Context) -> None:
    for socket in list(_sockets):
        if socket.context is of:  # those of a device in a thread are that thread's
            socket.close()


def _forked() -> None:
    """In a child an inherited socket is dropped without touching libzmq: its threads did not come along."""
    global _context
    if _sockets:  # else the child's next poll is of its parent's epoll, and takes what it has dropped off there, too
        get_hub().loop.reinit()
    for socket in list(_sockets):
        socket.readiness.abandon()
        socket.__class__ = Inherited
    _sockets.clear()
    _context = None


os.register_at_fork(after_in_child=_forked)
