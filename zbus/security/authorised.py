"""The authorised file on the disk: who may come in now, and how a line gets in and out while others read it.

`zbus.security.users` says what is in it. It is for its owner and root to write, and for nobody else.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from ..green.curve import raw
from . import trusted
from .keyfile import StrPath
from .users import User, check_word, lines, parse

#: Bytes that an authorised file has at most: some 15,000 users.
MOST = 2**20
#: Seconds after a change in which another may leave the file's times as they are: clocks of file systems are coarse.
SETTLED = 2.0

_HEADER = "# Who may come in: name, public key, roles. Written by zbus keys authorise and revoke; comments stay.\n"
_MISSING = "zbus keys authorise makes one"
_NOBODY: Mapping[bytes, User] = MappingProxyType({})


class _State(NamedTuple):
    """What is in force. It is replaced whole, so that any thread may look."""

    #: What `os.stat` said of the file that was read; None: read it again.
    stamp: tuple[int, ...] | None
    #: What was in it, good or bad; None if it could not be read.
    data: bytes | None
    table: Mapping[bytes, User]
    error: str


class Authorised:
    """An authorised file, read at the first `lookup` and again whenever it changed.

    Everything here is for any OS thread: it logs nothing and touches no hub.
    """

    def __init__(self, path: StrPath) -> None:
        self.path = os.path.abspath(path)
        self._state = _State(None, None, _NOBODY, "")

    @property
    def error(self) -> str:
        """Why the file as it was at the last `lookup` is not in force, in one line; empty: it is."""
        return self._state.error

    def check(self) -> None:
        """Raise what is wrong with the file as it is now; for a server that starts, so that its owner is told at once.

        `OSError`: it is missing, over 1 MiB, no regular file, not ours or root's, or group or others may write it.
        `ValueError`: a line is wrong.
        """
        _read(self.path)

    def lookup(self, raw_key: bytes) -> User | None:
        """Who has this public key of 32 bytes; None: nobody.

        Never raises for what is wrong with the file: a missing one authorises nobody; of a bad one the last good state
        stays in force. Either way `error` tells. Costs one ``stat`` while the file is as it was.
        """
        state = self._state
        try:
            current = state.stamp is not None and state.stamp == _stamp(os.stat(self.path))
        except OSError:
            current = False
        if not current:
            self._state = state = self._reload(state)
        return state.table.get(raw_key)

    def _reload(self, before: _State) -> _State:
        try:
            data, status = _bytes(self.path)
        except (FileNotFoundError, NotADirectoryError) as error:
            return _State(None, None, _NOBODY, str(error))
        except OSError as error:
            return _State(None, None, before.table, str(error))
        stamp = _stamp(status) if status.st_ctime + SETTLED < time.time() else None
        if data == before.data:  # nobody makes us parse it at each of his handshakes
            return before._replace(stamp=stamp)
        try:
            return _State(stamp, data, parse(_text(data), self.path), "")
        except ValueError as error:
            return _State(stamp, data, before.table, str(error))

    def __repr__(self) -> str:
        state = self._state
        return f"<Authorised {self.path}: {len(state.table)} keys{state.error and '; '}{state.error}>"


def authorise(path: StrPath, name: str, key: bytes, roles: Iterable[str] = ()) -> None:
    """Add a line for the user `name` with a public `key` in Z85; the file is made, mode 0644, if it is not there.

    `ValueError`: a word that can be no name, key or role, a key that is there already, or a file with a bad line.
    `OSError`: as in `Authorised.check`. Others may change the file at the same time, and who reads it sees the old one
    or the new one, whole.
    """
    path = os.path.realpath(path)
    words = [name, *roles]
    for word in words:
        check_word(word, path)
    raw(key)
    words.insert(1, key.decode("ascii"))
    with trusted.locked(os.path.dirname(path)):
        try:
            text, status = _read(path)
        except FileNotFoundError:
            text, status = _HEADER, None
        if text and not text.endswith("\n"):
            text += "\n"
        text += " ".join(words) + "\n"
        parse(text, path)
        trusted.replace(path, _data(text), status)


def revoke(path: StrPath, name_or_key: str) -> int:
    """Remove the lines with this name or this public key in Z85, and tell how many they were; errors as `authorise`.

    Comments and the other lines stay as they are. A server takes nobody in with such a key from its next handshake on;
    who is connected stays so.
    """
    path = os.path.realpath(path)
    try:
        key = raw(name_or_key)
    except ValueError:
        key = None
    with trusted.locked(os.path.dirname(path)):
        text, status = _read(path)
        gone = {line.number for line in lines(text, path) if line.key == key or line.user.name == name_or_key}
        if gone:
            kept = (line for number, line in enumerate(text.split("\n"), 1) if number not in gone)
            trusted.replace(path, _data("\n".join(kept)), status)
    return len(gone)


def _read(path: str) -> tuple[str, os.stat_result]:
    """The text of a good file."""
    data, status = _bytes(path)
    text = _text(data)
    parse(text, path)
    return text, status


def _bytes(path: str) -> tuple[bytes, os.stat_result]:
    return trusted.read(path, private=False, most=MOST, missing=_MISSING)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")  # what is not UTF-8 can only be in a comment, and stays what it was


def _data(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    """Differs when the file does; the change time tells of its mode and owner, too."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
