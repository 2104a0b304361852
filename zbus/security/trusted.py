"""Files that are believed: nobody but their owner and root can have written them, or, if they are private, read them.

What the file system says is an `OSError` with errno, path, what is wrong and what to do. Everything here blocks for as
long as the disk does, and is safe in any thread.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def read(path: str, *, private: bool, most: int, missing: str) -> tuple[bytes, os.stat_result]:
    """All the bytes of a file, and what it was when it was opened. A symlink to one will do.

    `OSError`: it is not there (then `missing` says what to do) or may not be read; it is no regular file (EISDIR,
    EINVAL); it belongs to neither us nor root, or group or others may write it, or read it if it is `private` (EPERM);
    it has more than `most` bytes (EFBIG).
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)  # a FIFO has no writer
    except (FileNotFoundError, NotADirectoryError) as error:
        raise type(error)(error.errno, f"there is no such file; {missing}", path) from None
    except PermissionError:
        wrong = f"user {os.geteuid()} may not read it; give it to that user, or run as its owner"
        raise PermissionError(errno.EACCES, wrong, path) from None
    try:
        status = os.fstat(descriptor)
        _check(path, status, private)
        data = b""
        while len(data) <= most:
            more = os.read(descriptor, most + 1 - len(data))
            if not more:
                return data, status
            data += more
    finally:
        os.close(descriptor)
    raise OSError(errno.EFBIG, f"more than {most:,} bytes, so it is some other file; give the right path", path)


def _check(path: str, status: os.stat_result, private: bool) -> None:
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "a folder; give the path of a file in it", path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file; give the path of one", path)
    if status.st_uid not in (os.geteuid(), 0):
        wrong = f"it belongs to user {status.st_uid}, neither to us ({os.geteuid()}) nor to root"
        raise PermissionError(errno.EPERM, f"{wrong}; chown it, or run as that user", path)
    if private and mode & 0o077:
        wrong = f"group or others may use it (mode {mode:04o})"
        raise PermissionError(errno.EPERM, f"{wrong}; if they did, make a new key, else chmod 600 it", path)
    if mode & 0o022:
        raise PermissionError(errno.EPERM, f"group or others may write it (mode {mode:04o}); chmod go-w it", path)


def create(path: str, data: bytes, mode: int) -> None:
    """A new file of `data` and `mode`, on the disk when this returns. `FileExistsError` if anything is at `path`, a
    dangling symlink too; after any other error there is nothing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        wrong = "it is there already and is never overwritten; give another name, or move it away"
        raise FileExistsError(errno.EEXIST, wrong, path) from None
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        os.unlink(path)
        raise


def replace(path: str, data: bytes, before: os.stat_result | None) -> None:
    """Put a file of `data` in place of the one at `path`: who opens it gets the old one or the new one whole.

    It keeps the mode and the group that there were `before`; without it is for everybody to read (0644).
    """
    folder, name = os.path.split(path)
    new = os.path.join(folder, f".{name}.{secrets.token_hex(8)}")
    create(new, data, 0o644 if before is None else stat.S_IMODE(before.st_mode))
    try:
        if before is not None:
            with suppress(PermissionError):  # of a group that is not ours
                os.chown(new, -1, before.st_gid)
        os.replace(new, path)
    except BaseException:
        os.unlink(new)
        raise


@contextmanager
def locked(folder: str) -> Iterator[None]:
    """Nobody else who asks changes anything in `folder` meanwhile; what we created, renamed or removed there is on the
    disk at the end. The lock leaves no file behind and goes with its process."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, "there is no such folder; mkdir -m 700 it", folder) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
