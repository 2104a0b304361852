"""The files of ipc addresses: whose a path is, and that nobody takes it from who is bound there.

libzmq binds a path that is bound already and takes it from its owner without a word. To ask first whether somebody
listens does not do: two may ask at once. So who binds holds a lock, on a file beside the socket, until libzmq has
closed that. The kernel lets go of it when its process dies, however that happens; a forked child lets go at once of
what it has inherited.

Abstract names (``ipc://@name``) are the kernel's, and ``ipc://*`` is a folder of libzmq's own: neither has a lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from contextlib import suppress
from time import monotonic

import gevent
from gevent import get_hub, getcurrent

from ..errors import InsecureBind
from .connections import user_at

_ENDING = ".lock"
#: Seconds that libzmq may take to close what it listens on.
_CLOSES = 1.0
#: Seconds between two looks whether it has, doubling up to the longest.
_SOON, _LONGEST = 0.001, 0.05

_taken: set[Lock] = set()


def path_of(address: str) -> str:
    """The file of an address; empty if it has none, or none that others know."""
    scheme, _, path = address.partition("://")
    return os.path.abspath(path) if scheme == "ipc" and path != "*" and not path.startswith("@") else ""


def is_live(address: str) -> bool:
    """Does somebody listen on this ``ipc://`` path?"""
    path = address.removeprefix("ipc://")
    if path == "*":
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        name = "\0" + path[1:] if path.startswith("@") else path
        return probe.connect_ex(name) in (0, errno.EAGAIN)  # EAGAIN: so busy that its queue of callers is full


# -- whose it is -----------------------------------------------------------------------------------


def make_folder(path: str) -> None:
    """Make the folder that a socket is to be in, for its owner only, unless it is there."""
    folder = os.path.dirname(path)
    if not os.path.exists(folder):
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            return


def check_folder(address: str) -> None:
    """`InsecureBind` where others could put a socket of theirs in place of the one at `address`."""
    path = path_of(address)
    folder = os.path.dirname(path)
    try:
        mode = os.stat(folder).st_mode if path else 0
    except OSError:  # which is made, or told of by bind
        return
    if mode & 0o022 and not mode & stat.S_ISVTX:
        raise InsecureBind(
            f"bind {address}: group or others may write to {folder} (mode {stat.S_IMODE(mode):04o}), and put a socket "
            "of theirs in place of this one. chmod go-w it, or use a folder of your own; with "
            "security=Curve.server(…) or insecure=True it may be anywhere"
        )


def check_owner(address: str) -> None:
    """`InsecureBind` if the socket at `address` is another user's. That there is none is fine: libzmq tries again."""
    path = path_of(address)
    try:
        owner = os.stat(path).st_uid if path else None
    except OSError:
        return
    if owner is not None and not _is_trusted(owner):
        raise InsecureBind(
            f"connect {address}: the socket there belongs to user {owner}, neither to us ({os.geteuid()}) nor to root. "
            "Let both run as one user, or give security=Curve.client(…); or insecure=True, and it may be anybody's"
        )


def stranger(descriptor: int) -> str:
    """Who is at the other end of a connection that we made, if it is another user; empty if it is not, or has gone."""
    user = user_at(descriptor)
    return "" if user is None or _is_trusted(user) else f"user {user}, neither us ({os.geteuid()}) nor root"


def _is_trusted(user: int) -> bool:
    return user in (os.geteuid(), 0)


# -- who is bound there ----------------------------------------------------------------------------


class Lock:
    """That of one path, from `take` until nobody listens there any more."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._listening: tuple[int, os.stat_result] | None = None
        self._ending = False
        _taken.add(self)

    def bound(self, listening: int) -> None:
        """libzmq listens on this descriptor."""
        self._listening = listening, os.fstat(listening)

    def release(self) -> None:
        """The socket is closed or closing: let go as soon as libzmq does not listen any more."""
        self._ending = True
        self._release_soon(_SOON)

    def _release_soon(self, pause: float) -> None:
        if not self.let_go():
            get_hub().loop.timer(pause, ref=False).start(self._release_soon, min(2 * pause, _LONGEST))

    def let_go(self) -> bool:
        """Let go, unless libzmq still listens."""
        if self not in _taken:
            return True
        if not self._ending or self._is_listening():
            return False
        _taken.discard(self)
        with suppress(OSError):
            os.unlink(self.path + _ENDING)  # before another can have the lock
        os.close(self._descriptor)
        return True

    def _is_listening(self) -> bool:
        if self._listening is None:
            return False
        descriptor, status = self._listening
        try:
            return os.path.samestat(os.fstat(descriptor), status)
        except OSError:
            return False

    def abandon(self) -> None:
        """In a forked child: it is the parent's."""
        os.close(self._descriptor)


def take(path: str) -> Lock:
    """The lock of a path; `BlockingIOError` if another has it, and any other `OSError` where there can be none."""
    deadline = monotonic() + _CLOSES
    while True:
        _let_go(path)
        try:
            return _try(path)
        except BlockingIOError:
            ours = any(lock.path == path and lock._ending for lock in _taken)
            if not ours or monotonic() > deadline or getcurrent() is get_hub():
                raise
        gevent.sleep(_SOON)


def _try(path: str) -> Lock:
    while True:
        descriptor = os.open(path + _ENDING, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstat(descriptor)
            if _identity(path + _ENDING) == (status.st_dev, status.st_ino):
                return Lock(path, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # whoever had it has removed it meanwhile, and another may have made it anew


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _let_go(path: str = "") -> None:
    for lock in list(_taken):
        if not path or lock.path == path:
            lock.let_go()


def at_exit() -> None:
    """Every socket is closed for good."""
    _let_go()


def _forked() -> None:
    for lock in _taken:
        lock.abandon()
    _taken.clear()


os.register_at_fork(after_in_child=_forked)
